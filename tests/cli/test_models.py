"""`models` as a user sees it: the real program, and pages over real HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from batchrunner.cards import load_card, parse_card
from batchrunner.files import card_ids, card_text
from tests.shell import QUICK, Shell, against


def test_models_are_listed_and_explained(tmp_path: Path) -> None:
    """Neither needs a key or a network."""
    shell = Shell(tmp_path, "http://127.0.0.1:1", "")
    listed, told = shell.run("models"), shell.run("models", "show", "pixverse-v5.6-i2v")
    as_json = shell.run("models", "--json")

    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == list(card_ids())
    assert {one["id"] for one in as_json.json} == set(card_ids())
    assert "$0.03 a second" in listed.out
    assert "duration: 5, 8, 10 (always sent, sent as text; 5 unless told)" in told.out
    assert "not allowed: 10 s is not available at 1080p" in told.out
    assert "a job with the defaults costs at most $0.15" in told.out
    assert "\n  card: " not in told.out


def test_a_mistyped_model_is_told_its_neighbours(tmp_path: Path) -> None:
    """As in a manifest."""
    done = Shell(tmp_path, "http://127.0.0.1:1", "").run("models", "show", "pixverse-v5.6-i2w")

    assert done.code == 2
    assert "did you mean pixverse-v5.6-i2v" in done.err


def test_cards_are_held_against_the_provider(tmp_path: Path) -> None:
    """They agree; with another price they do not, and both are named."""
    with against(tmp_path) as shell:
        agreed = shell.run("models", "check")
    with against(tmp_path, replace(QUICK, price_micros=152_000)) as shell:
        dearer = shell.run("models", "check", "pixverse-v5.6-i2v")
        told = shell.run("models", "check", "pixverse-v5.6-i2v", "--json")

    assert agreed.code == 0, agreed.out
    assert agreed.out.count(": agrees") == len(card_ids())
    assert dearer.code == told.code == 4
    assert "price.usd (at most): the card has 0.03, the provider 0.152" in dearer.out
    assert told.json["pixverse-v5.6-i2v"]["differences"] == [
        {"field": "price.usd (at most)", "card": 0.03, "provider": 0.152}
    ]


def test_a_card_is_pulled_and_never_over_another(tmp_path: Path) -> None:
    """Into a file that is a card; the key never goes into it."""
    with against(tmp_path) as shell:
        first = shell.run("models", "pull", "pixverse-v6-i2v", "-o", "cards/v6.json")
        again = shell.run("models", "pull", "pixverse-v6-i2v", "-o", "cards/v6.json")
        forced = shell.run("models", "pull", "pixverse-v6-i2v", "-o", "cards/v6.json", "--force")
        wrong = shell.run("models", "pull", "pixverse-v6-i2w")
        text = (tmp_path / "cards" / "v6.json").read_text(encoding="utf-8")

    assert first.code == forced.code == 0, first.err
    assert "rules across parameters" in first.err
    assert again.code == 2
    assert "cards/v6.json is there already" in again.err
    assert wrong.code == 2
    assert 'the provider has no model "pixverse-v6-i2w": did you mean pixverse-v6-i2v' in wrong.err
    assert parse_card(text).image_fields == load_card("pixverse-v6-i2v").image_fields
    assert shell.key not in text
    assert json.loads(text)["limits"]["submit_timeout_s"] == 180


def test_a_manifest_runs_with_a_card_of_its_own(tmp_path: Path) -> None:
    """What was pulled is what is sent, and what it costs; its hash is kept with the campaign."""
    with against(tmp_path) as shell:
        shell.run("models", "pull", "pixverse-v6-i2v", "-o", "cards/mine.json")
        night = tmp_path / shell.write(takes=1)
        text = night.read_text(encoding="utf-8").replace("model: pixverse-v5.6-i2v", "model: pixverse-v6-i2v")
        night.write_text(text + "card: cards/mine.json\nparameters: {duration: 3}\n", encoding="utf-8")
        done = shell.run("run", "night.yaml")
        (job,) = [json.loads(line) for line in shell.run("jobs", "night", "--json").out.splitlines()]

        assert done.code == 0, done.err
        assert (job["payload"]["duration"], job["payload"]["image"]) == (3, "https://example.com/fox.png")
        assert job["cost_usd_micros"] == 345_000  # the page's one price, the dearest


def test_a_provider_that_is_down_or_refuses_the_key(tmp_path: Path) -> None:
    """7 and 5, each in one sentence."""
    away = Shell(tmp_path, "http://127.0.0.1:1", "key").run("models", "check")
    with against(tmp_path) as shell:
        refused = Shell(tmp_path, shell.api, "wrong").run("models", "check")

    assert (away.code, refused.code) == (7, 5), away.err + refused.err
    assert "Traceback" not in away.err + refused.err


def test_a_card_of_ones_own_is_explained_and_held_against_the_provider(tmp_path: Path) -> None:
    """By its file instead of a model's id, also beside the card that ships."""
    told = json.loads(card_text("pixverse-v5.6-i2v"))
    told["parameters"]["properties"]["duration"]["enum"] = [5, 8]
    (tmp_path / "mine.json").write_text(json.dumps(told), encoding="utf-8")
    with against(tmp_path) as shell:
        shown = shell.run("models", "show", "mine.json")
        held = shell.run("models", "check", "mine.json", "pixverse-v5.6-i2v")
        gone = shell.run("models", "show", "cards/mine.json")

    assert shown.code == 0, shown.err
    assert "duration: 5, 8 (always sent" in shown.out
    assert '\n  model: pixverse-v5.6-i2v\n  card: "mine.json"  # from the manifest on\n' in shown.out
    assert held.code == 4
    assert "mine.json: disagrees in 1 field" in held.out
    assert "pixverse-v5.6-i2v: agrees" in held.out
    assert gone.code == 2
    assert "cannot read the card cards/mine.json: No such file" in gone.err


def test_all_that_is_wrong_with_a_card_is_told_at_once(tmp_path: Path) -> None:
    """File, line and column, as of a manifest."""
    (tmp_path / "mine.json").write_text(
        '{\n  "id": "x",\n  "images": 5,\n  "abuot": "A"\n}\n', encoding="utf-8"
    )
    done = Shell(tmp_path, "http://127.0.0.1:1", "").run("models", "show", "mine.json")

    assert done.code == 2
    assert [line.partition(": add it")[0] for line in done.err.splitlines()] == [
        'mine.json:1:1: the key "limits" is missing',
        'mine.json:1:1: the key "parameters" is missing',
        'mine.json:1:1: the key "prompt" is missing',
        "mine.json:3:13: images: must be a list, not 5",
        'mine.json:4:3: abuot: unknown key "abuot": did you mean "about"?',
    ]
