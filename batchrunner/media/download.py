"""Fetching one file into a part file: whole, hashed and durable, or not at all.

A fetch that was cut off goes on where it stopped, if the server vouches that it is still the same file
(an ETag, kept beside the part file, sent back as If-Range). The address itself is never written down: it
may be a bearer secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from os import PathLike
from typing import TypeAlias

from batchrunner.clock import Clock, SystemClock
from batchrunner.errors import LocalError
from batchrunner.media.trouble import MediaError
from batchrunner.providers.http import Http, NotSentError, RefusedUrlError, Stream, UnclearError

StrPath: TypeAlias = str | PathLike[str]

MEDIA_MAX = 2 << 30
PACE_S, PACE_BYTES = 60.0, 30_000  # less than this in a minute is no download any more
NOTE = ".json"  # ends the name of what is kept beside a part file
RESUMED_MIN = 1 << 20  # a smaller file is quicker fetched anew than remembered


@dataclass(frozen=True, slots=True)
class Fetched:
    """What lies in the part file now; `data`: all of it, where the file is small."""

    sha256: str
    size: int
    data: bytes | None = field(default=None, repr=False, compare=False)


def fetch(
    http: Http,
    url: str,
    part: StrPath,
    *,
    anew: bool = False,
    max_bytes: int = MEDIA_MAX,
    clock: Clock | None = None,
) -> Fetched:
    """Bring the file at `url` into `part`; may be repeated, also after a crash.

    `anew`: nothing of it can be there yet, so nothing is looked for.

    Raises:
        MediaError: it cannot be had (`gone`), is not whole (try again), or is too large (`bad`).
        LocalError: this disk.
    """
    etag, have = ("", 0) if anew else _resumable(part)
    headers = {"Range": f"bytes={have}-", "If-Range": etag} if have else {}
    try:
        with http.stream(url, headers) as answer:
            pace = _Pace(clock or SystemClock())
            return _write(answer, part, _agreed(answer, part, etag, have), max_bytes, pace)
    except RefusedUrlError as error:
        raise MediaError(str(error), bad=True) from error
    except (NotSentError, UnclearError) as error:
        raise MediaError(f"the download broke off: {error}") from error
    except OSError as error:
        raise LocalError(f"cannot write {part}: {error.strerror}") from error


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of some bytes: one call may take only a part of them."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def forget(part: StrPath) -> None:
    """Remove a part file and what was kept beside it."""
    for path in (part, _note(part)):
        with suppress(FileNotFoundError):
            os.unlink(path)


def _agreed(answer: Stream, part: StrPath, etag: str, have: int) -> int:
    """Return from which byte on the answer goes: from 0, or on from what is there."""
    if answer.status in {403, 404, 410}:
        raise MediaError(f"the file's address is not valid any more (HTTP {answer.status})", gone=True)
    if answer.status == 200:
        return 0
    if answer.status == 206 and have and _continues(answer.headers, etag, have):
        return have
    if answer.status in {206, 416}:
        forget(part)
        raise MediaError(f"the download cannot go on where it stopped (HTTP {answer.status}); starting over")
    raise MediaError(f"HTTP {answer.status} from the file's host")


def _write(answer: Stream, part: StrPath, have: int, max_bytes: int, pace: _Pace) -> Fetched:
    expected = _expected(answer.headers, have)
    if expected is not None and expected > max_bytes:
        raise MediaError(f"the file is larger than {max_bytes:,} bytes", bad=True)
    if expected is not None and expected < RESUMED_MIN and not have:
        return _write_small(answer, part, expected, pace)
    digest, size = _Digest(answer.headers), have
    # Plain descriptors: Python's file objects would make three more system calls for each small file.
    descriptor = _opened(part, os.O_RDWR if have else os.O_RDWR | os.O_TRUNC)
    try:
        if have:
            os.ftruncate(descriptor, have)
            while chunk := os.read(descriptor, 1 << 20):
                digest.update(chunk)
        _keep_etag(part, answer.headers.get("ETag", ""))
        for chunk in answer.chunks:
            size += len(chunk)
            if size > max_bytes:
                forget(part)
                raise MediaError(f"the file is larger than {max_bytes:,} bytes", bad=True)
            write_all(descriptor, chunk)
            digest.update(chunk)
            pace.note(len(chunk))
        if expected is not None and size != expected:
            raise MediaError(f"the download broke off after {size:,} of {expected:,} bytes")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if not digest.is_announced():
        forget(part)
        raise MediaError("the file does not have the checksum that its host announced; starting over")
    return Fetched(digest.sha256(), size)


def _write_small(answer: Stream, part: StrPath, expected: int, pace: _Pace) -> Fetched:
    """Bring a file over in one piece: it is whole before anything of it touches the disk."""
    pieces: list[bytes] = []
    size = 0
    for chunk in answer.chunks:
        pieces.append(chunk)
        pace.note(len(chunk))
        size += len(chunk)
        if size > expected:  # chunked, and longer than announced: it need not end, and it lies in memory
            break
    data, digest = b"".join(pieces), _Digest(answer.headers)
    if size != expected:
        raise MediaError(f"the download broke off after {size:,} of {expected:,} bytes")
    digest.update(data)
    if not digest.is_announced():
        raise MediaError("the file does not have the checksum that its host announced; starting over")
    descriptor = _opened(part, os.O_WRONLY | os.O_TRUNC)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return Fetched(digest.sha256(), expected, data)


class _Digest:
    """SHA-256 of a file as it passes, and its MD5 where the host announces one (x-goog-hash)."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        told = re.search(r"md5=([A-Za-z0-9+/]{22}==)", headers.get("x-goog-hash", ""))
        self._announced = told[1] if told else None
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if told else None

    def update(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._sha256.update(chunk)
        if self._md5:
            self._md5.update(chunk)

    def is_announced(self) -> bool:
        """Tell whether the bytes are those that the host meant, as far as it says."""
        return self._md5 is None or self._announced == base64.b64encode(self._md5.digest()).decode()

    def sha256(self) -> str:
        """Return the hash, as hex."""
        return self._sha256.hexdigest()


class _Pace:
    """Gives up on a download that only trickles: each read may be in time, and the whole still never end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s = clock.elapsed_s()
        self._bytes = 0

    def note(self, count: int) -> None:
        """Count bytes.

        Raises:
            MediaError: too few came in the last minute; what is there is kept.
        """
        self._bytes += count
        now_s = self._clock.elapsed_s()
        if now_s - self._since_s < PACE_S:
            return
        if self._bytes < PACE_BYTES:
            raise MediaError(f"the download is too slow: {self._bytes:,} bytes in a minute")
        self._since_s, self._bytes = now_s, 0


def _resumable(part: StrPath) -> tuple[str, int]:
    """Return the ETag and the length of what is there, where both are."""
    try:
        with open(_note(part), encoding="utf-8") as file:
            etag = json.loads(file.read())["etag"]
        size = os.lstat(part).st_size
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "", 0
    # A weak ETag may not be used with ranges (RFC 9110, 13.1.5); what cannot stand in a header is none.
    usable = isinstance(etag, str) and etag.isascii() and etag.isprintable() and not etag.startswith("W/")
    return (etag, size) if etag and usable and not os.path.islink(part) else ("", 0)


def _keep_etag(part: StrPath, etag: str) -> None:
    with os.fdopen(_opened(_note(part), os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
        file.write(json.dumps({"etag": etag}))


def _opened(path: StrPath, how: int) -> int:
    """Open a file of ours for writing; never through a link that somebody put in its place."""
    return os.open(path, how | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)


def _note(part: StrPath) -> str:
    return f"{os.fspath(part)}{NOTE}"


def _continues(headers: Mapping[str, str], etag: str, have: int) -> bool:
    starts = re.match(rf"bytes {have}-", headers.get("Content-Range", ""))
    return starts is not None and headers.get("ETag", etag) == etag


def _expected(headers: Mapping[str, str], have: int) -> int | None:
    """Return the whole file's length, where the answer tells it."""
    whole = re.search(r"/([0-9]{1,18})$", headers.get("Content-Range", "")) if have else None
    if whole:
        return int(whole[1])
    length = headers.get("Content-Length", "")
    return have + int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
