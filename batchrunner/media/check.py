"""Whether a file is a whole video: from its bytes, never from its name.

The container is read in plain Python (container.py). Where PyAV is installed, the whole video is decoded once
as well, which finds damage inside.
"""

from __future__ import annotations

import importlib.util
import io
import os
from dataclasses import dataclass
from functools import cache
from os import PathLike

from batchrunner.container import Container, ContainerError, read_container, reader
from batchrunner.errors import LocalError
from batchrunner.media.trouble import MediaError


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file's bytes say. `frames` is None where the video was not decoded."""

    extension: str
    seconds: float
    width: int
    height: int
    frames: int | None


def inspect(path: str | PathLike[str], data: bytes | None = None, *, decode: bool = True) -> MediaInfo:
    """Check one file; `data`: all of its content, where it is at hand.

    Raises:
        MediaError: `bad`, with the reason: it is not a whole video.
        LocalError: it cannot be read.
    """
    try:
        found = _read_container(path) if data is None else read_container(reader(data), len(data))
    except OSError as error:
        raise LocalError(f"cannot read {path}: {error.strerror}") from error
    except ContainerError as error:
        raise MediaError(str(error), bad=True) from error
    decodes = decode and can_decode()
    frames = _decoded_frames(os.fspath(path) if data is None else io.BytesIO(data)) if decodes else None
    return MediaInfo(*found, frames)


@cache
def can_decode() -> bool:
    """Tell whether the package that decodes is installed (the extra `media`)."""
    return importlib.util.find_spec("av") is not None


def _read_container(path: str | PathLike[str]) -> Container:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size = os.fstat(descriptor).st_size
        return read_container(lambda start, count: os.pread(descriptor, count, start), size)
    finally:
        os.close(descriptor)


def _decoded_frames(file: str | io.BytesIO) -> int:
    import av  # noqa: PLC0415 - an extra

    try:
        # The format is known already: named, the library tries no other one that a file might pretend to be.
        with av.open(file, mode="r", format="mov") as container:
            stream = container.streams.video[0]
            stream.codec_context.options = {"err_detect": "explode"}
            stream.codec_context.thread_count = 1  # several files are checked at once already
            frames = sum(1 for _ in container.decode(stream))
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise MediaError(f"the video cannot be decoded: {error}", bad=True) from error
    if not frames:
        raise MediaError("the video cannot be decoded: it has no picture", bad=True)
    return frames
