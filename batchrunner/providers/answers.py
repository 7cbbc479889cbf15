"""Reading the provider's records: pure, and forgiving about everything but a request's identity."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeGuard

from batchrunner.rules.classify import text_reason
from batchrunner.values import RemoteJob, RemotePhase

DETAIL_MAX = 300
# What may be a bearer secret in a text: the query of an address, and the parts of one that stand alone.
QUERY = re.compile(r"(?i)(\bhttps?://[^\s?\"'<>]*)\?[^\s\"'<>]*")
SIGNED = re.compile(
    r"(?i)\b((?:x-(?:goog|amz)-[a-z-]{1,40}|[a-z_-]{0,40}(?:signature|token)|sig|api[_-]?key)=)[^\s&;,\"'<>]+"
)
LINE_MAX = 2000  # no more of a line is searched for them; all that is shown comes from it
TEXT_MAX = 1 << 14  # no more of a text is looked at
REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
STATUSES = frozenset({"created", "queued", "dispatched", "processing", "success", "failed", "cancelled"})
PHASES = {
    "success": RemotePhase.SUCCESS,
    "failed": RemotePhase.FAILED,
    "cancelled": RemotePhase.CANCELLED,
}


def remote_job(record: Any, cleaned: Callable[[str], str]) -> RemoteJob | None:
    """Read one record; None where it has no well-formed id. An unknown status counts as running."""
    if not isinstance(record, Mapping):
        return None
    request_id, status = record.get("request_id"), record.get("status")
    if not isinstance(request_id, str) or not REQUEST_ID.fullmatch(request_id):
        return None
    word = status if isinstance(status, str) else ""
    phase = PHASES.get(word, RemotePhase.RUNNING)
    outcome = record.get("outcome")
    error = failure_text(record, outcome) if phase is RemotePhase.FAILED else ""
    payload = record.get("payload")
    return RemoteJob(
        request_id=request_id,
        status=word if word in STATUSES else cleaned(word),
        phase=phase,
        media=media_urls(outcome),
        error=cleaned(error) if error else "",
        failure=text_reason(error) if phase is RemotePhase.FAILED else None,
        created_s=_seconds(record.get("created_at")),
        payload=payload if isinstance(payload, Mapping) else None,
        updated_s=_seconds(record.get("updated_at")),
    )


def media_urls(outcome: Any) -> tuple[str, ...]:
    """Return the finished files' URLs: media_urls (objects or texts), else video_url, else url.

    Never "any URL below outcome": the thumbnail is one too.
    """
    if not isinstance(outcome, Mapping):
        return ()
    listed = outcome.get("media_urls")
    items = listed if isinstance(listed, list) else []
    found = [item.get("url") if isinstance(item, Mapping) else item for item in items]
    urls = [url for url in found if is_url(url)]
    single = [url for url in (outcome.get("video_url"), outcome.get("url")) if is_url(url)]
    return tuple(dict.fromkeys(urls)) or tuple(single[:1])


def failure_text(record: Mapping[str, Any], outcome: Any) -> str:
    """Return why a request failed; only `outcome.error` was observed, the other places are guesses."""
    inner = outcome if isinstance(outcome, Mapping) else {}
    places = (inner.get("error"), inner.get("message"), record.get("error"), record.get("reason"))
    return next((text for place in places if (text := _text(place))), "the provider gives no reason")


def error_text(value: Any) -> str | None:
    """Return the text of an error in the provider's shape, None where the value has no such shape."""
    if not isinstance(value, Mapping):
        return None
    places = (value.get("error"), value.get("message"), value.get("detail"))
    return next((text for place in places if (text := _text(place))), None)


def listing(value: Any) -> tuple[list[Any], int | None]:
    """Return a listing's rows, and how many there are in all where it tells."""
    if isinstance(value, list):
        return value, None
    if not isinstance(value, Mapping):
        return [], 1  # not a listing: there may be more than this
    rows = next(
        (value[key] for key in ("requests", "data", "items") if isinstance(value.get(key), list)), None
    )
    total = value.get("total")
    if rows is None:
        return [], 1
    return rows, total if isinstance(total, int) and not isinstance(total, bool) else None


def clock_ahead_s(date: str | None, asked_s: float, answered_s: float) -> float:
    """Return how far the provider's clock is ahead of ours, from an answer's Date header (whole seconds).

    `asked_s` and `answered_s` are ours around the call (Unix seconds). 0 where the header is of no use.
    """
    try:
        told = parsedate_to_datetime(date or "")
        told_s = None if told.tzinfo is None else told.timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return 0.0 if told_s is None else told_s - (asked_s + answered_s) / 2


def organization(value: Any) -> str | None:
    """Return the organisation's id from the key check's answer."""
    inner = value.get("organization") if isinstance(value, Mapping) else None
    found = inner.get("id") if isinstance(inner, Mapping) else None
    return found if isinstance(found, str) and found else None


def clean(text: str, secret: str = "") -> str:
    """Return text from outside as one short line: no control, format or bidi characters, no secrets.

    Neither `secret` itself nor what signs an address is repeated.
    """
    visible = "".join(char for char in text[:TEXT_MAX] if char in "\r\n\t" or _is_visible(char))
    line = " ".join(visible.split())
    if secret:  # after what is invisible is gone, before the cut: neither may hide a part of it
        line = line.replace(secret, "[key]")
    line = SIGNED.sub(r"\1[…]", QUERY.sub(r"\1?[…]", line[:LINE_MAX]))
    return line if len(line) <= DETAIL_MAX else f"{line[: DETAIL_MAX - 1]}…"


def _is_visible(char: str) -> bool:
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn"}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value[:TEXT_MAX].strip()
    if isinstance(value, Mapping):
        return next((text for key in ("message", "details", "error") if (text := _text(value.get(key)))), "")
    return ""


def is_url(value: Any) -> TypeGuard[str]:
    """Tell whether a value is a text that looks like a web address."""
    has_scheme = isinstance(value, str) and value.startswith(("https://", "http://"))
    return has_scheme and len(value) <= 8192 and value.isprintable()


def _seconds(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # JSON lets a number have four hundred digits
        return None
