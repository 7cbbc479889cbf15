"""A small still of each clip, from its first picture: a page of hundreds shows them and loads no clip.

A still is named by its clip's hash, so that it is made once and a clip that changes gets another. Where the
package that decodes is not installed, there are none, and the page shows the clips' own first pictures.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

from batchrunner.media.check import can_decode

FOLDER = "_posters"
WIDTH = 480  # pixels: sharp at the size in which the grid shows a clip, some 15 kB
SIDE_MIN = 2  # the encoder takes even sides only
QUALITY = 5  # of 1 (best) to 31, as the encoder counts
OURS = re.compile(r"[0-9a-f]{24}\.jpg")


def make_stills(
    root: Path, clips: Mapping[str, str], keep_on: Callable[[], bool] = lambda: True
) -> dict[str, str]:
    """Make the stills that are missing and remove those that nothing needs; return their paths.

    `clips`: path below `root` by hash (SHA-256, hex). `keep_on` is asked before each: once it says no, the
    rest have none this time. A clip that cannot be decoded has none.

    Raises:
        OSError: the disk.
    """
    folder = root / FOLDER
    names = {sha: f"{sha[:24]}.jpg" for sha in clips}
    there = {one.name for one in folder.iterdir() if OURS.fullmatch(one.name)} if folder.is_dir() else set()
    for name in there - set(names.values()):
        (folder / name).unlink(missing_ok=True)
    wanted = [sha for sha, name in names.items() if name not in there]
    made: set[str] = set()
    if wanted and can_decode():
        folder.mkdir(exist_ok=True)
        made = _make(wanted, lambda sha: (root / clips[sha], folder / names[sha]), keep_on)
    return {sha: f"{FOLDER}/{name}" for sha, name in names.items() if name in there or sha in made}


def _make(
    wanted: Iterable[str], places: Callable[[str], tuple[Path, Path]], keep_on: Callable[[], bool]
) -> set[str]:
    def one(sha: str) -> str | None:
        clip, still = places(sha)
        data = first_picture(clip) if keep_on() else None
        if data is None:
            return None
        draft = still.with_name(f".{still.name}.{os.getpid()}.tmp")
        draft.write_bytes(data)
        draft.replace(still)
        return sha

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), "still") as pool:  # decoding leaves Python's lock
        return {sha for sha in pool.map(one, wanted) if sha is not None}


def first_picture(clip: Path) -> bytes | None:
    """Return a clip's first picture as a small JPEG, or None where it cannot be decoded."""
    import av  # noqa: PLC0415 - an extra

    try:
        with av.open(str(clip), mode="r", format="mov") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            frame = next(container.decode(stream))
        width = max(SIDE_MIN, min(WIDTH, frame.width) // 2 * 2)
        height = max(SIDE_MIN, round(frame.height * width / frame.width / 2) * 2)
        encoder = av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
        encoder.time_base = Fraction(1, 25)
        encoder.qmin = encoder.qmax = QUALITY
        small = frame.reformat(width, height, "yuvj420p", interpolation="AREA")
        small.pts = 0
        return b"".join(bytes(packet) for packet in (*encoder.encode(small), *encoder.encode(None)))
    except (av.FFmpegError, IndexError, ValueError, StopIteration):
        return None
