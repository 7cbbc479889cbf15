"""POST: the order of its checks, the words of its refusals, and every way it can go wrong."""

from __future__ import annotations

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.client import BASE, MODEL, PAYLOAD, emulator, send

REQUESTS = f"{BASE}/requests"


def test_a_lawful_post_is_confirmed_in_the_short_form(tmp_path: Path) -> None:
    """The confirmation has the vendor's six fields in their order, times in whole seconds."""
    with emulator(tmp_path, duration_s=(60.0, 60.0)) as client:
        reply = client.post()

    record = reply.json
    assert reply.status == 200
    assert list(record) == ["request_id", "model", "status", "created_at", "updated_at", "queued_at"]
    assert (record["model"], record["status"]) == (MODEL, "queued")
    assert record["created_at"] == record["updated_at"] == record["queued_at"]
    assert isinstance(record["created_at"], int)


def test_the_key_comes_before_everything(tmp_path: Path) -> None:
    """A wrong key is told even where the body is not JSON."""
    with emulator(tmp_path) as client:
        missing = client.call("POST", REQUESTS, b"nonsense", headers={})
        wrong = client.call("POST", REQUESTS, b"nonsense", headers={"Authorization": "Bearer other"})

    assert (missing.status, wrong.status) == (401, 401)
    assert list(missing.json) == ["error"]


def test_json_comes_before_the_model(tmp_path: Path) -> None:
    """A body that is not JSON, or has no model, is a 400."""
    with emulator(tmp_path) as client:
        statuses = [client.call("POST", REQUESTS, body).status for body in (b"nonsense", b"[]", b"{}")]

    assert statuses == [400, 400, 400]


def test_an_unknown_model_comes_before_the_payload(tmp_path: Path) -> None:
    """Model ids are case-sensitive, and their 404 does not look at the payload."""
    with emulator(tmp_path) as client:
        reply = client.call("POST", REQUESTS, {"model": "PixVerse-V5.6-i2v", "payload": {}})

    assert (reply.status, reply.json) == (404, {"error": "model PixVerse-V5.6-i2v does not exist"})


def test_a_gated_model_says_so(tmp_path: Path) -> None:
    """A model that the account may not use is a 404 with other words."""
    with emulator(tmp_path, gated_models=(MODEL,)) as client:
        reply = client.post()

    assert reply.status == 404
    assert "you do not have access" in reply.json["error"]


def test_missing_parameters_are_all_named(tmp_path: Path) -> None:
    """Every required parameter that is absent is in the one answer, joined by commas."""
    with emulator(tmp_path, credits=0) as client:
        reply = client.post(image_url=None, prompt=None)

    note = "(Required parameter is missing)"
    text = f"invalid payload parameters: image_url {note}, prompt {note}"
    assert (400, {"error": text}) == (reply.status, reply.json)


@pytest.mark.parametrize("changes", [{"duration": 5}, {"duration": "7"}, {"seed": -1}, {"seed": True}])
def test_wrong_types_and_values_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """An integer duration, a value outside its list and a seed out of range are each a 400 naming it."""
    with emulator(tmp_path) as client:
        reply = client.post(**changes)

    assert reply.status == 400
    assert next(iter(changes)) in reply.json["error"]


def test_what_only_the_vendor_knows_is_a_backend_error(tmp_path: Path) -> None:
    """A rule across fields (10 s is not to be had at 1080p) passes the list and fails behind it."""
    with emulator(tmp_path) as client:
        reply = client.post(duration="10", quality="1080p")

    assert (reply.status, reply.json) == (500, {"error": "Backend error (400). Please try again."})


@pytest.mark.parametrize(("knob", "status"), [("ignore", 200), ("refuse", 400)])
def test_unknown_keys_follow_the_knob(tmp_path: Path, knob: str, status: int) -> None:
    """Keys outside the table are ignored silently, or refused."""
    with emulator(tmp_path, unknown_keys=knob) as client:
        reply = client.post(imgae_url="x")

    assert status == reply.status


