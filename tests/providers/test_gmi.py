"""The provider `gmi` over a scripted wire: what it sends, how it reads every answer, where the key goes."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from batchrunner.providers.base import Provider, ProviderError
from batchrunner.providers.gmi import Gmi
from batchrunner.providers.http import Http
from batchrunner.values import Evidence, Picture, Reason, RemoteJob, RemotePhase, Reply
from tests.providers.wire import (
    Asked,
    Script,
    Wire,
    always,
    answer,
    closed_port,
    hang_up,
    in_turn,
    reset,
    serving,
    silent,
)

KEY = "eyJcanary.key"
MODEL = "pixverse-v5.6-i2v"
PAYLOAD = {"image_url": "https://example.com/fox.png", "prompt": "Füchse im „Schnee“ 🦊", "duration": "5"}
ID = "0b9ff2a0-7a55-4b4e-9d0a-2f6a2c3d4e5f"
QUEUE = "/api/v1/ie/requestqueue/apikey"
RECORD: Mapping[str, Any] = {
    "request_id": ID,
    "model": MODEL,
    "status": "queued",
    "payload": PAYLOAD,
    "outcome": None,
    "created_at": 1_753_427_199,
}
PAGE = answer(502, "<html><h1>Bad Gateway</h1></html>", Content_Type="text/html")


@contextmanager
def provider(script: Script, organization: str | None = None) -> Iterator[tuple[Gmi, Wire]]:
    """Give a provider whose other side follows a script."""
    with serving(script) as wire:
        http = Http(wire.url)
        try:
            yield Gmi(wire.url + "/", KEY, organization, http, now_s=lambda: 1_753_427_000.0), wire
        finally:
            http.close()


def submitted(script: Script) -> tuple[Reply, Wire]:
    """Submit once."""
    with provider(script) as (gmi, wire):
        return gmi.submit(MODEL, PAYLOAD, timeout_s=0.3), wire


def told(**changes: Any) -> RemoteJob:
    """Return what is read from one record."""
    with provider(always(answer(200, {**RECORD, **changes}))) as (gmi, _wire):
        return gmi.status(ID)


def trouble(data: bytes) -> ProviderError:
    """Return what a poll raises for one answer."""
    with provider(always(data)) as (gmi, _wire), pytest.raises(ProviderError) as caught:
        gmi.status(ID)
    return caught.value


def test_it_is_a_provider() -> None:
    """The class has every verb of the protocol, with its types."""
    with provider(silent) as (gmi, wire):
        one: Provider = gmi

        assert ("gmi", wire.url) == (one.name, one.origin)


# --- submit -------------------------------------------------------------------------------------------


def test_a_submission_is_the_documented_request() -> None:
    """Path, key and body are as the provider documents them; the payload goes out unchanged."""
    reply, wire = submitted(always(answer(200, RECORD)))

    (asked,) = wire.asked
    assert ("POST", f"{QUEUE}/requests") == (asked.method, asked.target)
    assert {"model": MODEL, "payload": PAYLOAD} == json.loads(asked.body)
    assert f"Bearer {KEY}" == asked.headers["authorization"]
    assert "application/json" == asked.headers["content-type"]
    assert "x-organization-id" not in asked.headers
    assert (Evidence.ACCEPTED, ID) == (reply.evidence, reply.remote and reply.remote.request_id)


def test_the_organization_is_named_where_one_is_given() -> None:
    """An account in several organisations says in which one it works."""
    with provider(always(answer(200, RECORD)), "org-7") as (gmi, wire):
        gmi.submit(MODEL, PAYLOAD, timeout_s=1)

    assert "org-7" == wire.asked[0].headers["x-organization-id"]


FAULTS: Mapping[str, Script] = {
    "closed after reading": hang_up(),
    "reset after reading": reset,
    "no answer": silent,
    "cut in the headers": hang_up(b"HTTP/1.1 400 Bad Request\r\nContent-Le"),
    "cut in the body": hang_up(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"request_id": "abcdef'),
    "gateway page": always(PAGE),
    "captive portal": always(answer(200, "<html>Please log in</html>", Content_Type="text/html")),
    "unauthorised page": always(answer(401, "<html>Login</html>", Content_Type="text/html")),
    "redirect": always(answer(307, Location="/elsewhere")),
    "accepted without an id": always(answer(200, {"status": "queued"})),
    "accepted with an odd id": always(answer(200, {**RECORD, "request_id": "../../etc"})),
    "accepted with a long id": always(answer(200, {**RECORD, "request_id": "a" * 129})),
    "accepted with a number": always(answer(200, {**RECORD, "request_id": 7})),
    "empty 200": always(answer(200)),
    "a list": always(answer(200, [RECORD])),
    "deep nesting": always(answer(200, "[" * 200_000)),
    "huge": always(answer(200, b"x" * (2 << 20))),
    "server error": always(answer(500, {"error": "internal error"})),
    "other 503": always(answer(503, {"error": "no healthy upstream"})),
    "gateway time-out": always(answer(504, {"error": "timeout"})),
    "conflict": always(answer(409, {"error": "conflict"})),
    "request time-out": always(answer(408, {"error": "timeout"})),
    "refusal of no known shape": always(answer(400, "bad request")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_proves_nothing_is_unknown_and_was_sent_once(fault: str) -> None:
    """One submit is one POST on the wire, and nothing is claimed about its fate."""
    reply, wire = submitted(FAULTS[fault])

    assert (Evidence.UNKNOWN, Reason.UNCLEAR) == (reply.evidence, reply.reason)
    assert reply.detail
    assert 1 == len(wire.asked)
    assert 1 == wire.connections


REFUSALS = [
    (400, "invalid payload parameters: image (Required parameter is missing)", Reason.REQUEST),
    (400, "Generation rejected; please review the prompt and parameters", Reason.MODERATION),
    (401, "invalid token", Reason.CREDENTIALS),
    (402, "Insufficient credits. Please add more credits to your account.", Reason.CREDIT),
    (403, "forbidden", Reason.CREDENTIALS),
    (404, "model Pixverse-v5.6-i2v does not exist", Reason.MODEL),
    (404, "you do not have access to this model", Reason.MODEL),
    (429, "too many requests", Reason.RATE),
    (500, "Backend error (400). Please try again.", Reason.BACKEND),
    (503, "Upstream capacity temporarily exhausted; please retry later", Reason.CAPACITY),
]


@pytest.mark.parametrize(("status", "text", "reason"), REFUSALS)
def test_a_refusal_in_the_providers_words_is_one(status: int, text: str, reason: Reason) -> None:
    """Answers that were recorded at the live service prove that nothing was accepted."""
    reply, wire = submitted(always(answer(status, {"error": text})))

    assert (Evidence.REFUSED, reason, status) == (reply.evidence, reply.reason, reply.status)
    assert text == reply.detail
    assert 1 == len(wire.asked)


def test_an_error_may_be_an_object() -> None:
    """The edge nests its text one level down."""
    reply, _wire = submitted(always(answer(429, {"error": {"message": "slow down", "details": "x"}})))

    assert (Evidence.REFUSED, "slow down") == (reply.evidence, reply.detail)


@pytest.mark.parametrize(
    ("header", "wait_s"), [("7", 7.0), ("Fri, 25 Jul 2025 07:04:20 GMT", 60.0), ("86400", 600.0), ("x", None)]
)
def test_the_providers_wish_to_wait_is_read(header: str, wait_s: float | None) -> None:
    """Seconds or a date, and never more than ten minutes."""
    reply, _wire = submitted(always(answer(429, {"error": "rate"}, Retry_After=header)))

    assert wait_s == reply.retry_after_s


def test_without_a_connection_nothing_left() -> None:
    """Nobody listens: that is known for sure."""
    base = f"http://127.0.0.1:{closed_port()}"

    reply = Gmi(base, KEY, None, Http(base)).submit(MODEL, PAYLOAD, timeout_s=1)

    assert (Evidence.NEVER_LEFT, Reason.NETWORK) == (reply.evidence, reply.reason)


def test_success_in_the_first_answer_is_taken_with_its_media() -> None:
    """Some models answer the POST with the finished record."""
    record = {**RECORD, "status": "success", "outcome": {"video_url": "https://example.com/v.mp4"}}
    reply, _wire = submitted(always(answer(201, record)))

    assert reply.remote is not None
    assert (RemotePhase.SUCCESS, ("https://example.com/v.mp4",)) == (reply.remote.phase, reply.remote.media)


def test_success_without_an_outcome_is_accepted() -> None:
    """Then the address is asked for later; the id is what counts."""
    reply, _wire = submitted(always(answer(200, {"request_id": ID, "status": "success"})))

    assert reply.remote == RemoteJob(ID, "success", RemotePhase.SUCCESS)


# --- status -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "phase"),
    [(word, RemotePhase.RUNNING) for word in ("created", "queued", "dispatched", "processing", "throttled")]
    + [("success", RemotePhase.SUCCESS), ("failed", RemotePhase.FAILED), ("cancelled", RemotePhase.CANCELLED)]
    + [(None, RemotePhase.RUNNING), (7, RemotePhase.RUNNING)],
)
def test_every_status_is_understood(status: Any, phase: RemotePhase) -> None:
    """What is not known to be an end is not one."""
    assert phase is told(status=status).phase


V, W = "https://storage.googleapis.com/b/v.mp4", "https://storage.googleapis.com/b/w.mp4"


@pytest.mark.parametrize(
    ("outcome", "media"),
    [
        ({"media_urls": [{"id": "0", "url": V}, {"id": "1", "url": W}], "video_url": "https://x/y"}, (V, W)),
        ({"media_urls": [V, W, V]}, (V, W)),
        ({"media_urls": [{"id": "0"}, None, 7], "video_url": V}, (V,)),
        ({"video_url": V, "url": W, "thumbnail_image_url": V}, (V,)),
        ({"url": W}, (W,)),
        ({"thumbnail_image_url": V}, ()),
        ({"media_urls": ["ftp://x/y", "file:///etc/passwd", "javascript:alert(1)"]}, ()),
        ({"media_urls": V}, ()),
        ([V], ()),
        (None, ()),
    ],
)
def test_media_is_found_in_every_observed_shape_and_never_the_thumbnail(
    outcome: Any, media: tuple[str, ...]
) -> None:
    """Objects or texts, newer or older fields."""
    assert media == told(status="success", outcome=outcome).media


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Music generation failed: rate limit exceeded(RPM)", Reason.RATE),
        ("content policy violation", Reason.MODERATION),
        ("unknown error, 1000. Please try again", Reason.TRANSIENT),
        ("Image pixel is invalid", Reason.PICTURE),
        ("Insufficient credits", Reason.CREDIT),
        ("render node exploded", Reason.RENDER),
    ],
)
def test_a_failure_is_told_by_its_text(text: str, reason: Reason) -> None:
    """The provider has no codes for why a request failed."""
    job = told(status="failed", outcome={"error": text})

    assert (text, reason) == (job.error, job.failure)


@pytest.mark.parametrize("place", ["error", "reason"])
def test_the_text_of_a_failure_may_stand_elsewhere(place: str) -> None:
    """Other clients expect it beside the outcome."""
    assert "boom" == told(status="failed", outcome=None, **{place: "boom"}).error


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (answer(401, {"error": "bad key"}), Reason.CREDENTIALS),
        (answer(403), Reason.CREDENTIALS),
        (answer(401, "Unauthorized"), Reason.CREDENTIALS),
        (answer(402, {"error": "credits"}), Reason.CREDIT),
        (answer(404, {"error": "request not found"}), Reason.MISSING),
        (answer(429), Reason.RATE),
        (answer(500, {"error": "oops"}), Reason.SERVER),
        (PAGE, Reason.SERVER),
        (answer(404, "404 page not found"), Reason.UNCLEAR),
        (answer(401, "<html>Log in</html>"), Reason.UNCLEAR),
        (answer(403, "Log in", Content_Type="text/html"), Reason.UNCLEAR),
        (answer(200, "<html>Hello</html>"), Reason.UNCLEAR),
        (answer(200, {"hello": "there"}), Reason.UNCLEAR),
        (answer(200, {**RECORD, "request_id": "another"}), Reason.UNCLEAR),
        (answer(302, Location="/x"), Reason.UNCLEAR),
        (b"nonsense\r\n\r\n", Reason.UNCLEAR),
    ],
)
def test_trouble_with_a_poll_has_a_reason(data: bytes, reason: Reason) -> None:
    """A wrong key is told from a portal's page, and a missing request from a missing server."""
    assert reason is trouble(data).reason


