"""Downloads from hosts that lie in their headers, and notes beside a part file that somebody spoilt."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from batchrunner.media.download import RESUMED_MIN, fetch
from batchrunner.media.trouble import MediaError
from batchrunner.providers.http import Http
from tests.providers.wire import Asked, Script, Wire, always, answer, hang_up, serving

DIGITS = b"9" * 5000  # more than Python makes a number of


def fetched(script: Script, part: Path, *, max_bytes: int = 1 << 30) -> tuple[bytes, Wire]:
    """Fetch once; give what lies in the part file, and what the host saw."""
    with serving(script) as wire:
        http = Http(wire.url)
        try:
            fetch(http, f"{wire.url}/clip.mp4", part, max_bytes=max_bytes)
        finally:
            http.close()
    return part.read_bytes(), wire


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A part file of three bytes that could be gone on with."""
    path = tmp_path / "clip.part"
    path.write_bytes(b"abc")
    note(path, '"one"')
    return path


def note(part: Path, etag: object) -> None:
    """Keep an ETag beside a part file."""
    part.with_name("clip.part.json").write_text(json.dumps({"etag": etag}))


def test_a_length_of_five_thousand_digits_is_none(part: Path) -> None:
    """The body counts, until the connection ends."""
    data, _wire = fetched(hang_up(b"HTTP/1.1 200 OK\r\nContent-Length: " + DIGITS + b"\r\n\r\nxyz"), part)

    assert b"xyz" == data


def test_a_range_of_five_thousand_digits_is_none(part: Path) -> None:
    """So is the whole length in a range's answer."""
    head = b'HTTP/1.1 206 OK\r\nETag: "one"\r\nContent-Range: bytes 3-5/' + DIGITS + b"\r\n\r\n"
    data, wire = fetched(hang_up(head + b"xyz"), part)

    assert b"abcxyz" == data
    assert ("bytes=3-", '"one"') == (wire.asked[0].headers["range"], wire.asked[0].headers["if-range"])


@pytest.mark.parametrize("length", ["-5", "0x3", "three", ""])
def test_a_length_that_is_no_number_decides_nothing(part: Path, length: str) -> None:
    """What came is judged by its bytes later on."""
    data, _wire = fetched(hang_up(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nxyz".encode()), part)

    assert b"xyz" == data


def test_two_different_lengths_are_no_answer(part: Path) -> None:
    """Which of them holds cannot be known; it is tried again."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"
    with pytest.raises(MediaError) as caught:
        fetched(hang_up(head + b"xyz"), part)

    assert (False, False) == (caught.value.gone, caught.value.bad)


@pytest.mark.parametrize("etag", [5, None, [], {}, "", 'W/"one"', "a\nX: y", "füchse", "狐", "a\x00"])
def test_a_spoilt_note_starts_over(part: Path, etag: object) -> None:
    """What cannot stand in a header is not sent, and does not stop the download for good."""
    note(part, etag)
    data, wire = fetched(always(answer(200, b"xyz")), part)

    assert b"xyz" == data
    assert not {"range", "if-range"} & wire.asked[0].headers.keys()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"tag": "x"}', "[" * 100_000])
def test_a_torn_note_starts_over(part: Path, text: str) -> None:
    """A crash while it was written is no harm."""
    part.with_name("clip.part.json").write_text(text)
    data, wire = fetched(always(answer(200, b"xyz")), part)

    assert b"xyz" == data
    assert "range" not in wire.asked[0].headers


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_that_is_too_large_is_not_kept(tmp_path: Path, announced: bool) -> None:
    """It would fill the disk, and a later try would go on with it."""
    path = tmp_path / "clip.part"
    whole = answer(200, bytes(RESUMED_MIN + 10), ETag='"one"')
    body = whole if announced else b"HTTP/1.1 200 OK\r\n\r\n" + bytes(RESUMED_MIN + 10)
    with pytest.raises(MediaError, match="larger than"):
        fetched(hang_up(body), path, max_bytes=RESUMED_MIN)

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "location",
    [
        b"",
        b"http://127.0.0.1:1\x00/",
        b"http://127.0.0.1:99999/",
        b"http://[fe80::1%25eth0]/",
        b"\xff\xfe://x",
    ],
)
def test_a_redirect_to_nowhere_ends(tmp_path: Path, location: bytes) -> None:
    """In a sentence, after a few tries at most."""
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    with pytest.raises(MediaError):
        fetched(always(head), tmp_path / "clip.part")


def test_a_chunked_answer_is_no_longer_than_it_says(tmp_path: Path) -> None:
    """A small length beside chunks without end: it is given up at once, and nothing of it is kept."""
    sent = 0

    def endless(_asked: Asked, peer: socket.socket) -> None:
        nonlocal sent
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(2000):
            peer.sendall(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
            sent += 1 << 16

    part = tmp_path / "clip.part"
    with pytest.raises(MediaError, match="of 9 bytes"):
        fetched(endless, part)

    assert sent < 64 << 20
    assert not part.exists()
