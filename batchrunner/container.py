"""Whether bytes are a whole video container, in plain Python: which movie it holds, and how large it is.

Every box of the file must be complete, the movie header must tell a length, one track must be a video, and
every sample that its tables name must lie within the file. That finds truncated files, error pages and other
formats in microseconds. Sources: ISO/IEC 14496-12.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

MOOV_MAX = 64 << 20
BOXES_MAX = 100_000
SIDE_MAX = 16_384
_HEADER = struct.Struct(">I4s").unpack_from  # a box begins with its length and its kind

Read: TypeAlias = Callable[[int, int], bytes]  # (from where, how many bytes) -> them, fewer at the end
Box: TypeAlias = tuple[
    bytes, int, int
]  # kind, and where its content starts and ends; plain, since a run makes many
Span: TypeAlias = tuple[int, int]


class ContainerError(Exception):
    """The bytes are no whole video, in words."""


class Container(NamedTuple):
    """What a container says of its video. `extension`: mp4 or mov."""

    extension: str
    seconds: float
    width: int
    height: int


class _Track(NamedTuple):
    width: int
    height: int
    samples: int
    sample_bytes: int
    last_chunk: int


def read_container(read: Read, size: int) -> Container:
    """Return what a container of `size` bytes says.

    Raises:
        ContainerError: it is not a whole video.
    """
    try:
        return _container(read, size)
    except (struct.error, IndexError, ZeroDivisionError) as error:
        raise ContainerError("not a whole video: its tables are damaged") from error


def reader(data: bytes) -> Read:
    """Return what reads from bytes that are at hand."""
    return lambda start, count: data[start : start + count]


def _container(read: Read, size: int) -> Container:
    head = read(0, 12)
    if len(head) < 12 or head[4:8] != b"ftyp":
        raise ContainerError(f"not a video: it begins like {_guess(head)}")
    boxes = _boxes(read, 0, size)
    moov = _first(boxes).get(b"moov")
    data_bytes = sum(end - start for kind, start, end in boxes if kind == b"mdat")
    if moov is None or not data_bytes or moov[1] - moov[0] > MOOV_MAX:
        raise ContainerError("not a whole video: its index or its data is missing")
    # From here on all that is looked at lies in the index, which is read once.
    index = read(moov[0], moov[1] - moov[0])
    parts = _boxes(reader(index), 0, moov[1] - moov[0])
    seconds = _length_s(index, _first(parts))
    track = next(_video_tracks(index, parts), None)
    if track is None or not (0 < track.width <= SIDE_MAX and 0 < track.height <= SIDE_MAX):
        raise ContainerError("it has no video track")
    if not seconds > 0 or not track.samples:
        raise ContainerError("the video has no length")
    if track.sample_bytes > data_bytes or track.last_chunk >= size:
        raise ContainerError("not a whole video: its index names more data than there is")
    return Container("mov" if head[8:12] == b"qt  " else "mp4", seconds, track.width, track.height)


def _boxes(read: Read, start: int, end: int) -> list[Box]:
    """Return the boxes that fill a range; they must fill it exactly."""
    boxes: list[Box] = []
    while start != end:
        header = read(start, 16)
        if len(header) < 8 or len(boxes) == BOXES_MAX:
            raise ContainerError("not a whole video: it is cut off or damaged")
        length, kind = _HEADER(header)
        content = 8
        if length == 1:
            length, content = struct.unpack(">Q", header[8:16])[0], 16
        elif length == 0:
            length = end - start
        if length < content or start + length > end:
            raise ContainerError("not a whole video: it is cut off or damaged")
        boxes.append((kind, start + content, start + length))
        start += length
    return boxes


def _first(boxes: list[Box]) -> dict[bytes, Span]:
    """Return where the first box of each kind is."""
    return {kind: (start, end) for kind, start, end in reversed(boxes)}


def _within(index: bytes, span: Span | None) -> dict[bytes, Span]:
    return _first(_boxes(reader(index), *span)) if span else {}


def _length_s(index: bytes, parts: dict[bytes, Span]) -> float:
    if b"mvhd" not in parts:
        raise ContainerError("not a whole video: it has no header")
    data = index[slice(*parts[b"mvhd"])]
    scale, length = struct.unpack(">IQ", data[20:32]) if data[0] == 1 else struct.unpack(">II", data[12:20])
    return float(length / scale)


def _video_tracks(index: bytes, parts: list[Box]) -> Iterator[_Track]:
    for kind, start, end in parts:
        if kind != b"trak":
            continue
        below = _within(index, (start, end))
        media = _within(index, below.get(b"mdia"))
        stbl = _within(index, media.get(b"minf")).get(b"stbl")
        tkhd, hdlr = below.get(b"tkhd"), media.get(b"hdlr")
        if hdlr is None or stbl is None or tkhd is None or index[slice(*hdlr)][8:12] != b"vide":
            continue
        width, height = struct.unpack(">II", index[slice(*tkhd)][-8:])
        tables = _within(index, stbl)
        samples, sample_bytes = _sample_sizes(index, tables)
        yield _Track(width >> 16, height >> 16, samples, sample_bytes, _last_chunk(index, tables))


def _sample_sizes(index: bytes, tables: dict[bytes, Span]) -> tuple[int, int]:
    if b"stsz" not in tables:
        return 0, 0
    data = index[slice(*tables[b"stsz"])]
    each, count = struct.unpack(">II", data[4:12])
    if each:
        return count, each * count
    return count, sum(struct.unpack(f">{count}I", data[12 : 12 + 4 * count]))


def _last_chunk(index: bytes, tables: dict[bytes, Span]) -> int:
    """Return the highest offset at which a chunk of samples begins."""
    for kind, letter, width in ((b"stco", "I", 4), (b"co64", "Q", 8)):
        if kind in tables:
            data = index[slice(*tables[kind])]
            (count,) = struct.unpack(">I", data[4:8])
            return max(struct.unpack(f">{count}{letter}", data[8 : 8 + width * count]), default=0)
    return 0


def _guess(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head.lstrip()[:1] in {b"<", b"{"}:
        return "a page or a message"
    known = {b"\x89PNG": "a PNG", b"\xff\xd8\xff": "a JPEG", b"PK\x03\x04": "a zip archive", b"RIFF": "RIFF"}
    return next((name for magic, name in known.items() if head.startswith(magic)), "something else")
