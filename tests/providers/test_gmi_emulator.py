"""The provider `gmi` and the emulator, end to end: both sides were written from the same public records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batchrunner.media.download import fetch
from batchrunner.providers.base import ProviderError
from batchrunner.providers.gmi import Gmi
from batchrunner.providers.http import Http
from batchrunner.values import Evidence, Picture, Reason, RemoteJob, RemotePhase, Reply
from tests.emulator.client import MODEL, PAYLOAD, Client, emulator, picture, send


@dataclass
class Side:
    """Our side, and the emulator's own view of it."""

    gmi: Gmi
    http: Http
    client: Client

    def submit(self, **changes: Any) -> Reply:
        """Submit the standard payload with some fields changed."""
        return self.gmi.submit(MODEL, {**PAYLOAD, **changes}, timeout_s=0.5)

    def accepted(self, **changes: Any) -> str:
        """Submit, and return the request's id."""
        reply = self.submit(**changes)
        assert reply.remote is not None
        return reply.remote.request_id

    def finished(self) -> RemoteJob:
        """Submit, and return what the first poll tells: the emulator is done at once."""
        return self.gmi.status(self.accepted())

    def charged(self) -> int:
        """Return how many requests the emulator took on, by its ledger."""
        return int(self.client.ledger()["accepted"])


@contextmanager
def side(root: Path, key: str | None = None, organization: str | None = None, **knobs: Any) -> Iterator[Side]:
    """Run an emulator with some knobs, and a provider against it."""
    with emulator(root, **knobs) as client:
        http = Http(client.api)
        try:
            yield Side(Gmi(client.api, key or client.key, organization, http), http, client)
        finally:
            http.close()


# --- the way of a job ---------------------------------------------------------------------------------


def test_a_job_goes_from_a_picture_to_a_clip_and_the_key_stays_at_the_api(tmp_path: Path) -> None:
    """Upload, submit, poll, list, download; the storage never sees the key."""
    data = picture()
    path = tmp_path / "fox.png"
    path.write_bytes(data)
    with side(tmp_path / "e") as one:
        url = one.gmi.upload(Picture(path=path, sha256=hashlib.sha256(data).hexdigest(), extension="png"))
        request_id = one.accepted(image_url=url)
        job = one.gmi.status(request_id)
        listing = one.gmi.recent(MODEL)
        fetched = fetch(one.http, job.media[0], tmp_path / "clip.part")
        ledger = one.client.ledger()
        stored = send("GET", url).body

    assert data == stored
    assert RemotePhase.SUCCESS is job.phase
    assert ([request_id], True) == ([row.request_id for row in listing.jobs], listing.complete)
    assert fetched.size > 1000
    assert (0, 1) == (ledger["auth_leaks"], ledger["accepted"])


@pytest.mark.parametrize("shape", ["media_urls", "strings", "video_url", "both"])
def test_every_shape_of_an_outcome_names_the_clip_once(tmp_path: Path, shape: str) -> None:
    """And never the thumbnail."""
    with side(tmp_path, outcome=shape) as one:
        (url,) = one.finished().media

    assert url.endswith("/sample_0.mp4")


@pytest.mark.parametrize("initial", ["created", "queued", "dispatched", "processing"])
def test_every_first_status_is_running(tmp_path: Path, initial: str) -> None:
    """The word is kept as it was told."""
    with side(tmp_path, initial_status=initial, duration_s=(60.0, 60.0)) as one:
        remote = one.submit().remote

    assert remote is not None
    assert (RemotePhase.RUNNING, initial) == (remote.phase, remote.status)


def test_success_at_once_brings_the_clip(tmp_path: Path) -> None:
    """A model that is called synchronously answers the POST with everything."""
    with side(tmp_path, initial_status="success") as one:
        reply = one.submit()

    assert reply.remote is not None
    assert (Evidence.ACCEPTED, RemotePhase.SUCCESS, 1) == (
        reply.evidence,
        reply.remote.phase,
        len(reply.remote.media),
    )


def test_success_at_once_without_an_outcome_needs_one_poll(tmp_path: Path) -> None:
    """The receipt alone names no clip; the record does."""
    with side(tmp_path, initial_status="success_bare") as one:
        remote = one.submit().remote
        assert remote is not None
        polled = one.gmi.status(remote.request_id)

    assert (RemotePhase.SUCCESS, ()) == (remote.phase, remote.media)
    assert 1 == len(polled.media)


@pytest.mark.parametrize(
    ("fate", "phase", "failure"),
    [
        ("ok", RemotePhase.SUCCESS, None),
        ("never", RemotePhase.RUNNING, None),
        ("cancelled", RemotePhase.CANCELLED, None),
        ("moderation", RemotePhase.FAILED, Reason.MODERATION),
        ("rate_limit", RemotePhase.FAILED, Reason.RATE),
        ("try_again", RemotePhase.FAILED, Reason.TRANSIENT),
        ("Image pixel is invalid", RemotePhase.FAILED, Reason.PICTURE),
        ("the renderer gave up", RemotePhase.FAILED, Reason.RENDER),
    ],
)
def test_every_fate_is_told(tmp_path: Path, fate: str, phase: RemotePhase, failure: Reason | None) -> None:
    """What a request came to, and why."""
    with side(tmp_path, fate_script=(fate,)) as one:
        job = one.finished()

    assert (phase, failure) == (job.phase, job.failure)