def test_a_poll_may_say_when_to_come_back() -> None:
    """The wish to wait is passed on."""
    assert 9.0 == trouble(answer(429, {"error": "rate"}, Retry_After="9")).retry_after_s


def test_without_a_network_a_poll_says_so() -> None:
    """No connection is a reason of its own."""
    base = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(ProviderError) as caught:
        Gmi(base, KEY, None, Http(base)).status(ID)

    assert Reason.NETWORK is caught.value.reason


def test_text_from_outside_is_short_clean_and_without_the_key() -> None:
    """No terminal codes, no reversed text, no key, and one line of 300 characters at most."""
    hidden = f"{KEY[:5]}\u200b{KEY[5:]}"
    text = f"\x1b]0;pwned\x07 a\nb \u202egnp.exe {KEY} {hidden} " + "x" * 100_000
    detail = trouble(answer(500, {"error": text})).detail
    job = told(status="failed", outcome={"error": text})

    for shown in (detail, job.error):
        assert 300 == len(shown)
        assert KEY not in shown
        assert shown.isprintable()
        assert "a b gnp.exe [key] [key] xxx" in shown


# --- recent -------------------------------------------------------------------------------------------


def rows(count: int) -> list[dict[str, Any]]:
    """Return some records."""
    return [{**RECORD, "request_id": f"id-{number}"} for number in range(count)]


