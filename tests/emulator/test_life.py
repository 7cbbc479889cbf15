"""The life of a request: statuses over time, how it ends, what is told and what is billed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from batchrunner.emulator.ledger import Record
from tests.emulator.client import BASE, MODEL, PAYLOAD, emulator, send


def record(**changes: Any) -> Record:
    """Return a request taken on at second 100 that takes 10 seconds."""
    plain: dict[str, Any] = {
        "request_id": "r",
        "model": MODEL,
        "payload": PAYLOAD,
        "fingerprint": "f",
        "clip": "c",
        "pictures": (),
        "created_s": 100.0,
        "duration_s": 10.0,
        "initial": "queued",
        "fate": "ok",
        "cost_micros": 150_000,
    }
    return Record(**{**plain, **changes})


def test_a_request_passes_through_the_running_statuses() -> None:
    """Queued, dispatched, processing, success: a function of the time alone."""
    seen = [record().status(100.0 + s) for s in (0, 1.6, 5, 9.99, 10)]

    assert seen == ["queued", "dispatched", "processing", "processing", "success"]


def test_a_request_never_falls_behind_its_first_status() -> None:
    """What starts as processing is not queued later."""
    assert record(initial="processing").status(100.0) == "processing"


@pytest.mark.parametrize(
    ("fate", "status", "charged"),
    [("ok", "success", 1), ("no_url", "success", 1), ("moderation", "failed", 0), ("never", "queued", 0)],
)
def test_only_success_is_billed(fate: str, status: str, charged: int) -> None:
    """A failed or a never-started request costs nothing."""
    late_s = 1_000_000.0

    assert (status, charged * 150_000) == (
        record(fate=fate).status(late_s),
        record(fate=fate).charged_micros(late_s),
    )


def test_nothing_is_billed_before_the_end() -> None:
    """The bill grows at the moment of success."""
    assert (record().charged_micros(109.9), record().charged_micros(110.0)) == (0, 150_000)


def test_the_full_record_has_the_live_order_of_fields(tmp_path: Path) -> None:
    """Fields as recorded from a live call; outcome null until the end."""
    with emulator(tmp_path, duration_s=(60.0, 60.0)) as client:
        told = client.status(client.accepted()).json

    order = "request_id org_id user_id model status is_public payload outcome created_at updated_at queued_at"
    assert order.split() == list(told)
    assert (False, None, dict(PAYLOAD)) == (told["is_public"], told["outcome"], told["payload"])


@pytest.mark.parametrize(("echo", "keys"), [("verbatim", list(PAYLOAD)), ("empty", [])])
def test_echo_modes(tmp_path: Path, echo: str, keys: list[str]) -> None:
    """The payload comes back as sent, or not at all."""
    with emulator(tmp_path, echo=echo) as client:
        told = client.status(client.accepted()).json

    assert keys == list(told["payload"])


def test_reordered_echo_keeps_the_values(tmp_path: Path) -> None:
    """Only the order of the keys is another."""
    with emulator(tmp_path, echo="reordered") as client:
        told = client.status(client.accepted()).json["payload"]

    assert dict(PAYLOAD) == told
    assert list(PAYLOAD) != list(told)


def test_outcome_modes(tmp_path: Path) -> None:
    """Four shapes of success; with `both` the thumbnail is the clip, as in the vendor's example."""
    shapes: dict[str, Any] = {}
    with emulator(tmp_path) as client:
        request_id = client.accepted()
        for mode in ("media_urls", "strings", "video_url", "both"):
            client.call("PUT", "/_emulator/config", {"outcome": mode})
            shapes[mode] = client.status(request_id).json["outcome"]

    clip = shapes["video_url"]["video_url"]
    assert clip.endswith(".mp4")
    assert [{"id": "0", "url": clip}] == shapes["media_urls"]["media_urls"]
    assert clip != shapes["media_urls"]["thumbnail_image_url"]
    assert [clip] == shapes["strings"]["media_urls"]
    assert clip == shapes["both"]["video_url"] == shapes["both"]["thumbnail_image_url"]


def test_fates_come_in_order_of_acceptance(tmp_path: Path) -> None:
    """Known words have their recorded texts, any other text is told as it stands."""
    fates = ("moderation", "rate_limit", "try_again", "GPU on fire", "cancelled", "no_url", "ok")
    with emulator(tmp_path, fate_script=fates) as client:
        told = [client.finished(client.accepted()) for _ in fates]
        ledger = client.ledger()

    errors = [one["outcome"]["error"] for one in told[:4]]
    assert [one["status"] for one in told] == ["failed"] * 4 + ["cancelled", "success", "success"]
    assert "moderation" in errors[0]
    assert "rate limit exceeded(RPM)" in errors[1]
    assert "Please try again" in errors[2]
    assert errors[3] == "GPU on fire"
    assert told[5]["outcome"]["media_urls"] == []
    assert ledger["charged"]["count"] == 2


def test_an_odd_status_is_told_while_it_runs(tmp_path: Path) -> None:
    """A word outside the list of statuses, then success all the same."""
    with emulator(tmp_path, fate_script=("odd_status",), duration_s=(0.4, 0.4)) as client:
        request_id = client.accepted()
        time.sleep(0.25)
        running = client.status(request_id).json["status"]
        ended = client.finished(request_id)["status"]

    assert (running, ended) == ("throttled", "success")


