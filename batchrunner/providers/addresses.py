"""Which addresses a URL may lead to: the rules that keep this program off private networks.

What was checked is where the connection goes (`adapters.py`): a name is not looked up a second time.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from itertools import chain, zip_longest
from typing import TypeAlias
from urllib.parse import urlsplit

from batchrunner.providers.failures import NotSentError, RefusedUrlError

Resolve: TypeAlias = Callable[[str, int], tuple[str, ...]]

KEPT_S = 60.0  # how long an answer about a host holds: a night's downloads need one look-up a minute
KEPT_MAX = 256
# The only IPv6 block whose addresses are public (IANA); in it, Teredo and 6to4 carry an IPv4 address inside,
# as NAT64 (RFC 6052) does outside of it. Others that carry one, like ::127.0.0.1, are thus never public.
PUBLIC6 = ipaddress.IPv6Network("2000::/3")
CARRIERS6 = (ipaddress.IPv6Network("2001::/32"), ipaddress.IPv6Network("2002::/16"))
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Reserved by IANA, and not known as such to every Python: protocol assignments (Oracle's metadata service is
# at 192.0.0.192), 6to4 relays (RFC 7526), documentation (RFC 9637).
RESERVED4 = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))
RESERVED6 = ipaddress.IPv6Network("3fff::/20")
AZURE = ipaddress.IPv4Address("168.63.129.16")  # looks public, and is every Azure machine's own host


def is_loopback(url: str) -> bool:
    """Tell whether a URL's host is this machine, by its literal name: nothing is resolved."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_public(address: str) -> bool:
    """Tell whether an IP address is a public one, also where it hides in IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else ip)
    if isinstance(ip, ipaddress.IPv6Address):
        return ip in PUBLIC6 and ip.is_global and not any(ip in block for block in (*CARRIERS6, RESERVED6))
    reserved = ip.is_multicast or ip == AZURE or any(ip in block for block in RESERVED4)
    return ip.is_global and not reserved


def redacted(url: str) -> str:
    """Return a URL without what may be secret: user, password, query."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    except ValueError:
        return "a malformed URL"


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses that a name stands for, in the order to try them.

    Raises:
        OSError: it cannot be resolved.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that no name can have
        raise OSError("not a name") from error
    return by_turns(str(info[4][0]) for info in found)


def by_turns(addresses: Iterable[str]) -> tuple[str, ...]:
    """Let IPv6 and IPv4 take turns (RFC 8305): one of them may lead nowhere."""
    every = tuple(dict.fromkeys(addresses))
    first = [one for one in every if (":" in one) == (":" in every[0])]
    other = [one for one in every if one not in first]
    return tuple(one for one in chain.from_iterable(zip_longest(first, other)) if one)


class Gate:
    """Says whether a URL may be visited, and at which addresses. Safe to share between threads.

    Only https to public addresses passes; loopback too, in its literal names and over plain http, where the
    base URL is loopback itself. An answer holds for a minute, a refusal for no time.

    Raises:
        RefusedUrlError: the base URL itself is plain http and not loopback, or holds a user or a password.
    """

    def __init__(self, base_url: str, elapsed_s: Callable[[], float], resolve: Resolve) -> None:
        scheme, _host, _port = _place(base_url)  # a password in it would be stored with every attempt
        self._loopback = is_loopback(base_url)
        if scheme != "https" and not (self._loopback and scheme == "http"):
            raise RefusedUrlError(f"only https is visited: {redacted(base_url)}")
        self._elapsed_s = elapsed_s
        self._resolve = resolve
        self._kept: dict[tuple[str, str, int], tuple[float, tuple[str, ...]]] = {}

    def admit(self, url: str) -> tuple[str, ...]:
        """Return the addresses that may be connected to, in the order to try them.

        Raises:
            RefusedUrlError: with the reason.
            NotSentError: the name cannot be resolved.
        """
        place, now_s = _place(url), self._elapsed_s()
        until_s, addresses = self._kept.get(place, (now_s, ()))
        if now_s < until_s:
            return addresses
        addresses = self._checked(url, *place)
        if len(self._kept) >= KEPT_MAX:
            self._kept.clear()
        self._kept[place] = (now_s + KEPT_S, addresses)
        return addresses

    def _checked(self, url: str, scheme: str, host: str, port: int) -> tuple[str, ...]:
        if self._loopback and is_loopback(url) and scheme in {"http", "https"}:
            return ("127.0.0.1", "::1") if host == "localhost" else (host,)
        if scheme != "https":
            raise RefusedUrlError(f"only https is visited: {redacted(url)}")
        try:
            addresses = self._resolve(host, port)
        except OSError as error:
            raise NotSentError(f"cannot resolve {host}: {error.strerror or error}") from error
        private = sorted(address for address in addresses if not is_public(address))
        if private or not addresses:
            raise RefusedUrlError(f"{host} is not a public address ({private[0] if private else 'none'})")
        return addresses


def _place(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL that has nothing else before its path.

    Raises:
        RefusedUrlError: it is malformed, or carries a user or a password.
    """
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.username is None and parts.password is None:
            return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise RefusedUrlError("not a valid URL") from error
    raise RefusedUrlError(f"not a plain URL: {redacted(url)}")
