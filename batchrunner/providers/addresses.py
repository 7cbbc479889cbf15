"""Which addresses a URL may lead to: the rules that keep this program off private networks."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

# The only IPv6 block whose addresses are public (IANA); in it, Teredo and 6to4 carry an IPv4 address inside,
# as NAT64 (RFC 6052) does outside of it. Others that carry one, like ::127.0.0.1, are thus never public.
PUBLIC6 = ipaddress.IPv6Network("2000::/3")
CARRIERS6 = (ipaddress.IPv6Network("2001::/32"), ipaddress.IPv6Network("2002::/16"))
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
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
        return ip in PUBLIC6 and ip.is_global and not any(ip in block for block in CARRIERS6)
    return ip.is_global and not ip.is_multicast and ip != AZURE


def redacted(url: str) -> str:
    """Return a URL without what may be secret: user, password, query."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    except ValueError:
        return "a malformed URL"


def resolve(host: str, port: int) -> set[str]:
    """Return the addresses that a name stands for.

    Raises:
        OSError: it cannot be resolved.
    """
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except UnicodeError as error:  # a label that no name can have
        raise OSError("not a name") from error
