"""The door to HTTP, over real sockets: what provably never left, what is unclear, where it does not go."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from batchrunner.providers.addresses import is_loopback, is_public
from batchrunner.providers.http import (
    BODY_MAX,
    Http,
    NotSentError,
    RefusedUrlError,
    Response,
    UnclearError,
)
from tests.providers.wire import (
    Asked,
    Script,
    always,
    answer,
    closed_port,
    hang_up,
    in_turn,
    reset,
    serving,
    silent,
)

HELLO = answer(200, {"hello": "there"}, Content_Type="application/json")
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"
AUTH = {"Authorization": "Bearer canary"}


@pytest.fixture
def http() -> Iterator[Http]:
    """An Http whose base is loopback."""
    client = Http("http://127.0.0.1:1")
    yield client
    client.close()


def trickle(_asked: Asked, peer: socket.socket) -> None:
    """Send a body in small pieces."""
    peer.sendall(WHOLE)
    for _ in range(20):
        peer.sendall(b"ab")


# --- POST once ----------------------------------------------------------------------------------------

UNCLEAR: Mapping[str, Script] = {
    "closed after reading": hang_up(),
    "reset after reading": reset,
    "closed in the status line": hang_up(b"HTTP/1.1 2"),
    "closed in the body": hang_up(WHOLE + b'{"request_id": "abc'),
    "not HTTP": hang_up(b"220 smtp.example.com ESMTP\r\n"),
    "no answer": silent,
    "huge body": always(answer(200, b"x" * (BODY_MAX + 1))),
    "packed huge body": always(answer(200, gzip.compress(bytes(64 << 20)), Content_Encoding="gzip")),
    "badly packed body": always(answer(200, b"not gzip at all", Content_Encoding="gzip")),
    "bad chunk": hang_up(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "cut between chunks": hang_up(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"),
}


@pytest.mark.parametrize("fault", UNCLEAR)
def test_a_post_that_goes_wrong_after_connecting_is_unclear_and_sent_once(http: Http, fault: str) -> None:
    """Whatever happens on a connection that stood, there is one POST on the wire and no claim about it."""
    with serving(UNCLEAR[fault]) as wire:
        with pytest.raises(UnclearError):
            http.post_once(f"{wire.url}/x", AUTH, b"{}", read_s=0.3)

        assert ["POST"] == [asked.method for asked in wire.asked]
        assert 1 == wire.connections


def test_a_refused_connection_never_left(http: Http) -> None:
    """Nobody listens: nothing was sent."""
    with pytest.raises(NotSentError, match="no connection"):
        http.post_once(f"http://127.0.0.1:{closed_port()}/x", AUTH, b"{}", read_s=1)


def test_an_unknown_name_never_left(http: Http) -> None:
    """The name cannot be resolved: nothing was sent (RFC 2606 keeps .invalid free)."""
    with pytest.raises(NotSentError, match="resolved"):
        http.post_once("http://nobody.invalid/x", AUTH, b"{}", read_s=1)


@pytest.mark.parametrize("url", ["http://", "http://[::1", "ftp://127.0.0.1/x"])
def test_what_is_no_address_is_never_connected_to(http: Http, url: str) -> None:
    """A broken URL brings one of the two errors, not a third."""
    with pytest.raises((NotSentError, UnclearError)):
        http.post_once(url, AUTH, b"{}", read_s=1)


def test_a_failed_tls_handshake_never_left() -> None:
    """A connection that never became secure carried nothing."""
    with serving(silent) as wire:
        https = f"https://127.0.0.1:{wire.port}"
        with pytest.raises(NotSentError):
            Http(https).post_once(f"{https}/x", AUTH, b"{}", read_s=0.5)

    assert [] == wire.asked


def test_every_post_has_a_connection_of_its_own(http: Http) -> None:
    """Kept-alive connections are never used for a POST that counts, and it says that it wants none."""
    with serving(always(HELLO)) as wire:
        http.get(f"{wire.url}/warm", {})
        for _ in range(3):
            http.post_once(f"{wire.url}/x", AUTH, b"{}", read_s=5)

    posts = [asked for asked in wire.asked if asked.method == "POST"]
    assert [2, 3, 4] == [asked.connection for asked in posts]
    assert {"close"} == {asked.headers["connection"] for asked in posts}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_post_follows_no_redirect(http: Http, status: int) -> None:
    """A redirect is an answer like any other; following it could send the POST, or the key, twice."""
    with serving(always(HELLO)) as other, serving(always(answer(status, Location=other.url))) as wire:
        told = http.post_once(f"{wire.url}/x", AUTH, b"{}", read_s=5)

    assert status == told.status
    assert [] == other.asked
    assert 1 == len(wire.asked)


def test_a_post_arrives_as_it_was_given(http: Http) -> None:
    """Method, path, query, body and headers are on the wire byte for byte."""
    with serving(always(HELLO)) as wire:
        told = http.post_once(f"{wire.url}/a/b?c=d%20e", AUTH, "ü".encode(), read_s=5)

    (asked,) = wire.asked
    assert ("POST", "/a/b?c=d%20e", "ü".encode()) == (asked.method, asked.target, asked.body)
    assert "Bearer canary" == asked.headers["authorization"]
    assert b'{"hello": "there"}' == told.body


HEAD = b"HTTP/1.1 200 OK\r\n"
LONG_HEADS: Mapping[str, bytes] = {
    "a thousand headers": HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(1000)) + b"\r\n",
    "a header without end": HEAD + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
    "a status without end": b"HTTP/1.1 200 " + b"O" * 200_000 + b"\r\n\r\n",
    "a chunk size without end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 200_000,
}


@pytest.mark.parametrize("head", LONG_HEADS)
def test_no_head_of_an_answer_fills_the_memory(http: Http, head: str) -> None:
    """Counts and lengths have caps for every verb; what goes beyond them proves nothing."""
    with serving(hang_up(LONG_HEADS[head])) as wire:
        with pytest.raises(UnclearError):
            http.post_once(f"{wire.url}/x", AUTH, b"{}", read_s=2)
        with pytest.raises(UnclearError):
            http.get(f"{wire.url}/x", AUTH, read_s=2)
        with pytest.raises(UnclearError), http.stream(f"{wire.url}/x", {}) as told:
            list(told.chunks)


# --- GET ----------------------------------------------------------------------------------------------


def test_gets_share_a_connection(http: Http) -> None:
    """A connection is kept alive and used again."""
    with serving(always(HELLO)) as wire:
        told = [http.get(f"{wire.url}/{number}", {}).status for number in range(5)]

    assert [200] * 5 == told
    assert 1 == wire.connections


def test_threads_do_not_mix_up_their_answers(http: Http) -> None:
    """Many threads at once each get the answer to their own question."""

    def echo(asked: Asked, peer: socket.socket) -> None:
        peer.sendall(answer(200, asked.target.encode()))

    with serving(echo) as wire, ThreadPoolExecutor(8) as pool:
        paths = [f"/{number}" for number in range(200)]
        told = list(pool.map(lambda path: http.get(wire.url + path, {}).body.decode(), paths))

    assert paths == told


def test_a_connection_that_the_server_closed_is_replaced(http: Http) -> None:
    """A kept-alive connection that has died meanwhile costs no request."""

    def once(_asked: Asked, peer: socket.socket) -> None:
        peer.sendall(HELLO)
        peer.shutdown(socket.SHUT_RDWR)

    with serving(once) as wire:
        http.get(wire.url, {})
        time.sleep(0.05)  # until the server's goodbye has arrived
        told = http.get(wire.url, {})

    assert 200 == told.status
    assert 2 == wire.connections


def test_the_connection_of_a_broken_answer_is_not_used_again(http: Http) -> None:
    """What is left of an answer that was too large never becomes the next answer's beginning."""
    huge = answer(200, b"x" * (BODY_MAX + 100))
    with serving(in_turn(huge, HELLO)) as wire:
        with pytest.raises(UnclearError, match="larger than"):
            http.get(wire.url, {})
        told = http.get(wire.url, {})

    assert b'{"hello": "there"}' == told.body


