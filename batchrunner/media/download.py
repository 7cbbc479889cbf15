"""Fetching one file into a part file: whole, hashed and durable, or not at all.

A fetch that was cut off goes on where it stopped, if the server vouches that it is still the same file
(an ETag, kept beside the part file, sent back as If-Range). The address itself is never written down: it
may be a bearer secret.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from batchrunner.errors import LocalError
from batchrunner.media.trouble import MediaError
from batchrunner.providers.http import Http, NotSentError, RefusedUrlError, Stream, UnclearError

MEDIA_MAX = 2 << 30


@dataclass(frozen=True, slots=True)
class Fetched:
    """What lies in the part file now."""

    sha256: str
    size: int


def fetch(http: Http, url: str, part: Path, *, max_bytes: int = MEDIA_MAX) -> Fetched:
    """Bring the file at `url` into `part`; may be repeated, also after a crash.

    Raises:
        MediaError: it cannot be had (`gone`), is not whole (try again), or is too large (`bad`).
        LocalError: this disk.
    """
    etag, have = _resumable(part)
    headers = {"Range": f"bytes={have}-", "If-Range": etag} if have else {}
    try:
        with http.stream(url, headers) as answer:
            return _receive(answer, part, have, max_bytes)
    except RefusedUrlError as error:
        raise MediaError(str(error), bad=True) from error
    except (NotSentError, UnclearError) as error:
        raise MediaError(f"the download broke off: {error}") from error
    except OSError as error:
        raise LocalError(f"cannot write {part}: {error.strerror}") from error


def forget(part: Path) -> None:
    """Remove a part file and what was kept beside it."""
    for path in (part, _note(part)):
        with suppress(FileNotFoundError):
            path.unlink()


def _receive(answer: Stream, part: Path, have: int, max_bytes: int) -> Fetched:
    if answer.status in {403, 404, 410}:
        raise MediaError(f"the file's address is not valid any more (HTTP {answer.status})", gone=True)
    if answer.status == 416:
        forget(part)
        raise MediaError("the server has less of the file than was fetched already; starting over")
    if answer.status not in {200, 206}:
        raise MediaError(f"HTTP {answer.status} from the file's host")
    if answer.status == 200 or not _continues(answer.headers, have):
        if answer.status == 206:
            forget(part)
            raise MediaError("the server answered with another part than was asked for; starting over")
        have = 0
    return _write(answer, part, have, max_bytes)


def _write(answer: Stream, part: Path, have: int, max_bytes: int) -> Fetched:
    digest, size = hashlib.sha256(), have
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(part, flags, 0o666), "r+b") as file:
        file.truncate(have)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
        expected = _expected(answer.headers, have)
        _keep_etag(part, answer.headers.get("ETag", ""))
        for chunk in answer.chunks:
            size += len(chunk)
            if size > max_bytes:
                raise MediaError(f"the file is larger than {max_bytes:,} bytes", bad=True)
            file.write(chunk)
            digest.update(chunk)
        file.flush()
        if expected is not None and size != expected:
            raise MediaError(f"the download broke off after {size:,} of {expected:,} bytes")
        os.fsync(file.fileno())
    return Fetched(digest.hexdigest(), size)


def _resumable(part: Path) -> tuple[str, int]:
    """Return the ETag and the length of what is there, where both are."""
    try:
        etag = json.loads(_note(part).read_text(encoding="utf-8"))["etag"]
        size = part.lstat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return "", 0
    # A weak ETag may not be used with ranges (RFC 9110, 13.1.5).
    return (etag, size) if etag and not etag.startswith("W/") and not part.is_symlink() else ("", 0)


def _keep_etag(part: Path, etag: str) -> None:
    _note(part).write_text(json.dumps({"etag": etag}), encoding="utf-8")


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _continues(headers: Mapping[str, str], have: int) -> bool:
    return headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _expected(headers: Mapping[str, str], have: int) -> int | None:
    length = headers.get("Content-Length", "")
    return have + int(length) if length.isdecimal() else None