@pytest.mark.parametrize(
    ("body", "count", "complete"),
    [
        ({"requests": rows(3), "total": 3}, 3, True),
        ({"requests": rows(3), "total": 9}, 3, False),
        ({"requests": rows(100), "total": 100}, 100, True),
        ({"data": rows(3)}, 3, True),
        ({"items": rows(3)}, 3, True),
        (rows(3), 3, True),
        (rows(20), 20, False),
        ({"requests": [*rows(2), *rows(1)], "total": 3}, 2, False),
        ({"requests": []}, 0, True),
        ({"requests": [*rows(2), {"no": "id"}], "total": 3}, 2, False),
        ({"hello": "there"}, 0, False),
    ],
)
def test_a_listing_is_read_in_every_shape(body: Any, count: int, complete: bool) -> None:
    """It is complete only if nothing hints at more."""
    with provider(always(answer(200, body))) as (gmi, wire):
        listing = gmi.recent(MODEL)

    assert (count, complete) == (len(listing.jobs), listing.complete)
    assert f"{QUEUE}/requests?model_id={MODEL}" == wire.asked[0].target


def test_a_listing_of_thousands_is_read() -> None:
    """A night's work comes in one answer where the provider knows no pages."""
    many = [{**row, "payload": {"prompt": "x" * 1500}} for row in rows(3000)]
    with provider(always(answer(200, {"requests": many, "total": 3000}))) as (gmi, _wire):
        listing = gmi.recent(MODEL)

    assert 3000 == len(listing.jobs)
    assert listing.complete


