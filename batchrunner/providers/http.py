"""The one door to `requests`.

Two rules make it safe. A POST travels alone: a connection of its own that is closed afterwards, no
redirect, no retry; and it "never left" only if that connection never stood, which the connection itself
notes. Everything else that goes wrong is unclear. And the key's calls go to the API only: storage hosts
are reached through `stream` and `put`, which know no key.

One rule makes it fast. `requests` spends its time preparing, choosing pools and wrapping answers, not
sending: so requests are built ready-made, pools are found by origin, one TLS context is shared (loading the
CA bundle costs 30 ms), and cookies, proxies and .netrc from the environment do not exist here.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urljoin, urlsplit

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

CONNECT_S = 10.0
READ_S = 60.0
BODY_MAX = 1 << 20  # an answer of the API; a record is about 2 kB, a long list some hundreds
REDIRECTS_MAX = 3
CHUNK = 1 << 18


class NotSentError(Exception):
    """No connection came to stand, so nothing can have reached the other side."""


class UnclearError(Exception):
    """Whether anything reached the other side is not known."""


class RefusedUrlError(Exception):
    """A URL that this program does not visit."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whole. `headers` are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose body is still to be read."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class Http:
    """HTTP for one base URL and the storage that it names. Safe to share between threads.

    Loopback addresses and plain http are visited only if `base_url` is itself a loopback address.

    Raises:
        RefusedUrlError: `base_url` is plain http and not loopback.
    """

    def __init__(self, base_url: str, *, connections: int = 16) -> None:
        self._loopback = is_loopback(base_url)
        self._tls = _Tls()
        self._pooled = _Adapter(self._tls, connections)
        if not self._loopback and urlsplit(base_url).scheme != "https":
            raise RefusedUrlError(f"only https is visited: {redacted(base_url)}")

    def get(self, url: str, headers: Mapping[str, str], *, read_s: float = READ_S) -> Response:
        """GET over a kept-alive connection; may be repeated.

        Raises:
            NotSentError, UnclearError: there is no answer, or it is too large.
        """
        return self._whole(self._pooled, "GET", url, headers, None, (CONNECT_S, read_s))

    def post(self, url: str, headers: Mapping[str, str], body: bytes, *, read_s: float = READ_S) -> Response:
        """POST over a kept-alive connection: only for what may be repeated.

        Raises:
            NotSentError, UnclearError: there is no answer, or it is too large.
        """
        return self._whole(self._pooled, "POST", url, headers, body, (CONNECT_S, read_s))

    def post_once(self, url: str, headers: Mapping[str, str], body: bytes, *, read_s: float) -> Response:
        """POST at most once, on a connection of its own.

        Raises:
            NotSentError: the connection never stood.
            UnclearError: anything else, an answer larger than the cap included.
        """
        adapter = _LoneAdapter(self._tls)
        try:
            return self._whole(
                adapter, "POST", url, {**headers, "Connection": "close"}, body, (CONNECT_S, read_s)
            )
        except UnclearError as error:
            if not adapter.stood:
                raise NotSentError(str(error)) from error
            raise
        except NotSentError as error:
            if adapter.stood:
                raise UnclearError(str(error)) from error
            raise
        finally:
            adapter.close()

    def put(self, url: str, headers: Mapping[str, str], data: bytes) -> Response:
        """PUT a file's bytes to a storage host; may be repeated.

        Raises:
            RefusedUrlError: the host is not one to visit.
            NotSentError, UnclearError: there is no answer.
        """
        self.check(url)
        return self._whole(self._pooled, "PUT", url, headers, data, (CONNECT_S, READ_S))

    @contextlib.contextmanager
    def stream(self, url: str, headers: Mapping[str, str]) -> Iterator[Stream]:
        """GET from a storage host without any key, following a few redirects, each checked like the first.

        Raises:
            RefusedUrlError: a host is not one to visit.
            NotSentError, UnclearError: there is no answer, also while the body is read.
        """
        for _ in range(REDIRECTS_MAX + 1):
            self.check(url)
            sent = {**headers, "Accept-Encoding": "identity"}
            answer = _send(self._pooled, "GET", url, sent, None, (CONNECT_S, READ_S))
            with contextlib.closing(answer):
                if answer.status_code not in {301, 302, 303, 307, 308}:
                    yield Stream(answer.status_code, answer.headers, _chunks(answer))
                    return
                url = urljoin(url, answer.headers.get("Location", ""))
        raise RefusedUrlError(f"more than {REDIRECTS_MAX} redirects")

    def check(self, url: str) -> None:
        """Refuse what is not https to a public address (or loopback, for a loopback base).

        Raises:
            RefusedUrlError: with the reason.
            NotSentError: the name cannot be resolved.
        """
        parts = urlsplit(url)
        if not parts.hostname or parts.username or parts.password:
            raise RefusedUrlError(f"not a plain URL: {redacted(url)}")
        if self._loopback and is_loopback(url) and parts.scheme in {"http", "https"}:
            return
        if parts.scheme != "https":
            raise RefusedUrlError(f"only https is visited: {redacted(url)}")
        for address in _addresses(parts.hostname, parts.port or 443):
            if not is_public(address):
                raise RefusedUrlError(f"{parts.hostname} is not a public address ({address})")

    def close(self) -> None:
        """Close the kept-alive connections."""
        self._pooled.close()

    def _whole(
        self,
        adapter: HTTPAdapter,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: tuple[float, float],
    ) -> Response:
        answer = _send(adapter, method, url, headers, body, timeout)
        try:
            data = answer.raw.read(BODY_MAX + 1, decode_content=True)
        except (HTTPError, OSError, ValueError) as error:
            answer.close()
            raise UnclearError(_words(error)) from error
        if len(data) > BODY_MAX:
            answer.close()
            raise UnclearError(f"the answer is larger than {BODY_MAX:,} bytes")
        # An answer that ends before its announced length raises in read(); here it is whole.
        answer.raw.release_conn()
        return Response(answer.status_code, answer.headers, data)


