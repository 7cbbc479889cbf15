"""Connections that go where it was checked, and nowhere else.

Between two look-ups a name can be made to stand for this machine (DNS rebinding). So a storage host is
connected to at the addresses that were found to be public, and its name is not looked up again; certificate,
SNI and Host header stay with the name.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from batchrunner.providers.adapters import Adapter, Tls, origin, pool_of

ADDRESSES_MAX = 4  # tried for one connection; each may take the whole time limit
ORIGINS_MAX = 32  # storage hosts with kept-alive connections


class PinnedAdapter(Adapter):
    """Connects to the addresses that a request brings; a name is never looked up here.

    A pool lives as long as its origin is asked for at the very same addresses: so no request travels on a
    connection that was made for another check.
    """

    def __init__(self, tls: Tls, connect: Callable[..., socket.socket], connections: int) -> None:
        self._connect = connect
        self._pinned: dict[tuple[str, str], tuple[tuple[str, ...], HTTPConnectionPool]] = {}
        super().__init__(tls, connections)

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the pool of the request's origin and addresses."""
        key = origin(request.url)
        pinned = self._pinned.get(key)
        if pinned is None or pinned[0] != request.addresses:
            pin = _Pin(request.addresses, self._connect)
            kinds = (_PinnedHTTP, _PinnedHTTPS)
            pool = pool_of(request.url, self._tls, kinds, maxsize=self._connections, pin=pin)
            # The pool that was here is not closed but let go: a thread may be about to use it. Its idle
            # connections close when the last one has.
            if len(self._pinned) >= ORIGINS_MAX:
                self._pinned.clear()
            self._pinned[key] = pinned = (request.addresses, pool)
        return pinned[1]

    def close(self) -> None:
        """Close every pool."""
        for _addresses, pool in self._pinned.values():
            pool.close()
        super().close()


class _Pin:
    """The addresses that one pool may connect to, in the order to try them."""

    def __init__(self, addresses: tuple[str, ...], connect: Callable[..., socket.socket]) -> None:
        self._addresses = addresses
        self._connect = connect

    def reach(self, connection: HTTPConnection) -> socket.socket:
        """Return a socket to the first address that takes it; from then on that one is tried first.

        Raises:
            ConnectTimeoutError, NewConnectionError: none did.
        """
        problem: OSError | None = None
        for address in self._addresses[:ADDRESSES_MAX]:
            try:
                options = connection.socket_options
                reached = self._connect(
                    (address, connection.port), connection.timeout, socket_options=options
                )
            except OSError as error:
                problem = error
                continue
            if address != self._addresses[0]:
                self._addresses = (address, *(one for one in self._addresses if one != address))
            return reached
        if isinstance(problem, TimeoutError):
            raise ConnectTimeoutError(connection, "no address answers") from problem
        raise NewConnectionError(connection, "no address takes a connection") from problem


class _PinnedHTTP(HTTPConnection):
    """A connection to checked addresses."""

    def __init__(self, *args: Any, pin: _Pin, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pin = pin

    def _new_conn(self) -> socket.socket:
        return self._pin.reach(self)


class _PinnedHTTPS(HTTPSConnection):
    """The same over TLS, which asks for the name."""

    def __init__(self, *args: Any, pin: _Pin, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pin = pin

    def _new_conn(self) -> socket.socket:
        return self._pin.reach(self)