def test_a_never_started_model_stays_queued(tmp_path: Path) -> None:
    """Accepted, never touched, never billed: all times stay equal."""
    with emulator(tmp_path, never_models=(MODEL,)) as client:
        told = client.status(client.accepted()).json
        ledger = client.ledger()

    assert (told["status"], told["outcome"]) == ("queued", None)
    assert told["created_at"] == told["updated_at"]
    assert (ledger["charged"]["count"], ledger["due"]["count"]) == (0, 0)


@pytest.mark.parametrize(
    ("initial", "status", "outcome"),
    [("dispatched", "dispatched", False), ("success", "success", True), ("success_bare", "success", False)],
)
def test_initial_status(tmp_path: Path, initial: str, status: str, outcome: bool) -> None:
    """A POST may answer with a running status, or with success, with or without the outcome."""
    with emulator(tmp_path, initial_status=initial, duration_s=(60.0, 60.0)) as client:
        first = client.post().json

    assert (status, outcome) == (first["status"], "outcome" in first)


def test_a_failure_at_once_is_still_a_200(tmp_path: Path) -> None:
    """A rate limit can arrive as an accepted request that has already failed."""
    with emulator(tmp_path, initial_status="failed") as client:
        reply = client.post()

    assert (reply.status, reply.json["status"]) == (200, "failed")
    assert "rate limit" in reply.json["outcome"]["error"]


def test_durations_differ_and_repeat(tmp_path: Path) -> None:
    """Each request has its own duration within the bounds, the same in every run."""

    def durations(folder: str) -> list[float]:
        path = tmp_path / folder
        with emulator(path, duration_s=(100.0, 200.0)) as client:
            for seed in range(4):
                client.post(seed=seed)
        lines = (path / "ledger.jsonl").read_text().splitlines()
        return [json.loads(line)["accepted"]["duration_s"] for line in lines]

    first = durations("a")

    assert first == durations("b")
    assert len(set(first)) == 4
    assert all(100 <= one <= 200 for one in first)


def test_an_unknown_request_is_a_404(tmp_path: Path) -> None:
    """An id that was never given is not found."""
    with emulator(tmp_path) as client:
        reply = client.status("3f2b8c1e-0000-0000-0000-000000000000")

    assert (reply.status, list(reply.json)) == (404, ["error"])


def test_status_faults(tmp_path: Path) -> None:
    """Scripted answers come before the true one."""
    script = ("500", "502_html", "429", "404", "garbage", "ok")
    with emulator(tmp_path, status_script=script) as client:
        request_id = client.accepted()
        statuses = [client.status(request_id).status for _ in script]

    assert statuses == [500, 502, 429, 404, 200, 200]


@pytest.mark.parametrize("status", [404, 405])
def test_cancelling_is_refused_by_default(tmp_path: Path, status: int) -> None:
    """Nobody has seen the real service cancel."""
    with emulator(tmp_path, cancel=status, duration_s=(60.0, 60.0)) as client:
        request_id = client.accepted()
        reply = client.call("DELETE", f"{BASE}/requests/{request_id}")

    assert status == reply.status


def test_cancelling_works_where_the_knob_says_so(tmp_path: Path) -> None:
    """A running request ends and is never billed; an ended one is a 409."""
    with emulator(tmp_path, cancel=200, duration_s=(60.0, 60.0)) as client:
        request_id = client.accepted()
        path = f"{BASE}/requests/{request_id}"
        first, second = client.call("DELETE", path), client.call("DELETE", path)
        ledger = client.ledger()

    assert (first.json["status"], second.status) == ("cancelled", 409)
    assert ledger["due"]["count"] == 0


def test_the_price_follows_the_unit(tmp_path: Path) -> None:
    """By the second, or by the request; integers of micro-dollars."""
    bills = []
    for unit in ("second", "request"):
        with emulator(tmp_path / unit, price_micros=30_000, price_unit=unit) as client:
            client.post(duration="8")
            bills.append(client.ledger()["charged"])

    assert bills == [{"count": 1, "micros": 240_000}, {"count": 1, "micros": 30_000}]


def test_the_ledger_counts_by_fingerprint(tmp_path: Path) -> None:
    """Two POSTs of one payload are two charges under one name: this is how double payment shows."""
    with emulator(tmp_path) as client:
        for seed in (1, 1, 2):
            client.post(seed=seed)
        ledger = client.ledger()

    assert sorted(ledger["accepted_by_fingerprint"].values()) == [1, 2]
    assert ledger["accepted_by_fingerprint"] == ledger["charged_by_fingerprint"]
    assert ledger["requests"]["POST /requests"] == 3


def test_media_addresses_may_be_signed(tmp_path: Path) -> None:
    """The query stands behind each of them, and they still lead to the clip."""
    with emulator(tmp_path, media_query="X-Goog-Signature=s") as client:
        told = client.finished(client.accepted())["outcome"]
        clip = told["media_urls"][0]["url"]

        assert clip.endswith("/sample_0.mp4?X-Goog-Signature=s")
        assert told["thumbnail_image_url"].endswith("?X-Goog-Signature=s")
        assert send("GET", clip).status == 200


def test_a_careless_error_repeats_the_key(tmp_path: Path) -> None:
    """The headers of the very request stand in the text, for POST, poll and list alike."""
    scripts = dict.fromkeys(("submit_script", "status_script", "list_script"), ("500_echo",))
    with emulator(tmp_path, key="canary", **scripts) as client:
        told = [client.post(), client.status(client.accepted())]
        told.append(client.call("GET", f"{BASE}/requests"))

        assert [500] * 3 == [one.status for one in told]
        assert all("Authorization: Bearer canary" in one.json["error"] for one in told)
