"""A server whose every move on the wire is scripted: it answers, lies, stalls or hangs up as a test says."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Asked:
    """One request as it came over the wire, and on which connection (from 1)."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


Script: TypeAlias = Callable[[Asked, socket.socket], None]


# Says that its holder is storage.test and cdn.test; only tests trust it, and its key is no secret.
CERTIFICATE = Path(__file__).with_name("storage-test.pem")


class Wire:
    """What a server saw; over TLS also the names that it was asked for."""

    def __init__(self, listener: socket.socket, script: Script, certificate: Path | None = None) -> None:
        self.asked: list[Asked] = []
        self.names: list[str | None] = []
        self.connections = 0
        self._tls = self._serving_tls(certificate) if certificate else None
        self._listener = listener
        self._script = script
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """The port on loopback."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                peer, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(peer)
            thread = threading.Thread(target=self._talk, args=(peer, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Hang up on everybody."""
        for peer in self._open:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _serving_tls(self, certificate: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = lambda _peer, name, _context: self.names.append(name)
        return context

    def _talk(self, peer: socket.socket, number: int) -> None:
        if self._tls:
            try:
                peer = self._tls.wrap_socket(peer, server_side=True)
            except OSError:
                return
            self._open.append(peer)
        with suppress(OSError, ValueError), peer, peer.makefile("rb") as stream:
            while asked := _read(stream, number):
                self.asked.append(asked)
                self._script(asked, peer)


def _read(stream: Any, number: int) -> Asked | None:
    line = stream.readline().decode("latin-1").split()
    if len(line) != 3 or not line[2].startswith("HTTP/"):  # a TLS greeting may have three words by chance
        return None
    headers: dict[str, str] = {}
    while text := stream.readline().decode("latin-1").strip():
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    return Asked(line[0], line[1], headers, body, number)


@contextmanager
def serving(script: Script, certificate: Path | None = None) -> Iterator[Wire]:
    """Run a scripted server on loopback; over TLS where there is a certificate."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(listener, script, certificate)
        thread = threading.Thread(target=wire.serve, daemon=True)
        thread.start()
        try:
            yield wire
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            wire.stop()


def answer(status: int, body: bytes | str | Any = b"", **headers: str) -> bytes:
    """Return a whole answer; a body that is neither bytes nor text is sent as JSON."""
    if not isinstance(body, bytes | str):
        body = json.dumps(body)
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def always(data: bytes) -> Script:
    """Answer every request with these bytes."""
    return lambda _asked, peer: peer.sendall(data)


def in_turn(*answers: bytes) -> Script:
    """Answer with one after the other, the last one for ever."""
    left = list(answers)
    return lambda _asked, peer: peer.sendall(left.pop(0) if len(left) > 1 else left[0])


def hang_up(data: bytes = b"") -> Script:
    """Send a part of an answer, or none, and close the connection."""

    def script(_asked: Asked, peer: socket.socket) -> None:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_RDWR)

    return script


def reset(_asked: Asked, peer: socket.socket) -> None:
    """Break the connection off so that the other side gets an error, not an end."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.close(peer.detach())  # at once, although a reader still holds the object


def silent(_asked: Asked, _peer: socket.socket) -> None:
    """Never answer."""


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