def test_a_word_that_nobody_knows_is_running(tmp_path: Path) -> None:
    """It is polled on, and shown as it was told."""
    knobs: dict[str, Any] = {"initial_status": "processing", "duration_s": (60.0, 60.0)}
    with side(tmp_path, fate_script=("odd_status",), **knobs) as one:
        job = one.finished()

    assert RemotePhase.RUNNING is job.phase
    assert job.status not in {"", "created", "queued", "dispatched", "processing"}


def test_success_without_an_address_names_no_clip(tmp_path: Path) -> None:
    """The engine decides what that means."""
    with side(tmp_path, fate_script=("no_url",)) as one:
        job = one.finished()

    assert (RemotePhase.SUCCESS, ()) == (job.phase, job.media)


# --- what a POST proves -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("400", Reason.REQUEST),
        ("400_image", Reason.PICTURE),
        ("400_rejected", Reason.MODERATION),
        ("401", Reason.CREDENTIALS),
        ("402", Reason.CREDIT),
        ("403", Reason.CREDENTIALS),
        ("429", Reason.RATE),
        ("500_backend", Reason.BACKEND),
        ("503_capacity", Reason.CAPACITY),
    ],
)
def test_what_counts_as_refused_was_not_charged(tmp_path: Path, word: str, reason: Reason) -> None:
    """The claim and the ledger agree."""
    with side(tmp_path, submit_script=(word,), retry_after="9") as one:
        reply, charged = one.submit(), one.charged()

    assert (Evidence.REFUSED, reason, 0) == (reply.evidence, reply.reason, charged)
    assert (9.0 if reason in {Reason.RATE, Reason.CAPACITY} else None) == reply.retry_after_s


LOST = ["500", "502_html", "503_html", "504_html", "html", "garbage", "drop"]


@pytest.mark.parametrize(
    ("word", "charged"),
    [(word, 0) for word in (*LOST, "redirect")]
    + [(f"accept_then_{word}", 1) for word in (*LOST, "cut")]
    + [("hang:1", 1)],
)
def test_the_same_answer_with_and_without_a_charge_is_unknown(
    tmp_path: Path, word: str, charged: int
) -> None:
    """Both happen, and look alike from here: so nothing is claimed, and nothing is sent twice."""
    with side(tmp_path, submit_script=(word,)) as one:
        reply, ledger = one.submit(), one.client.ledger()

    assert (Evidence.UNKNOWN, Reason.UNCLEAR) == (reply.evidence, reply.reason)
    assert (1, charged) == (ledger["posts"], ledger["accepted"])


@pytest.mark.parametrize("word", [f"accept_then_{word}" for word in LOST])
def test_a_lost_answer_is_found_in_the_list(tmp_path: Path, word: str) -> None:
    """With its payload, so that it can be told from others."""
    with side(tmp_path, submit_script=(word,)) as one:
        one.submit(seed=4711)
        (job,) = one.gmi.recent(MODEL).jobs

    assert job.payload is not None
    assert {**PAYLOAD, "seed": 4711} == dict(job.payload)


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    """Model ids have a case."""
    with side(tmp_path) as one:
        reply = one.gmi.submit(MODEL.upper(), PAYLOAD, timeout_s=1)

    assert (Evidence.REFUSED, Reason.MODEL) == (reply.evidence, reply.reason)


# --- calls that may be repeated -----------------------------------------------------------------------

REPEATABLE = [
    ("401", Reason.CREDENTIALS),
    ("403", Reason.CREDENTIALS),
    ("429", Reason.RATE),
    ("500", Reason.SERVER),
    ("502_html", Reason.SERVER),
    ("503_html", Reason.SERVER),
    ("504_html", Reason.SERVER),
    ("html", Reason.UNCLEAR),
    ("garbage", Reason.UNCLEAR),
    ("drop", Reason.UNCLEAR),
]


@pytest.mark.parametrize(("word", "reason"), [*REPEATABLE, ("404", Reason.MISSING)])
def test_a_poll_that_fails_says_why_and_the_next_one_works(tmp_path: Path, word: str, reason: Reason) -> None:
    """Trouble on the way says nothing about the request."""
    with side(tmp_path, status_script=(word,)) as one:
        request_id = one.accepted()
        with pytest.raises(ProviderError) as caught:
            one.gmi.status(request_id)
        again = one.gmi.status(request_id)

    assert reason is caught.value.reason
    assert RemotePhase.SUCCESS is again.phase


