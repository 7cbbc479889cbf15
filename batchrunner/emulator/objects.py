"""The bucket: uploaded pictures, presigned addresses to put them, and answers with ranges.

Shaped after Google Cloud Storage, which is what the real service hands out: V4 signatures over
`content-type;host`, XML errors, strong ETags.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from batchrunner.emulator.wire import Answer, Call

BUCKET = "/gmi-video-assests-prod/user-assets"  # the real bucket's own spelling
CONTENT_TYPES: Mapping[str, str] = {  # literal: jpg is signed as image/jpg (observed 2026-09-06)
    "jpeg": "image/jpeg",
    "jpg": "image/jpg",
    "png": "image/png",
    "mp4": "video/mp4",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
}
_NAME = re.compile(r"[0-9a-f-]{36}\.[a-z0-9]{3,4}")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Objects:
    """Uploaded files under one folder. Names are random, as the real ones are."""

    def __init__(self, folder: Path, secret: str, org_id: str) -> None:
        self._folder = folder
        self._secret = secret.encode()
        self._prefix = f"{BUCKET}/{org_id}/uploads/"
        self._hashes: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def presign(self, extension: str, now_s: float, ttl_s: float) -> tuple[str, str]:
        """Return the path and query to PUT to, and the public path of the new object."""
        path = f"{self._prefix}{uuid.uuid4()}.{extension}"
        moment = datetime.fromtimestamp(int(now_s), UTC).strftime("%Y%m%dT%H%M%SZ")
        query = {
            "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
            "X-Goog-Date": moment,
            "X-Goog-Expires": str(int(ttl_s)),
            "X-Goog-SignedHeaders": "content-type;host",
        }
        signature = self._sign(path, query, CONTENT_TYPES[extension])
        return f"{path}?{urlencode({**query, 'X-Goog-Signature': signature})}", path

    def put(self, call: Call, now_s: float, size_max: int) -> Answer:
        """Store what a presigned PUT brings."""
        refusal = self._refusal(call, now_s, size_max)
        if refusal is not None:
            return refusal
        name = call.path.removeprefix(self._prefix)
        if not call.path.startswith(self._prefix) or not _NAME.fullmatch(name):
            return xml_error(404, "NoSuchBucket", "The specified bucket does not exist.")
        part = self._folder / f"{name}.part"
        part.write_bytes(call.body)
        part.replace(self._folder / name)
        self._hashes[name] = hashlib.sha256(call.body).hexdigest()
        return Answer(200, headers={"ETag": f'"{self._hashes[name]}"'}, content_type="text/html")

    def keep(self, data: bytes) -> str:
        """Store bytes that came another way, under their hash; return the name."""
        name = hashlib.sha256(data).hexdigest()
        if not (self._folder / name).exists():
            part = self._folder / f"{name}.part"
            part.write_bytes(data)
            part.replace(self._folder / name)
        return name

    def name_of(self, path: str) -> str | None:
        """Return the object's name behind a public path, if there is such an object."""
        name = path.removeprefix(self._prefix)
        known = path.startswith(self._prefix) and _NAME.fullmatch(name) and (self._folder / name).is_file()
        return name if known else None

    def data(self, name: str) -> bytes:
        """Return an object's bytes."""
        return (self._folder / name).read_bytes()

    def sha256(self, name: str) -> str:
        """Return the hash of an object's bytes."""
        if name not in self._hashes:
            self._hashes[name] = hashlib.sha256(self.data(name)).hexdigest()
        return self._hashes[name]

    def content_type(self, name: str) -> str:
        """Return the type that the object was stored with."""
        return CONTENT_TYPES[name.rpartition(".")[2]]

    def _sign(self, path: str, query: Mapping[str, str], content_type: str) -> str:
        text = "\n".join(("PUT", path, urlencode(sorted(query.items())), content_type))
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    def _refusal(self, call: Call, now_s: float, size_max: int) -> Answer | None:
        content_type = call.headers.get("Content-Type")
        if content_type is None:
            return xml_error(400, "MalformedSecurityHeader", "Your request has a malformed header.")
        query = dict(call.query)
        signature = query.pop("X-Goog-Signature", "")
        if not hmac.compare_digest(signature, self._sign(call.path, query, content_type)):
            return xml_error(403, "SignatureDoesNotMatch", "Access denied.")
        signed = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if now_s > signed.timestamp() + int(query["X-Goog-Expires"]):
            return xml_error(400, "ExpiredToken", "Invalid argument.")
        if len(call.body) > size_max:
            return xml_error(400, "EntityTooLarge", "Your proposed upload is too large.")
        return None


def serve(call: Call, data: bytes, content_type: str, etag: str) -> Answer:
    """Answer with a file: whole, or the one range asked for (RFC 9110; If-Range must name the same file)."""
    headers = {"ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
    span = _span(call, len(data), headers["ETag"])
    if span is None:
        return Answer(200, data, content_type, headers)
    first, last = span
    if first > last:
        headers["Content-Range"] = f"bytes */{len(data)}"
        return Answer(416, b"", content_type, headers)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Answer(206, data[first : last + 1], content_type, headers)


def xml_error(status: int, code: str, message: str) -> Answer:
    """Return an error in the bucket's own shape."""
    problem = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    text = f"<?xml version='1.0' encoding='UTF-8'?>{problem}"
    return Answer(status, text.encode(), "application/xml; charset=UTF-8")


def _span(call: Call, size: int, etag: str) -> tuple[int, int] | None:
    """Return first and last byte asked for; first > last: cannot be had; None: the whole file."""
    asked = _RANGE.fullmatch(call.headers.get("Range", ""))
    if asked is None or call.headers.get("If-Range", etag) != etag or not any(asked.groups()):
        return None
    first, last = asked.groups()
    if not first:
        return (max(0, size - int(last)), size - 1) if int(last) else (1, 0)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        return 1, 0
    return int(first), min(int(last or size), size - 1)
