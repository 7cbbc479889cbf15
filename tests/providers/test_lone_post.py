"""A paid POST on raw sockets: peers that break off before they have read anything, and TLS that is none."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from batchrunner.providers.http import Http, NotSentError, UnclearError

Peer = Callable[[socket.socket], None]
BODY = b'{"model": "m", "payload": {}}'
LARGE = bytes(8 << 20)  # more than the buffers of both sides: it cannot be sent whole unless it is read


class Raw:
    """A listener that hands every new connection, unread, to a function."""

    def __init__(self, listener: socket.socket, peer: Peer) -> None:
        self.port = int(listener.getsockname()[1])
        self.connections = 0
        self._listener = listener
        self._peer = peer

    def serve(self) -> None:
        """Take connections one by one until the listener is closed."""
        with suppress(OSError):
            while True:
                connection, _address = self._listener.accept()
                self.connections += 1
                with suppress(OSError), connection:
                    connection.settimeout(5)
                    self._peer(connection)


@contextmanager
def listening(peer: Peer) -> Iterator[Raw]:
    """Run a raw server on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        raw = Raw(listener, peer)
        thread = threading.Thread(target=raw.serve, daemon=True)
        thread.start()
        try:
            yield raw
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def close(_peer: socket.socket) -> None:
    """Close at once, which the function's end does."""


def reset(peer: socket.socket) -> None:
    """Break off with an error on the other side, and nothing read: but not before it could connect."""
    peer.recv(1, socket.MSG_PEEK)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def read_some_and_close(peer: socket.socket) -> None:
    """Read a piece of the request and close."""
    peer.recv(10)


def greet(peer: socket.socket) -> None:
    """Speak first, in plain text, and wait for the other side to give up."""
    peer.sendall(b"220 mail.example.com ESMTP\r\n")
    with suppress(OSError):
        while peer.recv(1 << 16):
            pass


def plain_refusal(peer: socket.socket) -> None:
    """Answer whatever comes like a web server that was spoken to in TLS."""
    peer.recv(1 << 16)
    peer.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


EARLY: Mapping[str, Peer] = {"close": close, "reset": reset, "read some and close": read_some_and_close}


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("peer", EARLY)
def test_a_connection_that_stood_and_broke_is_unclear(peer: str, body: bytes) -> None:
    """Even where hardly anything can have been read: the connection stood, so nothing is claimed."""
    with listening(EARLY[peer]) as raw:
        url = f"http://127.0.0.1:{raw.port}"
        with pytest.raises(UnclearError):
            Http(url).post_once(f"{url}/x", {}, body, read_s=2)

    assert 1 == raw.connections


@pytest.mark.parametrize("peer", [greet, plain_refusal, close, reset])
def test_where_no_tls_stands_nothing_was_sent(peer: Peer) -> None:
    """A peer that speaks plain text, or nothing, on https never saw the request."""
    seen: list[bytes] = []

    def watched(connection: socket.socket) -> None:
        seen.append(connection.recv(1 << 16, socket.MSG_PEEK))
        peer(connection)

    with listening(watched) as raw:
        url = f"https://127.0.0.1:{raw.port}"
        with pytest.raises(NotSentError):
            Http(url).post_once(f"{url}/x", {"Authorization": "Bearer canary"}, BODY, read_s=2)

    assert 1 == raw.connections
    assert not any(b"canary" in data or b"model" in data for data in seen)


def test_the_environment_names_no_certificates(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither a missing nor an empty bundle in the environment is looked at: requests would fail on both."""
    empty: Path = tmp_path_factory.mktemp("ca") / "empty.pem"
    empty.touch()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(empty.with_name("missing.pem")))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(empty))
    with listening(greet) as raw:
        url = f"https://127.0.0.1:{raw.port}"
        with pytest.raises(NotSentError, match="secure connection"):
            Http(url).post_once(f"{url}/x", {}, BODY, read_s=2)

    assert 1 == raw.connections


def test_an_answer_before_the_request_was_read_is_an_answer() -> None:
    """A server may refuse a large body while it still comes; what it says is heard, or nothing is claimed."""

    def refuse(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        peer.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while peer.recv(1 << 20):
                pass

    with listening(refuse) as raw:
        url = f"http://127.0.0.1:{raw.port}"
        told = Http(url).post_once(f"{url}/x", {}, LARGE, read_s=2)

    assert (413, b"{}") == (told.status, told.body)
    assert 1 == raw.connections
