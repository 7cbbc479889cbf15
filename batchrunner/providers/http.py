"""The one door to `requests`.

Two rules make it safe. A POST travels alone: a connection of its own that is closed afterwards, no
redirect, no retry; and it "never left" only if that connection itself says that it failed to stand, or the
address was none. Everything else that goes wrong is unclear. And the key's calls go to the API only: storage
hosts are reached through `stream` and `put`, which know no key, and at the very addresses that were found
to be public.

What the requests travel on is in `adapters.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests
from requests.utils import requote_uri
from urllib3.exceptions import HTTPError

from batchrunner.clock import SystemClock
from batchrunner.providers.adapters import Adapter, LoneAdapter, Net, Tls, send
from batchrunner.providers.addresses import Gate
from batchrunner.providers.failures import NotSentError, RefusedUrlError, UnclearError, words
from batchrunner.providers.pinned import PinnedAdapter

__all__ = ["BODY_MAX", "Http", "Net", "NotSentError", "RefusedUrlError", "Response", "Stream", "UnclearError"]

CONNECT_S = 10.0
READ_S = 60.0
BODY_MAX = 1 << 20  # an answer of the API; a record is about 2 kB, a long list some hundreds
BODY_S = 120.0  # a body that trickles in for longer is given up
REDIRECTS = frozenset({301, 302, 303, 307, 308})
REDIRECTS_MAX = 3
CHUNK = 1 << 18


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
        RefusedUrlError: `base_url` is plain http and not loopback, or holds a user or a password.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connections: int = 16,
        elapsed_s: Callable[[], float] | None = None,
        net: Net | None = None,
    ) -> None:
        net = net or Net()
        self._elapsed_s = elapsed_s or SystemClock().elapsed_s
        self._gate = Gate(base_url, self._elapsed_s, net.resolve)
        self._tls = Tls(net.trust)
        self._pooled = Adapter(self._tls, connections)
        self._pinned = PinnedAdapter(self._tls, net.connect, connections)

    def get(
        self, url: str, headers: Mapping[str, str], *, read_s: float = READ_S, max_bytes: int = BODY_MAX
    ) -> Response:
        """GET over a kept-alive connection; may be repeated.

        Raises:
            NotSentError, UnclearError: there is no answer, or it is too large.
        """
        return self._whole(self._pooled, "GET", url, headers, None, (CONNECT_S, read_s), max_bytes)

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
        adapter = LoneAdapter(self._tls)
        lone = {**headers, "Connection": "close"}
        try:
            return self._whole(adapter, "POST", url, lone, body, (CONNECT_S, read_s))
        except (NotSentError, UnclearError) as error:
            raise (NotSentError if adapter.proves_unsent(error) else UnclearError)(str(error)) from error
        finally:
            adapter.close()

    def put(self, url: str, headers: Mapping[str, str], data: bytes) -> Response:
        """PUT a file's bytes to a storage host; may be repeated.

        Raises:
            RefusedUrlError: the host is not one to visit.
            NotSentError, UnclearError: there is no answer.
        """
        where = self.check(url)
        return self._whole(self._pinned, "PUT", url, headers, data, (CONNECT_S, READ_S), addresses=where)

    @contextlib.contextmanager
    def stream(self, url: str, headers: Mapping[str, str]) -> Iterator[Stream]:
        """GET from a storage host without any key, following a few redirects, each checked like the first.

        Raises:
            RefusedUrlError: a host is not one to visit.
            NotSentError, UnclearError: there is no answer, also while the body is read.
        """
        sent = {**headers, "Accept-Encoding": "identity"}
        for _ in range(REDIRECTS_MAX + 1):
            url = _quoted(url)  # first: what is checked must be the very text that is visited
            where = self.check(url)
            answer = send(self._pinned, "GET", url, sent, None, (CONNECT_S, READ_S), where)
            with contextlib.closing(answer):
                if answer.status_code not in REDIRECTS:
                    yield Stream(answer.status_code, answer.headers, _chunks(answer))
                    return
                url = _target(url, answer.headers.get("Location", ""))
        raise RefusedUrlError(f"more than {REDIRECTS_MAX} redirects")

    def check(self, url: str) -> tuple[str, ...]:
        """Return the addresses at which a storage URL is visited: public ones over https (see `Gate`).

        Raises:
            RefusedUrlError: with the reason.
            NotSentError: the name cannot be resolved.
        """
        return self._gate.admit(url)

    def close(self) -> None:
        """Close the kept-alive connections."""
        self._pooled.close()
        self._pinned.close()

    def _whole(
        self,
        adapter: Adapter,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: tuple[float, float],
        max_bytes: int = BODY_MAX,
        addresses: tuple[str, ...] = (),
    ) -> Response:
        answer = send(adapter, method, url, headers, body, timeout, addresses)
        try:
            data = self._body(answer.raw, max_bytes)
        except (HTTPError, OSError, ValueError) as error:
            answer.close()
            raise UnclearError(words(error)) from error
        except UnclearError:
            answer.close()
            raise
        # An answer that ends before its announced length raises in _body; here it is whole.
        answer.raw.release_conn()
        return Response(answer.status_code, answer.headers, data)

    def _body(self, raw: Any, max_bytes: int) -> bytes:
        """Read a body, unpacked, piece by piece: so neither its size nor its slowness is without end."""
        pieces: list[bytes] = []
        size, until_s = 0, self._elapsed_s() + BODY_S
        while piece := raw.read1(max_bytes + 1 - size, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > max_bytes:
                raise UnclearError(f"the answer is larger than {max_bytes:,} bytes")
            if self._elapsed_s() > until_s:
                raise UnclearError(f"the answer was not whole after {BODY_S:.0f} s")
        return b"".join(pieces)


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    """Yield a body as it comes, so that whoever reads can see how fast it does."""
    try:
        while chunk := answer.raw.read1(CHUNK, decode_content=False):
            yield chunk
    except (HTTPError, OSError, ValueError) as error:
        raise UnclearError(words(error)) from error


def _quoted(url: str) -> str:
    try:
        return requote_uri(url)
    except ValueError as error:  # half a character, which JSON can spell
        raise RefusedUrlError("not a valid URL") from error


def _target(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise RefusedUrlError("a redirect to an invalid URL") from error