def test_a_listing_keeps_what_recovery_needs() -> None:
    """Echoed payload and the provider's own time."""
    with provider(always(answer(200, [RECORD]))) as (gmi, _wire):
        (job,) = gmi.recent(MODEL).jobs

    assert (PAYLOAD, 1_753_427_199.0) == (job.payload, job.created_s)


@pytest.mark.parametrize(
    ("date", "ahead_s"),
    [
        ("Fri, 25 Jul 2025 07:03:20 GMT", 0.0),
        ("Fri, 25 Jul 2025 05:03:20 GMT", -7200.0),
        ("Fri, 25 Jul 2025 07:03:20", 0.0),
        ("tomorrow", 0.0),
        ("Fri, 25 Jul 2025 07:03:20 +999999999999999999999999999999", 0.0),
        ("Fri, 25 Jul 99999 08:23:20 GMT", 0.0),
    ],
)
def test_a_listing_tells_how_far_the_clocks_are_apart(date: str, ahead_s: float) -> None:
    """By the Date header, where it is one; our clock stands at 07:03:20."""
    with provider(always(answer(200, [RECORD], Date=date))) as (gmi, _wire):
        assert gmi.recent(MODEL).ahead_s == ahead_s


def test_an_answer_that_says_two_things_at_once_says_nothing() -> None:
    """Of a key that is there twice nobody knows which value holds; the POST may have been accepted."""
    twice = f'{{"request_id": "{ID}", "status": "queued", "request_id": "another"}}'
    reply, _wire = submitted(always(answer(200, twice)))

    assert reply.evidence is Evidence.UNKNOWN
    assert trouble(answer(200, twice)).reason is Reason.UNCLEAR


