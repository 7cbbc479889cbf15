"""What an answer of the provider proves, and why: tables, and the few lines that read them.

For a POST the question is whether the request was accepted. Only an answer that is plainly the provider's
own refusal counts as one: a status of the list below with an error body in its shape. Whatever is not
understood (a gateway's page, a redirect, a 5xx, a 2xx without an id) proves nothing, and is `unknown`.
The texts were observed at the live service; see the sources beside them.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from batchrunner.values import Evidence, Reason

RETRY_AFTER_MAX_S = 600.0

# Refusals by status, where the body is an error of the provider's own.
REFUSALS: dict[int, Reason] = {
    400: Reason.REQUEST,
    401: Reason.CREDENTIALS,
    402: Reason.CREDIT,
    403: Reason.CREDENTIALS,
    404: Reason.MODEL,
    405: Reason.REQUEST,
    413: Reason.REQUEST,
    415: Reason.REQUEST,
    422: Reason.REQUEST,
    429: Reason.RATE,
}

# Two 5xx answers are refusals by their text: the pool was full (observed for over 20 minutes), and a value
# that the provider's schema took and its back end did not (observed three times; nothing was billed).
REFUSALS_BY_TEXT: tuple[tuple[int, re.Pattern[str], Reason], ...] = (
    (503, re.compile(r"upstream capacity temporarily exhausted", re.IGNORECASE), Reason.CAPACITY),
    (500, re.compile(r"backend error \(4\d\d\)", re.IGNORECASE), Reason.BACKEND),
)

# What the text of a failure means, the most telling first. Moderation has no documented code.
TEXTS: tuple[tuple[re.Pattern[str], Reason], ...] = (
    (re.compile(r"insufficient (credit|balance|fund)", re.IGNORECASE), Reason.CREDIT),
    (re.compile(r"rate.?limit|\bRPM\b|\bRPH\b|too many requests", re.IGNORECASE), Reason.RATE),
    (re.compile(r"capacity|overloaded", re.IGNORECASE), Reason.CAPACITY),
    (
        re.compile(
            r"content.?policy|policy.?violation|moderat|sensitive|safety|prohibited|generation rejected|nsfw",
            re.IGNORECASE,
        ),
        Reason.MODERATION,
    ),
    (
        re.compile(
            r"image pixel is invalid|(unable to|failed to|could not|cannot) (download|fetch|access)|"
            r"not (reachable|accessible)|unreachable",
            re.IGNORECASE,
        ),
        Reason.PICTURE,
    ),
    (
        re.compile(r"required parameter|is invalid|invalid payload|exceeds maximum", re.IGNORECASE),
        Reason.REQUEST,
    ),
    (
        re.compile(r"try again|unknown error|time.?out|internal error|temporar", re.IGNORECASE),
        Reason.TRANSIENT,
    ),
)

# What a refusal of the request as such says about one part of it.
OF_ITSELF = frozenset({Reason.MODERATION, Reason.PICTURE})


def post_refusal(status: int, error: str | None) -> tuple[Evidence, Reason]:
    """Read a POST's answer that carries no request id.

    `error` is the text of an error in the provider's own shape, None where the body has no such shape.
    """
    if error is None:
        return Evidence.UNKNOWN, Reason.UNCLEAR
    for its_status, pattern, reason in REFUSALS_BY_TEXT:
        if status == its_status and pattern.search(error):
            return Evidence.REFUSED, reason
    refusal = REFUSALS.get(status)
    if refusal is None:
        return Evidence.UNKNOWN, Reason.UNCLEAR
    told = text_reason(error)
    if told is Reason.CREDIT or (told in OF_ITSELF and refusal is Reason.REQUEST):
        return Evidence.REFUSED, told
    return Evidence.REFUSED, refusal


def get_reason(status: int) -> Reason:
    """Return why a repeatable call did not bring what was asked for, by its status."""
    reasons = {
        401: Reason.CREDENTIALS,
        402: Reason.CREDIT,
        403: Reason.CREDENTIALS,
        404: Reason.MISSING,
        429: Reason.RATE,
    }
    if status >= 500:
        return Reason.SERVER
    return reasons.get(status, Reason.REQUEST if 400 <= status < 500 else Reason.UNCLEAR)


def text_reason(text: str) -> Reason:
    """Return what the text of a failed request means; what no pattern knows is a failed render."""
    return next((reason for pattern, reason in TEXTS if pattern.search(text)), Reason.RENDER)


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Return the wait that a Retry-After header asks for (seconds or HTTP date), capped at ten minutes."""
    if not value:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
            wait_s = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now_s
        except (ValueError, OverflowError):  # the latter: a zone of thirty digits
            return None
    return min(max(0.0, wait_s), RETRY_AFTER_MAX_S) if wait_s == wait_s else None  # noqa: PLR0124 - NaN