@pytest.mark.parametrize(("word", "reason"), REPEATABLE)
def test_a_list_that_fails_is_never_an_empty_one(tmp_path: Path, word: str, reason: Reason) -> None:
    """An empty list could be taken for proof that a submission never arrived."""
    with side(tmp_path, list_script=(word,)) as one, pytest.raises(ProviderError) as caught:
        one.gmi.recent(MODEL)

    assert reason is caught.value.reason


@pytest.mark.parametrize(("word", "reason"), REPEATABLE)
def test_an_upload_that_fails_says_why(tmp_path: Path, word: str, reason: Reason) -> None:
    """And is to be had the next time."""
    path = tmp_path / "fox.png"
    path.write_bytes(b"bytes")
    fox = Picture(path=path, sha256=hashlib.sha256(b"bytes").hexdigest(), extension="png")
    with side(tmp_path / "e", upload_script=(word,)) as one:
        with pytest.raises(ProviderError) as caught:
            one.gmi.upload(fox)
        url = one.gmi.upload(fox)

    assert reason is caught.value.reason
    assert url.startswith("http")


@pytest.mark.parametrize("extension", ["png", "jpeg", "jpg"])
def test_the_storage_takes_the_types_that_are_sent(tmp_path: Path, extension: str) -> None:
    """A jpg is an image/jpg there, which no standard knows."""
    path = tmp_path / "fox"
    path.write_bytes(b"bytes")
    fox = Picture(path=path, sha256=hashlib.sha256(b"bytes").hexdigest(), extension=extension)
    with side(tmp_path / "e") as one:
        reply = send("GET", one.gmi.upload(fox))

    assert b"bytes" == reply.body


@pytest.mark.parametrize("shape", ["requests", "data", "items", "bare"])
@pytest.mark.parametrize("order", ["newest", "oldest", "shuffled"])
def test_a_list_of_any_shape_and_order_is_whole(tmp_path: Path, shape: str, order: str) -> None:
    """All requests of the model are in it."""
    with side(tmp_path, list_shape=shape, list_order=order) as one:
        ids = {one.accepted(seed=seed) for seed in range(3)}
        listing = one.gmi.recent(MODEL)

    assert (ids, True) == ({job.request_id for job in listing.jobs}, listing.complete)


@pytest.mark.parametrize("shape", ["requests", "data", "items"])
def test_a_list_that_was_cut_says_so(tmp_path: Path, shape: str) -> None:
    """The total tells that there is more."""
    with side(tmp_path, list_shape=shape, list_cap=2) as one:
        for seed in range(3):
            one.submit(seed=seed)
        listing = one.gmi.recent(MODEL)

    assert (2, False) == (len(listing.jobs), listing.complete)


@pytest.mark.parametrize(("echo", "payload"), [("verbatim", PAYLOAD), ("reordered", PAYLOAD), ("empty", {})])
def test_an_echo_is_passed_on_as_it_is(tmp_path: Path, echo: str, payload: dict[str, Any]) -> None:
    """Also the empty one, which was seen for jobs with pictures."""
    with side(tmp_path, echo=echo) as one:
        one.submit()
        (job,) = one.gmi.recent(MODEL).jobs

    assert dict(payload) == job.payload


# --- whose key it is ----------------------------------------------------------------------------------


def test_the_account_is_the_organisation_of_the_key(tmp_path: Path) -> None:
    """The key check tells it."""
    with side(tmp_path, org_id="5e0f9c2a-8d1b-4f6e-9a37-0c4b1d2e3f50") as one:
        assert "5e0f9c2a-8d1b-4f6e-9a37-0c4b1d2e3f50" == one.gmi.account().id


def test_a_wrong_key_is_told_by_every_verb(tmp_path: Path) -> None:
    """None takes it for anything else, and the key is in no sentence."""
    key = "eyJcanary.wrong.key"
    with side(tmp_path, key) as one:
        reply = one.submit()
        details = [reply.detail]
        for call in (one.gmi.account, lambda: one.gmi.status("x"), lambda: one.gmi.recent(MODEL)):
            with pytest.raises(ProviderError) as caught:
                call()
            assert Reason.CREDENTIALS is caught.value.reason
            details.append(caught.value.detail)

    assert (Evidence.REFUSED, Reason.CREDENTIALS) == (reply.evidence, reply.reason)
    assert not any("canary" in detail for detail in details)


@pytest.mark.parametrize("request_id", ["nobody", "../../me/api-keys/current", "a?b=c", "a#b", "ä", "%2e%2e"])
def test_an_id_that_the_provider_does_not_know_is_missing(tmp_path: Path, request_id: str) -> None:
    """Whatever stands in it, it asks for a request and nothing else."""
    with side(tmp_path) as one, pytest.raises(ProviderError) as caught:
        one.gmi.status(request_id)

    assert caught.value.reason in {Reason.MISSING, Reason.UNCLEAR}
