"""Fetching over real HTTP: whole, resumed, or refused with the reason."""

from __future__ import annotations

import base64
import hashlib
import resource
import signal
import socket
from pathlib import Path

import pytest

from batchrunner.errors import LocalError
from batchrunner.media.download import Fetched, fetch, forget
from batchrunner.media.trouble import MediaError
from batchrunner.providers.http import Http
from tests.fakes import ManualClock
from tests.media.films import Storage, stored
from tests.providers.wire import Asked, always, answer, serving

BIG = bytes(range(256)) * (3 << 12)  # 3 MiB: large enough to be worth resuming
SMALL = b"a small file" * 100


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """Where the file goes."""
    return tmp_path / "clip.part"


def whole(data: bytes) -> Fetched:
    """Return what a good fetch says."""
    return Fetched(hashlib.sha256(data).hexdigest(), len(data))


def broken_off(http: Http, url: str, part: Path) -> MediaError:
    """Fetch what cannot be had."""
    with pytest.raises(MediaError) as caught:
        fetch(http, url, part)
    return caught.value


@pytest.mark.parametrize("data", [SMALL, BIG])
def test_a_whole_file_is_written_and_hashed(part: Path, data: bytes) -> None:
    """The part file holds the bytes, and the answer their hash and length."""
    with stored(Storage(data)) as (http, wire, url):
        fetched = fetch(http, url, part)

    assert whole(data) == fetched
    assert data == part.read_bytes()
    assert "authorization" not in wire.asked[0].headers


@pytest.mark.parametrize("at", [0, 1, 700_000, len(BIG) - 1])
def test_a_fetch_that_was_cut_off_goes_on_where_it_stopped(part: Path, at: int) -> None:
    """Only the missing bytes are sent, under the condition that the file is still the same."""
    with stored(Storage(BIG, cut=[at])) as (http, wire, url):
        error = broken_off(http, url, part)
        fetched = fetch(http, url, part)

    assert (False, False) == (error.gone, error.bad)
    assert whole(BIG) == fetched
    assert BIG == part.read_bytes()
    if at:
        assert (f"bytes={at}-", '"one"') == (
            wire.asked[1].headers["range"],
            wire.asked[1].headers["if-range"],
        )


def test_many_cuts_end_in_a_whole_file(part: Path) -> None:
    """Every try brings the file further."""
    with stored(Storage(BIG, cut=[500_000] * 4)) as (http, wire, url):
        for _ in range(4):
            broken_off(http, url, part)
        fetched = fetch(http, url, part)

    assert whole(BIG) == fetched
    assert "bytes=2000000-" == wire.asked[4].headers["range"]


def test_a_small_file_is_fetched_anew(part: Path) -> None:
    """What a cut-off small file left is written over."""
    with stored(Storage(SMALL, cut=[500])) as (http, wire, url):
        broken_off(http, url, part)
        fetched = fetch(http, url, part)

    assert whole(SMALL) == fetched
    assert "range" not in wire.asked[1].headers


def test_a_file_that_changed_meanwhile_is_fetched_anew(part: Path) -> None:
    """No file is ever made of two."""
    storage = Storage(BIG, cut=[700_000])
    with stored(storage) as (http, _wire, url):
        broken_off(http, url, part)
        storage.data, storage.etag = BIG[::-1], '"two"'
        fetched = fetch(http, url, part)

    assert whole(BIG[::-1]) == fetched


def test_a_host_without_ranges_is_fetched_anew(part: Path) -> None:
    """A 200 in answer to a range is the whole file."""
    with stored(Storage(BIG, cut=[700_000], ranges=False)) as (http, _wire, url):
        broken_off(http, url, part)

        assert whole(BIG) == fetch(http, url, part)


@pytest.mark.parametrize(
    "lie", [Storage(BIG, cut=[700_000], shift=5), Storage(BIG, cut=[700_000], range_etag='"two"')]
)
def test_a_range_of_something_else_is_not_appended(part: Path, lie: Storage) -> None:
    """A range that begins elsewhere, or belongs to another version, starts the file over."""
    with stored(lie) as (http, _wire, url):
        broken_off(http, url, part)
        error = broken_off(http, url, part)
        fetched = fetch(http, url, part)

    assert "starting over" in error.detail
    assert whole(BIG) == fetched


def test_a_range_shorter_than_the_rest_is_not_the_end(part: Path) -> None:
    """The host says how long the whole is; a range that stops before is gone on with."""
    with stored(Storage(BIG, cut=[700_000], short_range=1_000_000)) as (http, _wire, url):
        broken_off(http, url, part)
        error = broken_off(http, url, part)

    assert "1,700,000 of" in error.detail


def test_a_range_beyond_the_end_starts_over(part: Path) -> None:
    """The file has become shorter than what is here."""
    storage = Storage(BIG, cut=[700_000])
    with stored(storage) as (http, _wire, url):
        broken_off(http, url, part)
        storage.data = BIG[:100]
        error = broken_off(http, url, part)
        fetched = fetch(http, url, part)

    assert "starting over" in error.detail
    assert whole(BIG[:100]) == fetched


