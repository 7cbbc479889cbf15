"""Whether a file is a whole video: from its bytes, never from its name.

The container is read in plain Python: every box of the file must be complete, the movie header must tell a
length, one track must be a video, and every sample that its tables name must lie within the file. That
finds truncated files, error pages and other formats in microseconds. Where PyAV is installed, the whole
video is decoded once as well, which finds damage inside. Sources: ISO/IEC 14496-12.
"""

from __future__ import annotations

import importlib.util
import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from batchrunner.errors import LocalError
from batchrunner.media.trouble import MediaError

MOOV_MAX = 64 << 20
SMALL = 1 << 20  # a file up to this size is read at once: its many boxes are then free to visit
BOXES_MAX = 100_000
SIDE_MAX = 16_384


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file's bytes say. `frames` is None where the video was not decoded."""

    extension: str
    seconds: float
    width: int
    height: int
    frames: int | None


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int  # of the content
    end: int


@dataclass(frozen=True, slots=True)
class _Track:
    width: int
    height: int
    samples: int
    sample_bytes: int
    last_chunk: int


def inspect(path: Path, *, decode: bool = True) -> MediaInfo:
    """Check one file.

    Raises:
        MediaError: `bad`, with the reason: it is not a whole video.
        LocalError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            info = _container(io.BytesIO(file.read()) if size <= SMALL else file, size)
    except OSError as error:
        raise LocalError(f"cannot read {path}: {error.strerror}") from error
    except (struct.error, IndexError, ZeroDivisionError) as error:
        raise MediaError("not a whole video: its tables are damaged", bad=True) from error
    if not decode or not can_decode():
        return info
    return MediaInfo(info.extension, info.seconds, info.width, info.height, _decoded_frames(path))


@cache
def can_decode() -> bool:
    """Tell whether the package that decodes is installed (the extra `media`)."""
    return importlib.util.find_spec("av") is not None


def _container(file: BinaryIO, size: int) -> MediaInfo:
    head = file.read(12)
    if len(head) < 12 or head[4:8] != b"ftyp":
        raise MediaError(f"not a video: it begins like {_guess(head)}", bad=True)
    boxes = list(_boxes(file, 0, size))
    moov = next((box for box in boxes if box.kind == b"moov"), None)
    data_bytes = sum(box.end - box.start for box in boxes if box.kind == b"mdat")
    if moov is None or not data_bytes or moov.end - moov.start > MOOV_MAX:
        raise MediaError("not a whole video: its index or its data is missing", bad=True)
    seconds = _length_s(file, moov)
    track = next((track for track in _video_tracks(file, moov)), None)
    if track is None or not (0 < track.width <= SIDE_MAX and 0 < track.height <= SIDE_MAX):
        raise MediaError("it has no video track", bad=True)
    if not seconds > 0 or not track.samples:
        raise MediaError("the video has no length", bad=True)
    if track.sample_bytes > data_bytes or track.last_chunk >= size:
        raise MediaError("not a whole video: its index names more data than there is", bad=True)
    return MediaInfo("mov" if head[8:12] == b"qt  " else "mp4", seconds, track.width, track.height, None)


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    """Yield the boxes that fill a range; they must fill it exactly."""
    for _ in range(BOXES_MAX):
        if start == end:
            return
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            break
        length, kind = struct.unpack(">I4s", header[:8])
        content = 8
        if length == 1:
            length, content = struct.unpack(">Q", header[8:16])[0], 16
        elif length == 0:
            length = end - start
        if length < content or start + length > end:
            break
        yield _Box(kind, start + content, start + length)
        start += length
    raise MediaError("not a whole video: it is cut off or damaged", bad=True)


def _child(file: BinaryIO, box: _Box, *kinds: bytes) -> _Box | None:
    """Return the box at a path below another, or None."""
    found: _Box | None = box
    for kind in kinds:
        if found is None:
            return None
        found = next((one for one in _boxes(file, found.start, found.end) if one.kind == kind), None)
    return found


def _content(file: BinaryIO, box: _Box) -> bytes:
    file.seek(box.start)
    return file.read(box.end - box.start)


def _length_s(file: BinaryIO, moov: _Box) -> float:
    mvhd = _child(file, moov, b"mvhd")
    if mvhd is None:
        raise MediaError("not a whole video: it has no header", bad=True)
    data = _content(file, mvhd)
    scale, length = struct.unpack(">IQ", data[20:32]) if data[0] == 1 else struct.unpack(">II", data[12:20])
    return float(length / scale)


def _video_tracks(file: BinaryIO, moov: _Box) -> Iterator[_Track]:
    for trak in _boxes(file, moov.start, moov.end):
        if trak.kind != b"trak":
            continue
        hdlr = _child(file, trak, b"mdia", b"hdlr")
        stbl = _child(file, trak, b"mdia", b"minf", b"stbl")
        tkhd = _child(file, trak, b"tkhd")
        if hdlr is None or stbl is None or tkhd is None or _content(file, hdlr)[8:12] != b"vide":
            continue
        width, height = struct.unpack(">II", _content(file, tkhd)[-8:])
        samples, sample_bytes = _sample_sizes(file, stbl)
        yield _Track(width >> 16, height >> 16, samples, sample_bytes, _last_chunk(file, stbl))


def _sample_sizes(file: BinaryIO, stbl: _Box) -> tuple[int, int]:
    stsz = _child(file, stbl, b"stsz")
    if stsz is None:
        return 0, 0
    data = _content(file, stsz)
    each, count = struct.unpack(">II", data[4:12])
    if each:
        return count, each * count
    return count, sum(struct.unpack(f">{count}I", data[12 : 12 + 4 * count]))


def _last_chunk(file: BinaryIO, stbl: _Box) -> int:
    """Return the highest offset at which a chunk of samples begins."""
    for kind, letter, width in ((b"stco", "I", 4), (b"co64", "Q", 8)):
        box = _child(file, stbl, kind)
        if box is not None:
            data = _content(file, box)
            (count,) = struct.unpack(">I", data[4:8])
            return max(struct.unpack(f">{count}{letter}", data[8 : 8 + width * count]), default=0)
    return 0


def _decoded_frames(path: Path) -> int:
    import av  # noqa: PLC0415 - an extra

    try:
        # The format is known already: named, the library tries no other one that a file might pretend to be.
        with av.open(str(path), mode="r", format="mov") as container:
            stream = container.streams.video[0]
            stream.codec_context.options = {"err_detect": "explode"}
            stream.codec_context.thread_count = 1  # several files are checked at once already
            frames = sum(1 for _ in container.decode(stream))
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise MediaError(f"the video cannot be decoded: {error}", bad=True) from error
    if not frames:
        raise MediaError("the video cannot be decoded: it has no picture", bad=True)
    return frames


def _guess(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head.lstrip()[:1] in {b"<", b"{"}:
        return "a page or a message"
    known = {b"\x89PNG": "a PNG", b"\xff\xd8\xff": "a JPEG", b"PK\x03\x04": "a zip archive", b"RIFF": "RIFF"}
    return next((name for magic, name in known.items() if head.startswith(magic)), "something else")