def test_credit_runs_out_after_the_payload_check(tmp_path: Path) -> None:
    """With one job's credit the second POST is a 402; a wrong payload is still told first."""
    with emulator(tmp_path, credits=1) as client:
        statuses = [client.post().status, client.post().status, client.post(prompt=None).status]

    assert statuses == [200, 402, 400]


@pytest.mark.parametrize(
    ("word", "status", "text"),
    [
        ("400_image", 400, "failed to download image"),
        ("400_rejected", 400, "Generation rejected; please review the prompt and parameters"),
        ("401", 401, "api key"),
        ("402", 402, "Insufficient credits. Please add more credits to your account."),
        ("403", 403, "permission"),
        ("429", 429, "rate limit"),
        ("500_backend", 500, "Backend error (400). Please try again."),
        ("502_html", 502, "<html>"),
        ("503_capacity", 503, "Upstream capacity temporarily exhausted; please retry later"),
        ("504_html", 504, "<html>"),
        ("html", 200, "<html>"),
        ("garbage", 200, '{"request_id": '),
    ],
)
def test_a_scripted_refusal_takes_nothing_on(tmp_path: Path, word: str, status: int, text: str) -> None:
    """Each word of a script answers in the recorded words, once, and leaves no request behind."""
    with emulator(tmp_path, submit_script=(word, "ok")) as client:
        first, second = client.post(), client.post()
        ledger = client.ledger()

    assert (status, 200) == (first.status, second.status)
    assert text in first.body.decode()
    assert (ledger["posts"], ledger["accepted"]) == (2, 1)


def test_retry_after_is_sent_as_it_stands(tmp_path: Path) -> None:
    """The knob's text is the header of a 429 and of a 503."""
    with emulator(tmp_path, submit_script=("429", "503_capacity"), retry_after="17") as client:
        wishes = [client.post().headers["Retry-After"] for _ in range(2)]

    assert wishes == ["17", "17"]


def test_accept_then_drop_charges_without_a_byte_of_answer(tmp_path: Path) -> None:
    """The request is in the ledger and in the list, and the connection just closes."""
    with emulator(tmp_path, submit_script=("accept_then_drop",)) as client:
        with pytest.raises(http.client.RemoteDisconnected):
            client.post()
        ledger, listed = client.ledger(), client.listed()

    assert (ledger["accepted"], ledger["charged"]["count"]) == (1, 1)
    assert [item["payload"] for item in listed["requests"]] == [PAYLOAD]


def test_drop_closes_without_taking_on(tmp_path: Path) -> None:
    """To the client it looks the same, but there is no request."""
    with emulator(tmp_path, submit_script=("drop",)) as client:
        with pytest.raises(http.client.RemoteDisconnected):
            client.post()
        ledger = client.ledger()

    assert (ledger["accepted"], ledger["outcomes"]) == (0, {"dropped": 1})


def test_accept_then_cut_breaks_off_in_the_body(tmp_path: Path) -> None:
    """The announced length never arrives."""
    with emulator(tmp_path, submit_script=("accept_then_cut",)) as client:
        with pytest.raises(http.client.IncompleteRead):
            client.post()
        ledger = client.ledger()

    assert ledger["accepted"] == 1


@pytest.mark.parametrize(("word", "status"), [("accept_then_502_html", 502), ("accept_then_garbage", 200)])
def test_accept_then_another_answer(tmp_path: Path, word: str, status: int) -> None:
    """A gateway's error, or a broken body, may stand before a request that was taken on."""
    with emulator(tmp_path, submit_script=(word,)) as client:
        reply = client.post()
        ledger = client.ledger()

    assert (status, 1) == (reply.status, ledger["accepted"])