def test_a_weak_etag_is_not_resumed_upon(part: Path) -> None:
    """It does not promise the same bytes (RFC 9110)."""
    with stored(Storage(BIG, etag='W/"one"', cut=[700_000])) as (http, wire, url):
        broken_off(http, url, part)
        fetch(http, url, part)

    assert "range" not in wire.asked[1].headers


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_address_that_expired_is_gone(part: Path, status: int) -> None:
    """Then the provider is asked for a new one."""
    with stored(Storage(b"")) as (http, _wire, _url), serving(always(answer(status))) as other:
        assert broken_off(http, f"{other.url}/x", part).gone


@pytest.mark.parametrize("status", [206, 304, 400, 416, 429, 500, 503])
def test_other_statuses_are_tried_again(part: Path, status: int) -> None:
    """They say nothing about the file; a range that nobody asked for is no file."""
    with stored(Storage(b"")) as (http, _wire, _url), serving(always(answer(status, b"x"))) as other:
        error = broken_off(http, f"{other.url}/x", part)

    assert (False, False) == (error.gone, error.bad)


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_beyond_the_cap_is_refused(part: Path, announced: bool) -> None:
    """Whether its length is told beforehand or found out."""
    head = b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 5000\r\n" if announced else b"Connection: close\r\n")

    def endless(_asked: Asked, peer: socket.socket) -> None:
        peer.sendall(head + b"\r\n" + bytes(5000))
        peer.shutdown(socket.SHUT_RDWR)

    with (
        stored(Storage(b"")) as (http, _wire, _url),
        serving(endless) as other,
        pytest.raises(MediaError, match="larger than") as caught,
    ):
        fetch(http, f"{other.url}/x", part, max_bytes=4999)

    assert caught.value.bad


def test_a_download_that_trickles_is_given_up_and_kept(part: Path) -> None:
    """Less than some kilobytes a minute is no download; the next try goes on from there."""

    class Slow(ManualClock):
        def elapsed_s(self) -> float:
            self.steady_s += 31.0
            return self.steady_s

    def trickle(_asked: Asked, peer: socket.socket) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 9)

    with (
        stored(Storage(b"")) as (http, _wire, _url),
        serving(trickle) as other,
        pytest.raises(MediaError, match="too slow") as caught,
    ):
        fetch(http, f"{other.url}/x", part, clock=Slow())

    assert (False, False) == (caught.value.gone, caught.value.bad)


def test_a_checksum_of_the_host_is_heeded(part: Path) -> None:
    """What was damaged on the way is fetched anew; the sum is of the whole file, also of a resumed one."""
    md5 = base64.b64encode(hashlib.md5(BIG, usedforsecurity=False).digest()).decode()
    storage = Storage(BIG[::-1], cut=[700_000], checksum=f"crc32c=n03x6A==, md5={md5}")
    with stored(storage) as (http, _wire, url):
        broken_off(http, url, part)
        error = broken_off(http, url, part)
        left = part.exists()
        storage.data, storage.cut = BIG, [700_000]
        broken_off(http, url, part)
        fetched = fetch(http, url, part)

    assert "checksum" in error.detail
    assert not left
    assert whole(BIG) == fetched


def test_the_address_is_written_nowhere(part: Path) -> None:
    """It may be a bearer secret: neither the files nor the error hold its query."""
    with stored(Storage(BIG, cut=[700_000])) as (http, _wire, url):
        error = broken_off(http, url, part)

    assert "canary" not in str(error)
    assert not any(b"canary" in path.read_bytes() for path in part.parent.iterdir())


def test_a_private_address_is_not_fetched(part: Path) -> None:
    """A provider's answer cannot make this machine ask its neighbours."""
    with stored(Storage(SMALL)) as (_http, wire, url), pytest.raises(MediaError) as caught:
        fetch(Http("https://8.8.8.8"), url, part)

    assert caught.value.bad
    assert [] == wire.asked


@pytest.mark.parametrize("name", ["clip.part", "clip.part.json"])
def test_no_link_is_written_through(tmp_path: Path, part: Path, name: str) -> None:
    """A link where our file should be leads nowhere."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / name).symlink_to(victim)
    with stored(Storage(BIG)) as (http, _wire, url), pytest.raises(LocalError, match="cannot write"):
        fetch(http, url, part)

    assert b"precious" == victim.read_bytes()


def test_a_missing_folder_is_told_as_such(tmp_path: Path) -> None:
    """The sentence names path and cause; it is this machine's trouble, not the file's."""
    with stored(Storage(SMALL)) as (http, _wire, url), pytest.raises(LocalError, match=r"x\.part: No such"):
        fetch(http, url, tmp_path / "missing" / "x.part")


def test_a_full_disk_is_told_as_such(part: Path) -> None:
    """A write that this machine refuses is no fault of the file's; here a limit on file sizes refuses it."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with stored(Storage(BIG)) as (http, _wire, url):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
        try:
            with pytest.raises(LocalError, match=r"cannot write .*: File too large"):
                fetch(http, url, part)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, ignored)


def test_what_is_forgotten_is_gone(part: Path) -> None:
    """Nothing of a part file stays; twice does no harm."""
    with stored(Storage(BIG)) as (http, _wire, url):
        fetch(http, url, part)
    forget(part)
    forget(part)

    assert [] == list(part.parent.iterdir())
