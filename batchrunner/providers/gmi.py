"""GMI Cloud's request queue, as it was observed to behave."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from batchrunner.clock import SystemClock
from batchrunner.providers.answers import (
    clean,
    clock_ahead_s,
    error_text,
    is_url,
    listing,
    organization,
    remote_job,
)
from batchrunner.providers.base import ProviderError
from batchrunner.providers.http import BODY_MAX, Http, NotSentError, RefusedUrlError, Response, UnclearError
from batchrunner.rules.classify import get_reason, post_refusal, retry_after_s
from batchrunner.values import Account, Evidence, Listing, Payload, Picture, Reason, RemoteJob, Reply

QUEUE = "/api/v1/ie/requestqueue/apikey"
KEY_CHECK = "/api/v1/me/api-keys/current"

# The presigned PUT answers 403 unless the type is this literal (observed 2026-09-06: jpg is image/jpg).
UPLOAD_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpg", "mp4": "video/mp4"}
LIST_BYTES_MAX = 64 << 20  # nothing about paging is known: 20,000 records of some 2 kB may come at once
PICTURE_MAX = 64 << 20  # more than any file that a manifest may name (manifest/pictures.py)
LIST_SUSPECT = frozenset({10, 20, 25, 50, 100, 200, 250, 500, 1000})  # lengths that look like a page
BARE_REFUSALS = frozenset({401, 402, 403, 429})  # of a call that may be repeated; a POST must say more


class Gmi:
    """One key at GMI Cloud. See `Provider` for what each verb promises."""

    name = "gmi"

    def __init__(
        self,
        base_url: str,
        key: str,
        organization_id: str | None,
        http: Http,
        now_s: Callable[[], float] | None = None,
    ) -> None:
        self.origin = base_url.rstrip("/")
        self._key = key
        self._organization_id = organization_id
        self._http = http
        self._now_s = now_s or _wall_s
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        if organization_id:
            self._headers["X-Organization-ID"] = organization_id

    def __repr__(self) -> str:
        return f"Gmi({self.origin!r})"

    def submit(self, model: str, payload: Payload, *, timeout_s: float) -> Reply:
        """See `Provider`."""
        body = json.dumps({"model": model, "payload": dict(payload)}, ensure_ascii=False).encode()
        headers = {**self._headers, "Content-Type": "application/json"}
        try:
            answer = self._http.post_once(f"{self.origin}{QUEUE}/requests", headers, body, read_s=timeout_s)
        except NotSentError as error:
            return Reply(Evidence.NEVER_LEFT, Reason.NETWORK, detail=self._clean(str(error)))
        except UnclearError as error:
            return Reply(Evidence.UNKNOWN, Reason.UNCLEAR, detail=self._clean(str(error)))
        return self._reply(answer)

    def status(self, request_id: str) -> RemoteJob:
        """See `Provider`."""
        job = remote_job(self._get(f"{QUEUE}/requests/{quote(request_id, safe='')}"), self._clean)
        if job is None or job.request_id != request_id:
            raise ProviderError(Reason.UNCLEAR, "the answer is not this request's record", status=200)
        return job

    def recent(self, model: str) -> Listing:
        """See `Provider`."""
        path = f"{QUEUE}/requests?model_id={quote(model, safe='')}"
        asked_s = self._now_s()
        answer = self._call(
            lambda: self._http.get(f"{self.origin}{path}", self._headers, max_bytes=LIST_BYTES_MAX)
        )
        ahead_s = clock_ahead_s(answer.headers.get("Date"), asked_s, self._now_s())
        rows, total = listing(self._decoded(answer))
        jobs = [remote_job(row, self._clean) for row in rows]
        told = {job.request_id: job for job in jobs if job}
        # Nothing about paging is documented: a length that looks like a page is not taken for all there is.
        whole = len(rows) >= total if total is not None else len(rows) not in LIST_SUSPECT
        # A row told twice is a page that shifted while it was read: another row may have slipped through.
        return Listing(tuple(told.values()), complete=whole and len(told) == len(rows), ahead_s=ahead_s)

    def upload(self, picture: Picture) -> str:
        """See `Provider`."""
        content_type = UPLOAD_TYPES.get(picture.extension or "")
        if content_type is None or picture.path is None:
            raise ProviderError(
                Reason.PICTURE, f"the provider takes no {picture.extension} files: convert it to png or jpeg"
            )
        data = _read(picture.path, picture.sha256)
        body = json.dumps({"file_type": picture.extension}).encode()
        headers = {**self._headers, "Content-Type": "application/json"}
        url = f"{self.origin}{QUEUE}/upload-url"
        told = self._decoded(self._call(lambda: self._http.post(url, headers, body)))
        places = told if isinstance(told, Mapping) else {}
        upload_url, public_url = places.get("upload_url"), places.get("public_url")
        if not (is_url(upload_url) and is_url(public_url)):
            raise ProviderError(Reason.UNCLEAR, "the answer names no place to upload to", status=200)
        answer = self._call(lambda: self._http.put(upload_url, {"Content-Type": content_type}, data))
        if answer.status not in {200, 201, 204}:
            detail = f"the storage refused the upload of {picture.path.name} with {answer.status}"
            raise ProviderError(Reason.SERVER, detail, status=answer.status)
        return public_url

    def picture_sha256(self, url: str) -> str | None:
        """See `Provider`."""
        digest, size = hashlib.sha256(), 0
        try:
            with self._http.stream(url, {}) as answer:
                if answer.status != 200:
                    return None
                for chunk in answer.chunks:
                    size += len(chunk)
                    if size > PICTURE_MAX:
                        return None
                    digest.update(chunk)
        except (NotSentError, UnclearError, RefusedUrlError):
            return None
        return digest.hexdigest()

    def models(self) -> list[str]:
        """Return the ids of the models on offer. May be repeated.

        Raises:
            ProviderError: no answer was had.
        """
        told = self._get(f"{QUEUE}/models")
        ids = told.get("model_ids") if isinstance(told, Mapping) else None
        if not isinstance(ids, list):
            raise ProviderError(Reason.UNCLEAR, "the answer is no list of models", status=200)
        return sorted(one for one in ids if isinstance(one, str))

    def page(self, model: str) -> Mapping[str, Any]:
        """Return the provider's page of a model, as it tells it: parameters and price. May be repeated.

        Raises:
            ProviderError: no answer was had; reason MISSING when there is no such model.
        """
        told = self._get(f"{QUEUE}/models/{quote(model, safe='')}")
        if not isinstance(told, Mapping):
            raise ProviderError(Reason.UNCLEAR, "the answer is no model's page", status=200)
        return told

    def account(self) -> Account:
        """See `Provider`."""
        if not (self._key.isascii() and self._key.isprintable()):  # no header can carry it
            raise ProviderError(Reason.CREDENTIALS, "the key holds characters that no key has")
        try:
            told = organization(self._get(KEY_CHECK))
        except ProviderError as error:
            if error.status != 404:
                raise
            told = None
            self._get(f"{QUEUE}/requests", LIST_BYTES_MAX)  # an older server: any call that needs the key
        # Whose the requests are is said by the header, where it is sent.
        return Account(self._organization_id or told or self._key_id())

    # --- the parts ------------------------------------------------------------------------------------

    def _reply(self, answer: Response) -> Reply:
        value = _json(answer)
        job = remote_job(value, self._clean) if 200 <= answer.status < 300 else None
        if job is not None:
            return Reply(Evidence.ACCEPTED, remote=job, status=answer.status)
        error = error_text(value)
        evidence, reason = post_refusal(answer.status, error)
        wait_s = retry_after_s(answer.headers.get("Retry-After"), self._now_s())
        detail = self._clean(error) if error else f"HTTP {answer.status}, and not in the provider's own words"
        return Reply(evidence, reason, status=answer.status, detail=detail, retry_after_s=wait_s)

    def _get(self, path: str, max_bytes: int = BODY_MAX) -> Any:
        url = f"{self.origin}{path}"
        return self._decoded(self._call(lambda: self._http.get(url, self._headers, max_bytes=max_bytes)))

    def _call(self, send: Callable[[], Response]) -> Response:
        try:
            return send()
        except NotSentError as error:
            raise ProviderError(Reason.NETWORK, self._clean(str(error))) from error
        except (UnclearError, RefusedUrlError) as error:
            raise ProviderError(Reason.UNCLEAR, self._clean(str(error))) from error

    def _decoded(self, answer: Response) -> Any:
        value = _json(answer)
        if 200 <= answer.status < 300 and value is not None:
            return value
        wait_s = retry_after_s(answer.headers.get("Retry-After"), self._now_s())
        error = error_text(value)
        # What a refused key is answered with was never published: so anything but a page counts as one.
        bare = answer.status in BARE_REFUSALS and not _is_page(answer)
        own_words = error is not None or bare or answer.status >= 500
        reason = get_reason(answer.status) if own_words else Reason.UNCLEAR
        detail = self._clean(error or f"HTTP {answer.status}, and not in the provider's own words")
        raise ProviderError(reason, detail, status=answer.status, retry_after_s=wait_s)

    def _clean(self, text: str) -> str:
        return clean(text, self._key)

    def _key_id(self) -> str:
        return "key-" + hmac.new(b"batchrunner account", self._key.encode(), hashlib.sha256).hexdigest()[:16]


def _wall_s() -> float:
    return SystemClock().now_us() / 1e6


def _is_page(answer: Response) -> bool:
    return "html" in answer.headers.get("Content-Type", "").lower() or answer.body.lstrip()[:1] == b"<"


def _json(answer: Response) -> Any:
    try:
        return json.loads(answer.body, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys are all different: which of two values holds is anybody's guess.

    Raises:
        ValueError: a key is there twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _read(path: Path, sha256: str | None) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProviderError(Reason.PICTURE, f"cannot read {path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ProviderError(Reason.PICTURE, f"{path} has changed since the manifest was read: run again")
    return data