# --- the adapters -------------------------------------------------------------------------------------


class _Tls:
    """One TLS context for every connection, made when the first one needs it."""

    @cached_property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=certifi.where())


class _Adapter(HTTPAdapter):
    """An HTTPAdapter without what is decided already: pools by origin, bare responses, no proxies."""

    def __init__(self, tls: _Tls, connections: int = 1) -> None:
        self._tls = tls
        self._connections = connections
        self._pools: dict[tuple[str, str], HTTPConnectionPool] = {}
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=0)

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the pool of the request's origin."""
        scheme, _, rest = request.url.partition("://")
        key = (scheme, rest.partition("/")[0])
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools.setdefault(key, self._new_pool(request.url))
        return pool

    def _new_pool(self, url: str) -> HTTPConnectionPool:
        return _pool(url, self._tls, {"maxsize": self._connections})

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


class _LoneAdapter(_Adapter):
    """Carries one request on one new connection; `stood` tells whether that connection came to stand."""

    def __init__(self, tls: _Tls) -> None:
        self.stood = False
        super().__init__(tls)

    def _new_pool(self, url: str) -> HTTPConnectionPool:
        return _pool(url, self._tls, {"maxsize": 1}, noting=self)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make none: this adapter has its own pool, once."""

    def close(self) -> None:
        """Close the connection."""
        for pool in self._pools.values():
            pool.close()


def _pool(
    url: str, tls: _Tls, options: dict[str, Any], noting: _LoneAdapter | None = None
) -> HTTPConnectionPool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    pool: HTTPConnectionPool
    if parts.scheme == "https":
        pool = HTTPSConnectionPool(host, parts.port or 443, ssl_context=tls.context, **options)
    else:
        pool = HTTPConnectionPool(host, parts.port or 80, **options)
    if noting is not None:
        pool.ConnectionCls = _noting(pool.ConnectionCls, noting)
    return pool


def _noting(base: Any, adapter: _LoneAdapter) -> Any:
    """Return a connection class that notes on `adapter` when a connection stands (TCP, and TLS if any)."""

    class Noting(base):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            adapter.stood = True

    return Noting


def _send(
    adapter: HTTPAdapter,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: tuple[float, float],
) -> requests.Response:
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url, prepared.body = method, url, body  # type: ignore[assignment]
    prepared.headers = dict(headers)  # type: ignore[assignment]
    if body is not None:
        prepared.headers["Content-Length"] = str(len(body))
    try:
        return adapter.send(prepared, stream=True, timeout=timeout)
    except Exception as error:
        raise outcome_of(error)(_words(error)) from error


# What `requests` raises before a connection stands. All else, known or new, is unclear.
NOT_SENT: tuple[type[Exception], ...] = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)
NOT_SENT_CAUSES = frozenset({"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"})


def outcome_of(error: Exception) -> type[NotSentError] | type[UnclearError]:
    """Translate an exception of requests or urllib3: what provably never left, and everything else."""
    if isinstance(error, NOT_SENT):
        return NotSentError
    if isinstance(error, requests.exceptions.ConnectionError):
        cause = getattr(error.args[0], "reason", None) if error.args else None
        return NotSentError if type(cause).__name__ in NOT_SENT_CAUSES else UnclearError
    return UnclearError


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    try:
        while chunk := answer.raw.read(CHUNK, decode_content=False):
            yield chunk
    except (HTTPError, OSError) as error:
        raise UnclearError(_words(error)) from error


# --- addresses ----------------------------------------------------------------------------------------


def is_loopback(url: str) -> bool:
    """Tell whether a URL's host is this machine, by its literal name: nothing is resolved."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_public(address: str) -> bool:
    """Tell whether an IP address is a public one, also where it hides in IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip in ipaddress.ip_network("64:ff9b::/96"):
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.is_global and not ip.is_multicast


def redacted(url: str) -> str:
    """Return a URL without what may be secret: user, password, query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def _addresses(host: str, port: int) -> set[str]:
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise NotSentError(f"cannot resolve {host}: {error.strerror or error}") from error


def _words(error: BaseException) -> str:
    """Return an error of the libraries in a few words, without their object addresses and URLs."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    cause = cause or (error.args[0] if error.args and isinstance(error.args[0], BaseException) else error)
    name = type(cause).__name__
    return {
        "NameResolutionError": "the name cannot be resolved",
        "NewConnectionError": "no connection (refused or unreachable)",
        "ConnectTimeoutError": "no connection within the time limit",
        "ConnectTimeout": "no connection within the time limit",
        "ReadTimeoutError": "no answer within the time limit",
        "ReadTimeout": "no answer within the time limit",
        "ProtocolError": "the connection was lost before the answer was complete",
        "IncompleteRead": "the connection was lost before the answer was complete",
        "SSLError": "the secure connection failed",
    }.get(name, name)
