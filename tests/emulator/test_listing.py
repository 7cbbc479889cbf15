"""The list, the models, the key check and the control plane."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.emulator.client import BASE, MODEL, emulator


def test_the_list_filters_by_model(tmp_path: Path) -> None:
    """Full records of one model, with the total."""
    with emulator(tmp_path) as client:
        request_id = client.accepted()
        own, other = client.listed(), client.listed("other-model")

    assert (1, [request_id]) == (own["total"], [item["request_id"] for item in own["requests"]])
    assert "outcome" in own["requests"][0]
    assert other == {"requests": [], "total": 0}


def test_the_list_without_a_model_holds_everything(tmp_path: Path) -> None:
    """A parameter it does not know is ignored."""
    with emulator(tmp_path) as client:
        client.accepted()
        totals = [client.call("GET", f"{BASE}/requests{query}").json["total"] for query in ("", "?model=x")]

    assert totals == [1, 1]


def test_order_and_cap(tmp_path: Path) -> None:
    """Newest or oldest first, cut at the cap, the total untouched."""
    with emulator(tmp_path, list_cap=2) as client:
        ids = [client.accepted(seed=n) for n in range(3)]
        newest = client.listed()
        client.call("PUT", "/_emulator/config", {"list_order": "oldest"})
        oldest = client.listed()
        client.call("PUT", "/_emulator/config", {"list_order": "shuffled", "list_cap": None})
        shuffled = client.listed()

    def names(listing: dict[str, list[dict[str, str]]]) -> list[str]:
        return [item["request_id"] for item in listing["requests"]]

    assert (3, [ids[2], ids[1]]) == (newest["total"], names(newest))
    assert [ids[0], ids[1]] == names(oldest)
    assert set(ids) == set(names(shuffled))


def test_a_new_request_may_show_up_late(tmp_path: Path) -> None:
    """Absence from the list proves nothing for a while."""
    with emulator(tmp_path, list_delay_s=0.3) as client:
        client.accepted()
        early = client.listed()["total"]
        time.sleep(0.35)
        late = client.listed()["total"]

    assert (early, late) == (0, 1)


def test_shapes_of_the_list(tmp_path: Path) -> None:
    """The array may have other names, or none."""
    with emulator(tmp_path) as client:
        client.accepted()
        shapes = {}
        for shape in ("requests", "data", "items", "bare"):
            client.call("PUT", "/_emulator/config", {"list_shape": shape})
            shapes[shape] = client.listed()

    assert all(len(shapes[name][name]) == 1 for name in ("requests", "data", "items"))
    assert len(shapes["bare"]) == 1


def test_list_faults(tmp_path: Path) -> None:
    """The list has a script of its own."""
    with emulator(tmp_path, list_script=("503_html",)) as client:
        statuses = [client.call("GET", f"{BASE}/requests").status for _ in range(2)]

    assert statuses == [503, 200]


def test_models_are_bare_ids(tmp_path: Path) -> None:
    """The list of models carries no schema."""
    with emulator(tmp_path) as client:
        ids = client.call("GET", f"{BASE}/models").json["model_ids"]

    assert MODEL in ids


def test_the_model_page_has_parameters_and_an_integer_price(tmp_path: Path) -> None:
    """Enum options, the image type, required flags; the price in micro-dollars."""
    with emulator(tmp_path) as client:
        page = client.call("GET", f"{BASE}/models/{MODEL}").json
        unknown = client.call("GET", f"{BASE}/models/nothing")

    parameters = {entry["name"]: entry for entry in page["parameters"]}
    assert (parameters["duration"]["type"], parameters["duration"]["options"]) == ("enum", ["5", "8", "10"])
    assert (parameters["image_url"]["type"], parameters["image_url"]["required"]) == ("image", True)
    assert (parameters["seed"]["type"], parameters["seed"]["max"]) == ("integer", 2_147_483_647)
    assert (page["price_info"]["price"], page["price_info"]["unit"]) == (30_000, "second")
    assert unknown.status == 404


def test_the_key_check(tmp_path: Path) -> None:
    """The key's scope and organisation; a wrong key is a 401."""
    path = "/api/v1/me/api-keys/current"
    with emulator(tmp_path, org_id="org-1") as client:
        good, bad = client.call("GET", path), client.call("GET", path, headers={"Authorization": "Bearer x"})

    assert (good.json["key"]["scope"], good.json["organization"]) == ("ie_model", {"id": "org-1"})
    assert bad.status == 401


@pytest.mark.parametrize("path", ["/requests/a/b", "/nothing", "/models/a/b"])
def test_a_path_that_is_not_there(tmp_path: Path, path: str) -> None:
    """Other paths are a 404 in JSON."""
    with emulator(tmp_path) as client:
        reply = client.call("GET", f"{BASE}{path}")

    assert reply.status == 404


def test_knobs_change_while_it_runs(tmp_path: Path) -> None:
    """Named knobs change, the rest stays; a script starts from its first word."""
    with emulator(tmp_path, credits=5) as client:
        client.post()
        told = client.call("PUT", "/_emulator/config", {"submit_script": ["429"]}).json
        statuses = [client.post().status for _ in range(2)]

    assert (told["credits"], told["submit_script"]) == (5, ["429"])
    assert statuses == [429, 200]


@pytest.mark.parametrize(
    "body", [{"credit": 1}, {"credits": "1"}, {"submit_script": ["soup"]}, {"echo": "x"}, []]
)
def test_wrong_knobs_change_nothing(tmp_path: Path, body: object) -> None:
    """An unknown knob, a wrong kind of value or an unknown fault is a 400 that names it."""
    with emulator(tmp_path) as client:
        reply = client.call("PUT", "/_emulator/config", body)
        after = client.call("GET", "/_emulator/config").json

    assert (reply.status, reply.json["error"].startswith("emulator: ")) == (400, True)
    assert (after["credits"], after["submit_script"]) == (None, [])


def test_every_card_is_on_offer(tmp_path: Path) -> None:
    """A model with other fields, integers on the wire and two pictures needs no code here."""
    payload = {"prompt": "dawn", "duration": "5", "quality": "360p"}
    pictures = {"first_frame_image": "https://a/1.png", "last_frame_image": "https://a/2.png"}
    with emulator(tmp_path) as client:
        second = {"model": "pixverse-v5.6-transition", "payload": {**payload, **pictures}}
        third = {
            "model": "pixverse-v6-i2v",
            "payload": {**payload, "image": "https://a/1.png", "duration": 7},
        }
        statuses = [client.call("POST", f"{BASE}/requests", body).status for body in (second, third)]

    assert statuses == [200, 200]