@pytest.mark.parametrize(("word", "early"), [("hang:0.3", 1), ("late:0.3", 0)])
def test_a_client_that_gives_up_is_charged_all_the_same(tmp_path: Path, word: str, early: int) -> None:
    """`hang` takes the job on at once and answers late, `late` takes it on after the caller has gone."""
    body = json.dumps({"model": MODEL, "payload": dict(PAYLOAD)})
    with emulator(tmp_path, submit_script=(word,)) as client:
        with closing(
            http.client.HTTPConnection(client.api.removeprefix("http://"), timeout=0.1)
        ) as connection:
            connection.request("POST", REQUESTS, body, {"Authorization": f"Bearer {client.key}"})
            with pytest.raises(TimeoutError):
                connection.getresponse()
        soon = client.ledger()["accepted"]
        time.sleep(0.4)
        later = client.ledger()["accepted"]

    assert (soon, later) == (early, 1)


def test_a_redirect_leads_to_the_storage_and_is_noticed(tmp_path: Path) -> None:
    """Who follows it with the key is caught by the leak count."""
    with emulator(tmp_path, submit_script=("redirect",)) as client:
        reply = client.post()
        send("POST", reply.headers["Location"], b"{}", {"Authorization": f"Bearer {client.key}"})
        ledger = client.ledger()

    assert (reply.status, ledger["auth_leaks"]) == (307, 1)


def test_post_delay_holds_every_post(tmp_path: Path) -> None:
    """Each POST is held for the knob's time."""
    with emulator(tmp_path, post_delay_s=0.2) as client:
        before = time.monotonic()
        client.post()
        spent_s = time.monotonic() - before

    assert spent_s >= 0.2


def test_random_faults_are_the_same_in_every_run(tmp_path: Path) -> None:
    """The same seed refuses the same POSTs; about as many as the rate says."""

    def statuses(folder: str, seed: int) -> list[int]:
        knobs = {"seed": seed, "submit_fault_rate": 0.5, "submit_faults": ("429", "500_backend")}
        with emulator(tmp_path / folder, **knobs) as client:
            return [client.post().status for _ in range(40)]

    first, again, other = statuses("a", 1), statuses("b", 1), statuses("c", 2)

    assert first == again
    assert first != other
    assert {200, 429, 500} == set(first)
    assert 8 <= first.count(200) <= 32


@pytest.mark.parametrize("url", ["data:image/png;base64,AAAA", "ftp://example.com/a.png", "nonsense"])
def test_a_picture_that_is_no_web_address_is_refused(tmp_path: Path, url: str) -> None:
    """Only http and https can be fetched."""
    with emulator(tmp_path) as client:
        reply = client.post(image_url=url)

    assert reply.status == 400


def test_unreachable_pictures_are_refused_where_the_knob_says_so(tmp_path: Path) -> None:
    """Nothing outside the machine is ever fetched; the knob decides how that looks."""
    with emulator(tmp_path, reachable=False) as client:
        reply = client.post()

    assert reply.status == 400


def test_a_loopback_picture_is_really_fetched(tmp_path: Path) -> None:
    """A URL on this machine that leads nowhere, or not to a picture, is a 400."""
    with emulator(tmp_path, canned=False) as client:
        nowhere = client.post(image_url="http://127.0.0.1:9/a.png")
        no_picture = client.post(image_url=f"{client.api}/_emulator/ledger")

    assert (nowhere.status, no_picture.status) == (400, 400)


def test_credit_is_not_overdrawn_by_posts_side_by_side(tmp_path: Path) -> None:
    """Four POSTs at once with credit for two: two are accepted, two are refused with 402."""
    config = {"credits": 2, "canned": True, "post_delay_s": 0.2}
    with emulator(tmp_path, **config) as client, ThreadPoolExecutor(4) as pool:
        statuses = sorted(reply.status for reply in pool.map(lambda seed: client.post(seed=seed), range(4)))

    assert [200, 200, 402, 402] == statuses
