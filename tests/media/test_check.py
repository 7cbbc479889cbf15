"""Whether a file is a whole video, judged by its bytes alone."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

import pytest

from batchrunner.errors import LocalError
from batchrunner.media.check import MediaInfo, inspect
from batchrunner.media.trouble import MediaError
from tests.media.films import film

pytest.importorskip("av")


@cache
def clip() -> bytes:
    """Return a film with sound, its data before its index."""
    return film(audio=True)


@cache
def front_clip() -> bytes:
    """Return a film with sound, its index before its data."""
    return film(audio=True, front=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test puts its bytes, under a name that says nothing."""
    return tmp_path / "something.part"


def verdict(path: Path, data: bytes, *, decode: bool = False) -> str:
    """Return why these bytes are refused, or nothing."""
    path.write_bytes(data)
    try:
        inspect(path, decode=decode)
    except MediaError as error:
        return error.detail if error.bad else "not said to be bad"
    return ""


def test_a_film_is_told_from_its_bytes(path: Path) -> None:
    """Kind, length and size come from inside, frames from decoding it."""
    path.write_bytes(film(frames=12))

    assert MediaInfo("mp4", 0.5, 128, 96, 12) == inspect(path)


def test_without_decoding_the_container_alone_is_told(path: Path) -> None:
    """That is what is left where the extra is not installed."""
    path.write_bytes(clip())

    assert MediaInfo("mp4", 0.5, 128, 96, None) == inspect(path, decode=False)


def test_a_quicktime_film_is_one_too(path: Path) -> None:
    """Its extension follows its brand."""
    path.write_bytes(film(container="mov"))

    assert "mov" == inspect(path).extension


@pytest.mark.parametrize("front", [False, True])
def test_a_film_cut_at_any_point_is_refused(path: Path, front: bool) -> None:
    """Wherever a download ends too early, the container alone shows it."""
    data = front_clip() if front else clip()
    cuts = [*range(0, 64), *range(64, len(data), 97), len(data) - 1]

    whole = [cut for cut in cuts if not verdict(path, data[:cut])]

    assert [] == whole
    assert "" == verdict(path, data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "a page or a message"),
        (b'  {"error": "expired"}', "a page or a message"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "a page or a message"),
        (b"PK\x03\x04" + bytes(100), "a zip archive"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "a JPEG"),
        (bytes(5000), "something else"),
        (b"#EXTM3U\nhttp://169.254.169.254/\n", "something else"),
    ],
)
def test_what_is_no_video_is_named(path: Path, data: bytes, words: str) -> None:
    """The sentence says what came instead."""
    assert words in verdict(path, data)


def test_bytes_after_the_end_are_refused(path: Path) -> None:
    """The boxes fill the file exactly."""
    assert "cut off or damaged" in verdict(path, clip() + b"trailing")


@pytest.mark.parametrize("box", [b"moov", b"mdat", b"mvhd", b"trak", b"stsz", b"tkhd", b"hdlr"])
def test_a_film_without_one_of_its_boxes_is_refused(path: Path, box: bytes) -> None:
    """Renamed, a box is as good as missing."""
    assert verdict(path, film().replace(box, b"free"))


def test_an_index_that_names_more_than_there_is_is_refused(path: Path) -> None:
    """Sizes and offsets of the samples must lie within the file."""
    data = bytearray(film())
    at = data.index(b"stco") + 12
    struct.pack_into(">I", data, at, len(data) + 1000)

    assert "names more data" in verdict(path, bytes(data))


def test_no_damaged_byte_of_the_index_brings_another_error(path: Path) -> None:
    """Every damage ends in a verdict, never in a crash."""
    data = film()
    begin = data.index(b"moov")
    for at in range(begin, len(data)):
        hurt = bytearray(data)
        hurt[at] ^= 0xFF
        verdict(path, bytes(hurt))


def test_damage_inside_the_picture_is_found_by_decoding(path: Path) -> None:
    """The container is whole, the film is not."""
    data = bytearray(film(frames=24))
    begin = data.index(b"mdat") + 5000
    data[begin : begin + 4000] = bytes(4000)

    assert "" == verdict(path, bytes(data))
    assert "cannot be decoded" in verdict(path, bytes(data), decode=True)


def test_a_file_that_cannot_be_read_is_this_machines_trouble(tmp_path: Path) -> None:
    """Not the provider's."""
    with pytest.raises(LocalError, match=r"gone\.part: No such file"):
        inspect(tmp_path / "gone.part")