def test_a_caller_may_allow_a_larger_body(http: Http) -> None:
    """The cap is the caller's."""
    with serving(always(answer(200, b"x" * (BODY_MAX + 1)))) as wire:
        told = http.get(wire.url, {}, max_bytes=2 * BODY_MAX)

    assert BODY_MAX + 1 == len(told.body)


def test_packed_and_chunked_answers_are_understood(http: Http) -> None:
    """Gateways may pack and cut what the API says."""
    packed = gzip.compress(b"hello " * 1000)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (packed[:9], packed[9:20], packed[20:]))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(always(head + chunks + b"0\r\n\r\n")) as wire:
        told = [http.get(wire.url, {}).body for _ in range(2)]

    assert [b"hello " * 1000] * 2 == told
    assert 1 == wire.connections


def test_a_body_that_trickles_is_given_up() -> None:
    """Every read is in time, and yet the whole takes too long."""
    seconds = iter(range(0, 10_000, 30))
    client = Http("http://127.0.0.1:1", elapsed_s=lambda: float(next(seconds)))

    def slow(_asked: Asked, peer: socket.socket) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50)

    with serving(slow) as wire, pytest.raises(UnclearError, match="not whole after"):
        client.get(wire.url, {}, read_s=2)


def test_headers_are_found_in_any_case(http: Http) -> None:
    """A header's name has no case."""
    with serving(always(answer(429, b"", RETRY_AFTER="7"))) as wire:
        told: Response = http.get(wire.url, {})

    assert "7" == told.headers.get("retry-after")


