"""What an answer proves, as a golden table: every status against every shape of body."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from batchrunner.providers.answers import error_text
from batchrunner.rules.classify import RETRY_AFTER_MAX_S, get_reason, post_refusal, retry_after_s, text_reason
from batchrunner.values import Evidence, Reason

CREDIT = "Insufficient credits. Please add more credits to your account."
CAPACITY = "Upstream capacity temporarily exhausted; please retry later"
BACKEND = "Backend error (400). Please try again."
MODERATED = "Generation rejected; please review the prompt and parameters"

ERRORS = {
    "plain": {"error": "no"},
    "nested": {"error": {"message": "no", "details": "really"}},
    "message": {"message": "no"},
    "detail": {"detail": "no"},
    "capacity": {"error": CAPACITY},
    "backend": {"error": BACKEND},
    "moderated": {"error": MODERATED},
    "credit": {"error": CREDIT},
}
STRANGE = {
    "a list": ["no"],
    "an empty list": [],
    "an empty object": {},
    "a text": "no",
    "a number": 1,
    "null": None,
    "an empty error": {"error": ""},
    "a blank error": {"error": " \n"},
    "an error that is a list": {"error": ["no"]},
    "an error that is a number": {"error": 7},
    "another shape": {"request_id": "abc", "status": "queued"},
}
REFUSED = {
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
BY_TEXT = {
    **{(status, "credit"): Reason.CREDIT for status in REFUSED},
    **{(status, "moderated"): Reason.MODERATION for status in (400, 405, 413, 415, 422)},
    (503, "capacity"): Reason.CAPACITY,
    (500, "backend"): Reason.BACKEND,
}
UNKNOWN = (Evidence.UNKNOWN, Reason.UNCLEAR)
STATUSES = range(100, 600)


@pytest.mark.parametrize("shape", ERRORS)
def test_a_refusal_needs_a_listed_status_and_the_providers_own_words(shape: str) -> None:
    """Of 500 statuses ten are refusals, and two more with one text each; all else proves nothing."""
    told = {status: post_refusal(status, error_text(ERRORS[shape])) for status in STATUSES}

    golden = {status: BY_TEXT.get((status, shape), REFUSED.get(status)) for status in STATUSES}
    assert told == {
        status: (Evidence.REFUSED, reason) if reason else UNKNOWN for status, reason in golden.items()
    }


@pytest.mark.parametrize("shape", STRANGE)
def test_a_body_of_another_shape_proves_nothing_at_any_status(shape: str) -> None:
    """A gateway may answer for the provider, with any status it likes, after it passed the request on."""
    told = {post_refusal(status, error_text(STRANGE[shape])) for status in STATUSES}

    assert {UNKNOWN} == told


def test_no_body_that_is_not_json_proves_anything() -> None:
    """Pages and empty bodies come in as None."""
    assert {UNKNOWN} == {post_refusal(status, None) for status in STATUSES}


@pytest.mark.parametrize("text", [CAPACITY, BACKEND])
@pytest.mark.parametrize("status", [200, 202, 408, 425, 499, 501, 502, 504, 520, 524])
def test_the_two_texts_count_at_their_own_status_only(status: int, text: str) -> None:
    """What one status was seen to say is no proof at another."""
    assert UNKNOWN == post_refusal(status, text)


def test_only_a_4xx_of_the_back_end_is_its_refusal() -> None:
    """A back end's own 5xx may come after it took the request."""
    assert UNKNOWN == post_refusal(500, "Backend error (502). Please try again.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CREDIT, Reason.CREDIT),
        ("insufficient balance", Reason.CREDIT),
        ("Music generation failed: rate limit exceeded(RPM)", Reason.RATE),
        ("Too Many Requests", Reason.RATE),
        ("rate-limited", Reason.RATE),
        (CAPACITY, Reason.CAPACITY),
        ("model is overloaded, try again", Reason.CAPACITY),
        (MODERATED, Reason.MODERATION),
        ("Content policy violation", Reason.MODERATION),
        ("content_policy_violation", Reason.MODERATION),
        ("the image was flagged by moderation", Reason.MODERATION),
        ("input may contain sensitive information", Reason.MODERATION),
        ("blocked for safety", Reason.MODERATION),
        ("Image pixel is invalid", Reason.PICTURE),
        ("invalid payload parameters: image (Required parameter is missing)", Reason.REQUEST),
        ("duration value '7' is invalid", Reason.REQUEST),
        ("images (Number of images 4 exceeds maximum allowed value 1)", Reason.REQUEST),
        ("failed to download image from image_url", Reason.PICTURE),
        ("the image is not accessible", Reason.PICTURE),
        ("unknown error ... Please try again", Reason.TRANSIENT),
        ("Generation failed / Please try again later", Reason.TRANSIENT),
        ("upstream timeout", Reason.TRANSIENT),
        ("the fox was too quick", Reason.RENDER),
        ("", Reason.RENDER),
    ],
)
def test_the_text_of_a_failure_tells_its_reason(text: str, reason: Reason) -> None:
    """Texts as people recorded them; the most telling pattern wins, and none of them means the render."""
    assert reason is text_reason(text)


def test_every_status_of_a_repeatable_call_has_a_reason() -> None:
    """401 and 403 are the key, 402 credit, 404 the id, 429 the rate, 5xx the server, other 4xx the call."""
    own = {401: Reason.CREDENTIALS, 402: Reason.CREDIT, 403: Reason.CREDENTIALS, 404: Reason.MISSING}
    own[429] = Reason.RATE
    rest = {range(100, 400): Reason.UNCLEAR, range(400, 500): Reason.REQUEST, range(500, 600): Reason.SERVER}

    golden = {status: reason for statuses, reason in rest.items() for status in statuses} | own
    assert golden == {status: get_reason(status) for status in STATUSES}


NOW_S = 1_780_000_000.0


def dated(offset_s: float) -> str:
    """Return an HTTP date."""
    return format_datetime(datetime.fromtimestamp(NOW_S + offset_s, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("601", RETRY_AFTER_MAX_S),
        ("9" * 400, RETRY_AFTER_MAX_S),
        ("inf", RETRY_AFTER_MAX_S),
        ("-inf", 0.0),
        ("nan", None),
        ("soon", None),
        ("7 s", None),
        ("2026-11-23", None),
        (dated(30), 30.0),
        (dated(-30), 0.0),
        (dated(86_400), RETRY_AFTER_MAX_S),
        (dated(30).replace("GMT", "-0000"), 30.0),
        (dated(30).replace("GMT", "+0000"), 30.0),
        (dated(30).replace("GMT", "+" + "9" * 30), None),
        (dated(30).replace("2026", "20260"), None),
        ("Mon, 99 Nov 2026 99:99:99 GMT", None),
        ("\x00", None),
    ],
)
def test_the_wait_that_a_provider_wishes(value: str | None, wait_s: float | None) -> None:
    """Seconds or a date, never less than nothing nor more than ten minutes; what is neither is no wish."""
    assert wait_s == retry_after_s(value, NOW_S)
