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
    assert {"requests": [], "total": 0} == other


def test_the_list_without_a_model_holds_everything(tmp_path: Path) -> None:
    """A parameter it does not know is ignored."""
    with emulator(tmp_path) as client:
        client.accepted()
        totals = [client.call("GET", f"{BASE}/requests{query}").json["total"] for query in ("", "?model=x")]

    assert [1, 1] == totals


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

    assert (0, 1) == (early, late)


def test_shapes_of_the_list(tmp_path: Path) -> None:
    """The array may have other names, or none."""
    with emulator(tmp_path) as client:
        client.accepted()
        shapes = {}
        for shape in ("requests", "data", "items", "bare"):
            client.call("PUT", "/_emulator/config", {"list_shape": shape})
            shapes[shape] = client.listed()

    assert all(1 == len(shapes[name][name]) for name in ("requests", "data", "items"))
    assert 1 == len(shapes["bare"])


def test_list_faults(tmp_path: Path) -> None:
    """The list has a script of its own."""
    with emulator(tmp_path, list_script=("503_html",)) as client:
        statuses = [client.call("GET", f"{BASE}/requests").status for _ in range(2)]

    assert [503, 200] == statuses


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
    assert ("enum", ["5", "8", "10"]) == (parameters["duration"]["type"], parameters["duration"]["options"])
    assert ("image", True) == (parameters["image_url"]["type"], parameters["image_url"]["required"])
    assert ("integer", 2_147_483_647) == (parameters["seed"]["type"], parameters["seed"]["max"])
    assert (30_000, "second") == (page["price_info"]["price"], page["price_info"]["unit"])
    assert 404 == unknown.status


def test_the_key_check(tmp_path: Path) -> None:
    """The key's scope and organisation; a wrong key is a 401."""
    path = "/api/v1/me/api-keys/current"
    with emulator(tmp_path, org_id="org-1") as client:
        good, bad = client.call("GET", path), client.call("GET", path, headers={"Authorization": "Bearer x"})

    assert ("ie_model", {"id": "org-1"}) == (good.json["key"]["scope"], good.json["organization"])
    assert 401 == bad.status


@pytest.mark.parametrize("path", ["/requests/a/b", "/nothing", "/models/a/b"])
def test_a_path_that_is_not_there(tmp_path: Path, path: str) -> None:
    """Other paths are a 404 in JSON."""
    with emulator(tmp_path) as client:
        reply = client.call("GET", f"{BASE}{path}")

    assert 404 == reply.status


def test_knobs_change_while_it_runs(tmp_path: Path) -> None:
    """Named knobs change, the rest stays; a script starts from its first word."""
    with emulator(tmp_path, credits=5) as client:
        client.post()
        told = client.call("PUT", "/_emulator/config", {"submit_script": ["429"]}).json
        statuses = [client.post().status for _ in range(2)]

    assert (5, ["429"]) == (told["credits"], told["submit_script"])
    assert [429, 200] == statuses


@pytest.mark.parametrize(
    "body", [{"credit": 1}, {"credits": "1"}, {"submit_script": ["soup"]}, {"echo": "x"}, []]
)
def test_wrong_knobs_change_nothing(tmp_path: Path, body: object) -> None:
    """An unknown knob, a wrong kind of value or an unknown fault is a 400 that names it."""
    with emulator(tmp_path) as client:
        reply = client.call("PUT", "/_emulator/config", body)
        after = client.call("GET", "/_emulator/config").json

    assert (400, True) == (reply.status, reply.json["error"].startswith("emulator: "))
    assert (None, []) == (after["credits"], after["submit_script"])