# --- upload -------------------------------------------------------------------------------------------


def picture(folder: Path, extension: str, data: bytes = b"\x89PNG picture") -> Picture:
    """Return a local picture."""
    path = folder / f"fox.{extension}"
    path.write_bytes(data)
    return Picture(path=path, sha256=hashlib.sha256(data).hexdigest(), extension=extension)


def storage(stored: bytes = b"") -> Script:
    """Follow the upload protocol with one server for both sides."""

    def script(asked: Asked, peer: socket.socket) -> None:
        host = asked.headers["host"]
        places = {
            "upload_url": f"http://{host}/bucket/x?X-Goog-Signature=s",
            "public_url": "https://storage.googleapis.com/bucket/x",
        }
        peer.sendall(answer(200, places) if asked.method == "POST" else stored or answer(200))

    return script


@pytest.mark.parametrize(
    ("extension", "content_type"), [("png", "image/png"), ("jpeg", "image/jpeg"), ("jpg", "image/jpg")]
)
def test_an_upload_has_the_signed_type_and_no_key(tmp_path: Path, extension: str, content_type: str) -> None:
    """The storage host gets the bytes with the literal type, and never the key."""
    with provider(storage(), "org-7") as (gmi, wire):
        url = gmi.upload(picture(tmp_path, extension))

    ask, put = wire.asked
    assert {"file_type": extension} == json.loads(ask.body)
    assert f"{QUEUE}/upload-url" == ask.target
    assert ("PUT", "/bucket/x?X-Goog-Signature=s", b"\x89PNG picture") == (put.method, put.target, put.body)
    assert content_type == put.headers["content-type"]
    assert KEY not in str(put.headers)
    assert "x-organization-id" not in put.headers
    assert "https://storage.googleapis.com/bucket/x" == url


def test_webp_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """The upload knows no webp: the sentence says what to do, and nothing is sent."""
    with provider(storage()) as (gmi, wire), pytest.raises(ProviderError, match="png or jpeg") as caught:
        gmi.upload(picture(tmp_path, "webp"))

    assert Reason.PICTURE is caught.value.reason
    assert [] == wire.asked


def test_a_picture_that_changed_is_not_uploaded(tmp_path: Path) -> None:
    """The job was planned with other bytes."""
    changed = picture(tmp_path, "png")
    (tmp_path / "fox.png").write_bytes(b"other")
    with provider(storage()) as (gmi, wire), pytest.raises(ProviderError, match="changed") as caught:
        gmi.upload(changed)

    assert Reason.PICTURE is caught.value.reason
    assert [] == wire.asked


