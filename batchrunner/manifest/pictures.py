"""The pictures and videos a manifest names: at addresses that can be fetched, in files that are whole."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import stat
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from batchrunner.container import ContainerError, read_container, reader
from batchrunner.manifest import nearby, sharing
from batchrunner.manifest.slugs import stem
from batchrunner.values import Picture

FILE_MAX = 20_000_000  # PixVerse's own limit; what GMI's upload takes at most is not published
VIDEO_MAX = (
    50_000_000  # no limit is published; a lost submission is known by its file, of which 64 MiB are read
)
URL_MAX = 2048
# An address in which there is nothing to find out but whose host it is: nearly all of a large table.
_ORDINARY = re.compile(r'https://([a-z0-9.-]+)(/[!"$->@-~]*)(?:[?#][!-~]*)?')  # host and path
STILL_BRANDS = frozenset({b"heic", b"heix", b"mif1", b"avif"})  # pictures in a container made for films
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi")
MEDIA_SUFFIXES = (*SUFFIXES, *VIDEO_SUFFIXES)
# What neither kind of model takes, and nobody serves the one or the other as.
OTHER_SUFFIXES = (".html", ".htm", ".gif", ".svg", ".pdf", ".txt", ".zip")
NO_PICTURES = frozenset({*VIDEO_SUFFIXES, *OTHER_SUFFIXES})
NO_VIDEOS = frozenset({*SUFFIXES, *OTHER_SUFFIXES, *VIDEO_SUFFIXES}) - {".mp4", ".m4v"}

QUOTES = ("\u201c", "\u201d", "\u201e", "\u2018", "\u2019", "\u201a", "\xab", "\xbb")  # of word processors


class PictureError(Exception):
    """A picture or video that cannot be used, in words."""


def is_address(text: str) -> bool:
    """Tell whether a text is meant as an address, not as a file."""
    return text.startswith("https://") or text.casefold().startswith(("https://", "http://"))


def from_url(url: str, *, video: bool = False) -> Picture:
    """Return the picture (or `video`) at a public address; what lies there is known by its name alone.

    Raises:
        PictureError: it is not one that the provider could fetch.
    """
    ordinary, others = _ORDINARY.fullmatch(url), NO_VIDEOS if video else NO_PICTURES
    fits = ordinary and len(url) <= URL_MAX and _suffix(ordinary[2]) not in others
    if ordinary and fits and not _is_suspect(ordinary[1]):
        return Picture(url)
    if url[:1] in QUOTES:
        raise PictureError(f"begins with {url[0]}, which is no quote in YAML: write it anew, as \" or '")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise PictureError(f"is not a URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise PictureError(f"must be a public https address; a local {_word(video)} goes under `file:`")
    if parts.username or parts.password:
        raise PictureError("must not hold a user name or password: it is sent to the provider")
    if " " in url or not url.isprintable() or len(url) > URL_MAX:
        raise PictureError(f"must be a URL without spaces, {URL_MAX} characters at most")
    if parts.scheme == "http" and not _is_loopback(host):
        raise PictureError("must be https, not http")
    if _is_private(host):
        raise PictureError(
            f"{host} is an address of a private network, which the provider cannot reach: "
            f"give a local {_word(video)} under `file:`, and it is uploaded"
        )
    if (said := sharing.page(url, _word(video))) is not None:
        raise PictureError(said)
    if _suffix(parts.path) in others:
        raise PictureError(f"{_other(parts.path, video=video)}, by its name: the model takes {_taken(video)}")
    return Picture(url=url)


def _other(path: str, *, video: bool) -> str:
    """Return what lies at a path that is not taken, in words."""
    suffix = _suffix(path)
    known = suffix in (SUFFIXES if video else VIDEO_SUFFIXES)
    return f"is a {_word(not video) if known else suffix}"


def _suffix(path: str) -> str:
    """Return a path from its last dot on, in small letters."""
    return path[path.rfind(".") :].casefold()


def on_this_machine(url: str) -> str | None:
    """Return the host of an address that leads to this machine itself, as that of an emulator may."""
    ordinary = _ORDINARY.fullmatch(url)
    host = ordinary[1] if ordinary else urlsplit(url).hostname or ""
    return host if _is_loopback(host) else None


def name_in(url: str) -> str:
    """Return the name of the file that an address leads to, without its suffix.

    Raises:
        ValueError: it is no address.
    """
    ordinary = _ORDINARY.fullmatch(url)
    path = ordinary[2] if ordinary else urlsplit(url).path
    return stem(unquote(path) if "%" in path else path)


def _taken(video: bool) -> str:
    return "a video, an MP4" if video else "a picture"


def _word(video: bool) -> str:
    return "video" if video else "picture"


def from_file(path: Path) -> Picture:
    """Return a local picture with its content hash and the type that its bytes have.

    Raises:
        PictureError: it is missing, unreadable, not a whole picture, or of a kind that is not taken.
    """
    data = _bytes(path, FILE_MAX)
    return _known(path, data, _kind(path, data))


def video_from_file(path: Path, max_side: int | None) -> Picture:
    """Return a local video with its content hash. `max_side`: the pixels that its longer side may have.

    Raises:
        PictureError: it is missing, unreadable, not a whole MP4, or larger than the model takes.
    """
    data = _bytes(path, VIDEO_MAX)
    try:
        found = read_container(reader(data), len(data))
    except ContainerError as error:
        raise PictureError(f"{path} cannot be used ({error}): the model takes a video, an MP4") from error
    if found.extension != "mp4":
        raise PictureError(f"{path} is a QuickTime film, which the upload does not take: convert it to MP4")
    if max_side is not None and max(found.width, found.height) > max_side:
        size = f"{found.width} x {found.height}"
        raise PictureError(f"{path} has {size} pixels; the model takes {max_side:,} a side at most")
    return _known(path, data, found.extension)


def _known(path: Path, data: bytes, extension: str) -> Picture:
    return Picture(path=path.absolute(), sha256=hashlib.sha256(data).hexdigest(), extension=extension)


def _bytes(path: Path, size_max: int) -> bytes:
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise PictureError(f"{path} is not a file")
        if info.st_size > size_max:
            raise PictureError(f"{path} is larger than {size_max // 1_000_000} MB")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise PictureError(f"there is no file {path}{nearby.hint(path)}") from error
    except (OSError, ValueError) as error:
        raise PictureError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _kind(path: Path, data: bytes) -> str:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        if b"IEND" not in data[-64:]:
            raise PictureError(f"{path} is a PNG that is cut off")
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        if b"\xff\xd9" not in data[2:]:
            raise PictureError(f"{path} is a JPEG that is cut off")
        return "jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        raise PictureError(
            f"{path} is WebP, which the upload does not take: convert it to PNG or JPEG, or give its `url:`"
        )
    if not data:
        raise PictureError(f"{path} is empty")
    if data[4:8] == b"ftyp" and data[8:12] not in STILL_BRANDS:
        raise PictureError(f"{path} is a video: the model takes a picture, a PNG or JPEG")
    raise PictureError(f"{path} is not a PNG or JPEG")


@lru_cache(maxsize=4096)
def _is_suspect(host: str) -> bool:
    """Tell whether there is more to find out about a host's addresses: once for all of them."""
    return _is_private(host) or sharing.bare(host) in sharing.HOSTS


@lru_cache(maxsize=4096)
def _is_private(host: str) -> bool:
    """Tell whether only this network knows a host; this machine itself is what an emulator may be on."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.endswith((".local", ".internal", ".lan", ".localdomain"))
    return address.is_private and not address.is_loopback


@lru_cache(maxsize=4096)
def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