def test_proxies_and_netrc_of_the_environment_are_not_used(
    http: Http, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The environment cannot send the key elsewhere nor put another one in."""
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password eve")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with serving(always(HELLO)) as wire:
        http.get(wire.url, {})
        http.post_once(wire.url, {}, b"{}", read_s=5)

    assert ["GET", "POST"] == [asked.method for asked in wire.asked]
    assert not any("authorization" in asked.headers for asked in wire.asked)


# --- storage hosts ------------------------------------------------------------------------------------


def test_a_stream_gives_the_body_in_pieces_as_it_comes(http: Http) -> None:
    """Nothing is unpacked or held back, and the server is asked not to pack."""
    with serving(trickle) as wire, http.stream(wire.url, {}) as told:
        body = b"".join(told.chunks)

    assert b"ab" * 20 == body
    assert "identity" == wire.asked[0].headers["accept-encoding"]


def test_a_stream_that_is_cut_off_is_unclear(http: Http) -> None:
    """An end before the announced length is an error, not a shorter file."""
    with (
        serving(hang_up(WHOLE + b"only this")) as wire,
        pytest.raises(UnclearError),
        http.stream(wire.url, {}) as told,
    ):
        list(told.chunks)


def test_a_stream_follows_three_redirects_and_no_more(http: Http) -> None:
    """Storage may redirect; not for ever."""
    there = answer(302, Location="/there")
    with serving(in_turn(there, there, there, HELLO)) as wire, http.stream(wire.url, {}) as told:
        assert 200 == told.status

    with (
        serving(always(there)) as wire,
        pytest.raises(RefusedUrlError, match="redirects"),
        http.stream(wire.url, {}),
    ):
        pass

    assert 4 == len(wire.asked)


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest",
        "https://[::1",
        "file:///etc/passwd",
        "https://u@h/",
    ],
)
def test_every_redirect_is_checked_like_the_first_address(http: Http, location: str) -> None:
    """A public address that leads to a private one is refused there."""
    with (
        serving(always(answer(302, Location=location))) as wire,
        pytest.raises(RefusedUrlError),
        http.stream(wire.url, {}),
    ):
        pass

    assert 1 == len(wire.asked)


@pytest.mark.parametrize(
    "url",
    [
        "http://storage.googleapis.com/x",
        "http://127.0.0.1:8000/x",
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://2130706433/x",
        "https://0x7f000001/x",
        "https://0/x",
        "https://localhost/x",
        "https://[::1]/x",
        "https://[::]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://[2002:7f00:1::]/x",
        "https://10.1.2.3/x",
        "https://172.16.0.1/x",
        "https://192.168.1.1/x",
        "https://100.64.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://224.0.0.1/x",
        "https://user:secret@8.8.8.8/x",
        "https://@8.8.8.8/x",
        "https://8.8.8.8:99999/x",
        "https://[8.8.8.8/x",
        "https:///x",
        "ftp://8.8.8.8/x",
        "file:///etc/passwd",
        "//8.8.8.8/x",
        "",
    ],
)
def test_a_public_base_leads_to_no_private_address(url: str) -> None:
    """With a real provider, neither downloads nor uploads go anywhere but to public https."""
    with pytest.raises(RefusedUrlError):
        Http("https://8.8.8.8").check(url)


def test_a_public_address_is_visited() -> None:
    """What is not refused is let through, without a word."""
    Http("https://8.8.8.8").check("https://8.8.4.4/x?signature=y")


def test_a_plain_base_url_is_refused_unless_it_is_loopback() -> None:
    """The key does not travel in the clear."""
    with pytest.raises(RefusedUrlError):
        Http("http://console.example.com")
    for base in ("https://user:canary@8.8.8.8", "https://canary@8.8.8.8", "ftp://127.0.0.1", ""):
        with pytest.raises(RefusedUrlError) as caught:
            Http(base)
        assert "canary" not in str(caught.value)

    Http("http://localhost:8080").close()


@pytest.mark.parametrize(
    ("address", "public"),
    [("8.8.8.8", True), ("2606:4700::1111", True), ("64:ff9b::808:808", True), ("::ffff:8.8.8.8", True)]
    + [(private, False) for private in ("fe80::1%eth0", "fc00::1", "64:ff9b:1::1", "ff02::1", "fec0::1")],
)
def test_addresses_inside_addresses_are_looked_through(address: str, public: bool) -> None:
    """An IPv4 address counts as what it is, also inside an IPv6 one."""
    assert public == is_public(address)


def test_loopback_is_known_by_its_literal_name_only() -> None:
    """No name is resolved to find out."""
    assert is_loopback("http://127.9.9.9:1/")
    assert is_loopback("http://[::1]:1/")
    assert not is_loopback("http://localhost.example.com/")
    assert not is_loopback("http://[::1")