def test_a_picture_that_is_gone_is_named(tmp_path: Path) -> None:
    """The sentence has the path and the cause."""
    gone = Picture(path=tmp_path / "gone.png", sha256="0" * 64, extension="png")
    with provider(storage()) as (gmi, _wire), pytest.raises(ProviderError, match=r"gone\.png: No such file"):
        gmi.upload(gone)


def test_a_storage_that_refuses_is_tried_again_later(tmp_path: Path) -> None:
    """An expired signature is no fault of the picture."""
    with provider(storage(answer(403, "<Error/>"))) as (gmi, _wire), pytest.raises(ProviderError) as caught:
        gmi.upload(picture(tmp_path, "png"))

    assert (Reason.SERVER, 403) == (caught.value.reason, caught.value.status)


@pytest.mark.parametrize(
    "places",
    [
        {},
        [],
        {"upload_url": "x", "public_url": "y"},
        {"upload_url": "https://[::1", "public_url": "https://x/y"},
        {"upload_url": "http://10.0.0.1/x", "public_url": "https://x/y"},
        {"upload_url": "http://storage.googleapis.com/x", "public_url": "https://x/y"},
    ],
)
def test_an_upload_goes_nowhere_odd(tmp_path: Path, places: Any) -> None:
    """Without a proper place to upload to, the bytes stay here."""
    with (
        provider(always(answer(200, places))) as (gmi, wire),
        pytest.raises(ProviderError) as caught,
    ):
        gmi.upload(picture(tmp_path, "png"))

    assert Reason.UNCLEAR is caught.value.reason
    assert 1 == len(wire.asked)


# --- account ------------------------------------------------------------------------------------------

ACCOUNT = {"key": {"id": "k", "scope": "ie_model"}, "organization": {"id": "org-1"}}


def test_the_account_is_the_organisation() -> None:
    """The key check names it."""
    with provider(always(answer(200, ACCOUNT))) as (gmi, wire):
        account = gmi.account()

    assert "org-1" == account.id
    assert "/api/v1/me/api-keys/current" == wire.asked[0].target


def test_the_organisation_that_is_asked_for_is_the_account() -> None:
    """Requests belong to the organisation in the header, whatever the key's own one is."""
    with provider(always(answer(200, ACCOUNT)), "org-7") as (gmi, _wire):
        assert "org-7" == gmi.account().id


@pytest.mark.parametrize("missing", [answer(404, "404 page not found"), answer(404, {"error": "no route"})])
def test_without_a_key_check_the_account_is_a_keyed_hash(missing: bytes) -> None:
    """An older server: any call that needs the key will do, and the hash gives nothing away."""
    with provider(in_turn(missing, answer(200, {"requests": []}))) as (gmi, wire):
        account = gmi.account()

    assert "key-" in account.id
    assert KEY not in account.id
    assert hashlib.sha256(KEY.encode()).hexdigest()[:16] not in account.id
    assert f"{QUEUE}/requests" == wire.asked[1].target


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_told(status: int) -> None:
    """Whatever the body of that answer is."""
    with provider(always(answer(status))) as (gmi, _wire), pytest.raises(ProviderError) as caught:
        gmi.account()

    assert Reason.CREDENTIALS is caught.value.reason


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel", "tab\there"])
def test_a_key_that_no_header_can_carry_is_a_wrong_key(key: str) -> None:
    """A slip while pasting is told at once, not taken for an outage."""
    with pytest.raises(ProviderError) as caught:
        Gmi("http://127.0.0.1:1", key, None, Http("http://127.0.0.1:1")).account()

    assert Reason.CREDENTIALS is caught.value.reason


def test_the_key_is_not_in_the_repr() -> None:
    """A traceback or a log may show the provider."""
    with provider(silent) as (gmi, _wire):
        assert KEY not in repr(gmi)
