"""Reading records: forgiving about everything but a request's identity, and never raising."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.providers.answers import (
    DETAIL_MAX,
    TEXT_MAX,
    clean,
    error_text,
    listing,
    media_urls,
    organization,
    remote_job,
)
from batchrunner.values import Reason, RemoteJob, RemotePhase

ID = "0b9ff2a0-7a55-4b4e-9d0a-2f6a2c3d4e5f"
URL = "https://storage.googleapis.com/b/v.mp4"


def read(**record: Any) -> RemoteJob | None:
    """Read one record."""
    return remote_job({"request_id": ID, "status": "queued", **record}, clean)


@pytest.mark.parametrize("request_id", [ID, "a", "A1", "7", "req_1.2:3-4", "x" * 128])
def test_ids_of_every_known_shape_are_taken(request_id: str) -> None:
    """Letters, digits and four marks."""
    job = read(request_id=request_id)

    assert job is not None
    assert request_id == job.request_id


@pytest.mark.parametrize(
    "request_id",
    [
        *(None, 7, True, [], {}, ID.encode, ""),
        *(" ", f" {ID}", f"{ID}\n", "a b", "a/b", "../x", "-a", ".a", "_a", "a?b", "a#b", "a%2fb", "a\0"),
        *("ä", "a\u200b", "a\x1b[0m", "x" * 129),
    ],
)
def test_what_cannot_stand_in_a_path_is_no_id(request_id: Any) -> None:
    """An id goes into URLs, the state table and the terminal."""
    assert read(request_id=request_id) is None


@pytest.mark.parametrize("record", [None, [], "x", 7, True, {}, {"status": "success"}])
def test_what_is_no_record_is_none(record: Any) -> None:
    """A record has at least an id."""
    assert remote_job(record, clean) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *((1_753_427_199, 1_753_427_199.0), (0.5, 0.5), (-1, -1.0)),
        *((None, None), (True, None), ("1753427199", None), ([], None)),
        *((float("nan"), None), (float("inf"), None)),
        pytest.param(10**400, None, id="huge"),
    ],
)
def test_a_time_is_a_finite_number(value: Any, seconds: float | None) -> None:
    """Also where the provider writes four hundred digits."""
    job = read(created_at=value)

    assert job is not None
    assert seconds == job.created_s


@pytest.mark.parametrize("payload", [None, [], "x", 7])
def test_an_echo_that_is_no_object_is_none(payload: Any) -> None:
    """Recovery compares objects only."""
    job = read(payload=payload)

    assert job is not None
    assert job.payload is None


def test_only_a_failure_has_an_error() -> None:
    """A text beside a running request is not a failure."""
    job = read(status="processing", error="boom", outcome={"error": "boom"})

    assert job is not None
    assert ("", None) == (job.error, job.failure)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"outcome": {"error": "a", "message": "b"}, "error": "c"}, "a"),
        ({"outcome": {"error": {"message": "a", "details": "b"}}}, "a"),
        ({"outcome": {"error": "  ", "message": "b"}}, "b"),
        ({"outcome": ["odd"], "error": "c"}, "c"),
        ({"reason": "d"}, "d"),
        ({}, "the provider gives no reason"),
    ],
)
def test_the_first_place_that_tells_why_is_taken(record: Mapping[str, Any], text: str) -> None:
    """The observed place first, then those that other clients guess."""
    job = read(status="failed", **record)

    assert job is not None
    assert text == job.error


def test_a_failure_without_a_text_is_a_failed_render() -> None:
    """Nothing says that trying again would not help."""
    job = read(status="failed")

    assert job is not None
    assert (RemotePhase.FAILED, Reason.RENDER) == (job.phase, job.failure)


@pytest.mark.parametrize("word", ["SUCCESS", "Success", "success ", "succeeded", "done", ""])
def test_a_status_must_be_spelt_as_documented_to_be_an_end(word: str) -> None:
    """A word of another spelling is not acted upon: polling costs nothing, a wrong end does."""
    job = read(status=word)

    assert job is not None
    assert RemotePhase.RUNNING is job.phase


@pytest.mark.parametrize(
    "url",
    [
        "x" * 10,
        "HTTPS:",
        "//host/x",
        " https://host/x",
        "https://" + "x" * 8192,
        "https://x/\ud800",
        7,
        None,
        {"href": URL},
    ],
)
def test_what_is_no_web_address_is_no_media(url: Any) -> None:
    """Neither in the list nor in the single fields."""
    assert () == media_urls({"media_urls": [url, {"url": url}], "video_url": url, "url": url})


def test_other_urls_below_the_outcome_are_never_media() -> None:
    """The thumbnail is one, and so may be what comes next year."""
    outcome = {
        "thumbnail_image_url": URL,
        "cover": {"url": URL},
        "media_urls": [{"id": "0", "thumbnail": URL}],
        "audio_url": URL,
    }

    assert () == media_urls(outcome)


@pytest.mark.parametrize(
    ("value", "rows", "total"),
    [
        ([1, 2], 2, None),
        ({"requests": [1], "total": 5}, 1, 5),
        ({"requests": None, "data": [1]}, 1, None),
        ({"items": [1], "total": True}, 1, None),
        ({"items": [1], "total": "5"}, 1, None),
        ({}, 0, 1),
        ("x", 0, 1),
        (None, 0, 1),
    ],
)
def test_what_is_no_listing_leaves_room_for_more(value: Any, rows: int, total: int | None) -> None:
    """An answer without rows is never proof that there are none."""
    told, whole = listing(value)

    assert (rows, total) == (len(told), whole)


@pytest.mark.parametrize(
    "value", [None, [], {}, {"organization": None}, {"organization": {"id": ""}}, {"organization": {"id": 7}}]
)
def test_an_organisation_is_a_text_or_none(value: Any) -> None:
    """A number or nothing is not taken for an account."""
    assert organization(value) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\n\tb   c ", "a b c"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x1b]0;title\x07", "]0;title"),
        ("a\x00b\x7fc\x9bd", "abcd"),
        ("a\u202eb\u2066c\u2069d\u200fe\ufefff\u00adg", "abcdefg"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("Füchse 🦊 狐", "Füchse 🦊 狐"),
        ("cannot get https://a.b/c.mp4?x=1&X-Goog-Signature=s now", "cannot get https://a.b/c.mp4?[…] now"),
        ("at 'HTTPS://a.b/?s', \"http://c?t\"", "at 'HTTPS://a.b/?[…]', \"http://c?[…]\""),
        ("X-Goog-Signature=abc; X-Amz-Credential=d/e", "X-Goog-Signature=[…]; X-Amz-Credential=[…]"),
        ("access_token=abc&sig=d, api_key=e", "access_token=[…]&sig=[…], api_key=[…]"),
        ("what? really? a=b, design=c", "what? really? a=b, design=c"),
    ],
)
def test_text_from_outside_is_one_harmless_line(text: str, line: str) -> None:
    """Nothing in it moves a cursor, names a window or turns the line around."""
    assert line == clean(text)


@pytest.mark.parametrize("text", ["a-", "x-goog-", "http://", "token", "sig", "https://a?", "-_", "api_"])
def test_no_text_keeps_the_search_for_secrets_busy(text: str) -> None:
    """Every expression is done with a text in a time that its length sets."""
    began_s = time.process_time()
    clean(text * (1_000_000 // len(text)))

    assert time.process_time() - began_s < 0.5


def test_a_long_text_is_cut_with_a_sign() -> None:
    """The length counts characters, the sign included."""
    line = clean("x" * 1_000_000)

    assert DETAIL_MAX == len(line)
    assert line.endswith("…")


@pytest.mark.parametrize("before", [0, 1, DETAIL_MAX - 20, DETAIL_MAX - 4, DETAIL_MAX, TEXT_MAX - 4])
@pytest.mark.parametrize("filler", ["x", "\u200b", " "])
def test_no_cut_leaves_a_part_of_the_key(before: int, filler: str) -> None:
    """Wherever the key stands, and whatever is in front of it or between its letters."""
    key = "eyJhbGciOiJIUzI1NiJ9.canary.signature"
    for spelling in (key, "\u200b".join(key)):
        line = clean(filler * before + spelling + " end", key)

        assert not any(key[start : start + 8] in line for start in range(len(key) - 7))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.fixed_dictionaries(
    {"request_id": st.just(ID), "status": st.sampled_from(["failed", "success", "queued"]) | JSON},
    optional=dict.fromkeys(("outcome", "payload", "error", "reason", "created_at", "message", "detail"), JSON)
    | {"outcome": st.dictionaries(st.sampled_from(["error", "message", "media_urls", "video_url"]), JSON)},
)


@given(RECORDS)
def test_no_record_makes_the_reader_stumble(record: dict[str, Any]) -> None:
    """A submission whose answer cannot be read would be lost: so every one can."""
    job = remote_job(json.loads(json.dumps(record)), clean)

    assert job is not None
    assert job.error.isprintable()
    assert error_text(record) is None or error_text(record)
