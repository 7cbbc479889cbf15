"""What `requests` sends on: one TLS context, pools found by origin, and a connection that says if it stood.

`requests` spends its time preparing, choosing pools and wrapping answers, not sending: so requests are built
ready-made, the TLS context is shared (loading the CA bundle costs 30 ms), and cookies, proxies and .netrc
from the environment do not exist here.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

from batchrunner.providers.addresses import Resolve, resolve
from batchrunner.providers.failures import NotSentError, UnclearError, never_left, words

Kinds: TypeAlias = tuple[type[HTTPConnection], type[HTTPSConnection]]


def _public_trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())


@dataclass(frozen=True, slots=True)
class Net:
    """The outside as it is reached: names, sockets, certificates. Tests hand in another."""

    resolve: Resolve = resolve
    connect: Callable[..., socket.socket] = create_connection
    trust: Callable[[], ssl.SSLContext] = _public_trust


class Tls:
    """One TLS context for every connection, made when the first one needs it."""

    def __init__(self, trust: Callable[[], ssl.SSLContext]) -> None:
        self._trust = trust

    @cached_property
    def context(self) -> ssl.SSLContext:
        """Verifies names and certificates, whatever the environment says."""
        return self._trust()


class _Request(requests.PreparedRequest):
    """A request that knows where its connection may go."""

    addresses: tuple[str, ...] = ()


class Adapter(HTTPAdapter):
    """An HTTPAdapter without what is decided already: pools by origin, bare responses, no proxies."""

    def __init__(self, tls: Tls, connections: int = 1) -> None:
        self._tls = tls
        self._connections = connections
        self._pools: dict[tuple[str, str], HTTPConnectionPool] = {}
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=0)

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the pool of the request's origin."""
        key = origin(request.url)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools.setdefault(key, self._new_pool(request.url))
        return pool

    def _new_pool(self, url: str) -> HTTPConnectionPool:
        return pool_of(url, self._tls, maxsize=self._connections)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Do nothing: the shared context verifies, and knows the CA bundle already."""

    def request_url(self, request: Any, proxies: Any) -> str:
        """Return path and query; there is no proxy."""
        _scheme, _, rest = request.url.partition("://")
        _host, slash, path = rest.partition("/")
        return f"{slash or '/'}{path.partition('#')[0]}"

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        """Return a response without cookies and encodings: bodies are read as bytes."""
        response = requests.Response()
        response.status_code = resp.status
        response.headers = resp.headers
        response.raw = resp
        response.url = req.url
        response.request = req
        return response

    def close(self) -> None:
        """Close every pool."""
        for pool in self._pools.values():
            pool.close()
        super().close()


class LoneAdapter(Adapter):
    """Carries one request on one new connection, which notes here whether it came to stand."""

    def __init__(self, tls: Tls) -> None:
        self.stood = False
        self.fell = False
        super().__init__(tls)

    def proves_unsent(self, error: Exception) -> bool:
        """Tell whether nothing can have left: the connection says so, or there was no address to go to.

        Only a spoken "it failed" counts, never a missing "it stood": so a library that went another way than
        through this adapter's connection could not turn a paid request into one that "never left".
        """
        return not self.stood and (self.fell or isinstance(error, NotSentError))

    def _new_pool(self, url: str) -> HTTPConnectionPool:
        return pool_of(url, self._tls, (_NotingHTTP, _NotingHTTPS), maxsize=1, noting=self)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make none: this adapter has its own pool, once."""

    def close(self) -> None:
        """Close the connection."""
        for pool in self._pools.values():
            pool.close()


class _NotingHTTP(HTTPConnection):
    """A connection that notes on its adapter whether it came to stand."""

    def __init__(self, *args: Any, noting: LoneAdapter, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._noting = noting

    def connect(self) -> None:
        """Connect, and note what came of it."""
        with _noted(self._noting):
            super().connect()


class _NotingHTTPS(HTTPSConnection):
    """The same over TLS: it stands once the handshake is over."""

    def __init__(self, *args: Any, noting: LoneAdapter, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._noting = noting

    def connect(self) -> None:
        """Connect, and note what came of it."""
        with _noted(self._noting):
            super().connect()


@contextlib.contextmanager
def _noted(adapter: LoneAdapter) -> Iterator[None]:
    try:
        yield
    except BaseException:
        adapter.fell = True
        raise
    adapter.stood = True


def origin(url: str) -> tuple[str, str]:
    """Return scheme and authority, by which pools are found."""
    scheme, _, rest = url.partition("://")
    return scheme, rest.partition("/")[0]


def pool_of(url: str, tls: Tls, kinds: Kinds | None = None, **kept: Any) -> HTTPConnectionPool:
    """Return a new pool for a URL's origin, of connections of these kinds."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    pool: HTTPConnectionPool
    if parts.scheme == "https":
        pool = HTTPSConnectionPool(host, parts.port or 443, ssl_context=tls.context, **kept)
    else:
        pool = HTTPConnectionPool(host, parts.port or 80, **kept)
    if kinds is not None:
        pool.ConnectionCls = kinds[parts.scheme == "https"]
    return pool


def send(
    adapter: Adapter,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: tuple[float, float],
    addresses: tuple[str, ...] = (),
) -> requests.Response:
    """Send one request; the body of the answer is still to be read. `addresses` are for a PinnedAdapter.

    Raises:
        NotSentError, UnclearError: there is no answer.
    """
    prepared = _Request()
    prepared.addresses = addresses
    prepared.method, prepared.url, prepared.body = method, url, body
    prepared.headers = dict(headers)  # type: ignore[assignment]
    if body is not None:
        prepared.headers["Content-Length"] = str(len(body))
    try:
        return adapter.send(prepared, stream=True, timeout=timeout)
    except Exception as error:
        raise (NotSentError if never_left(error) else UnclearError)(words(error)) from error
