"""Which addresses a URL may lead to: the rules that keep this program off private networks."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

# IPv6 blocks that carry an IPv4 address inside: NAT64 (RFC 6052), its local use (RFC 8215), Teredo, 6to4.
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
NEVER_PUBLIC = tuple(
    ipaddress.IPv6Network(block) for block in ("64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10")
)


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
        if any(ip in block for block in NEVER_PUBLIC):
            return False
        ip = ip.ipv4_mapped or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else ip)
    return ip.is_global and not ip.is_multicast


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
