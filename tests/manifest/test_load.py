"""Loading: one look shows everything, and what is right passes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from batchrunner.errors import ManifestError
from batchrunner.manifest.load import load, load_bytes
from tests.manifest.build import HEAD, read

TOKEN = f"eyJ{30 * 'a'}.{30 * 'b'}.{30 * 'c'}"
GOOD = """\
version: 1
campaign: harbour
model: pixverse-v5.6-i2v
seed: 7
images:
  - {id: fox, url: "https://example.com/fox.png"}
prompts:
  - {id: push, text: Push in}
"""


def places(text: str) -> list[tuple[int, str]]:
    """Return line and path of every problem in a manifest."""
    with pytest.raises(ManifestError) as caught:
        load_bytes(text.encode(), Path("m.yaml"))
    return [(problem.line, problem.path) for problem in caught.value.problems]


def messages(**changed: Any) -> list[str]:
    """Return what is said of the small manifest with some keys changed."""
    with pytest.raises(ManifestError) as caught:
        read(**changed)
    return [problem.message for problem in caught.value.problems]


def test_one_wrong_entry_hides_nothing_in_the_others() -> None:
    """A misspelt key, a missing file, a wrong kind, an open brace: one look."""
    text = GOOD.replace(
        "prompts:\n",
        "  - {id: owl, ulr: x}\n  - {file: gone.png}\n  - 5\n"
        "prompts:\n  - 7\n  - {id: zoom, text: 'at {speed'}\n",
    )

    assert [
        (7, "images[1].ulr"),
        (7, "images[1].url"),
        (8, "images[2].file"),
        (9, "images[3]"),
        (11, "prompts[0]"),
        (12, "prompts[1].text"),
    ] == places(text)


def test_one_stage_of_checking_hides_nothing_of_the_next() -> None:
    """YAML, the schema, the card, the words, and what only the whole shows."""
    text = GOOD.replace("seed: 7", "seed: 07\nretry: {attempts: 0}\nparameters: {quality: 4k}")
    text = text.replace("Push in", "'Push in on {it}'")
    twice = "".join(f"  - {{image: fox, text: It runs, takes: [4], id: {name}}}\n" for name in "ab")

    assert [
        (4, "seed"),
        (5, "retry.attempts"),
        (6, "parameters.quality"),
        (10, "prompts[0].text"),
        (13, "shots[1]"),
        (15, "exclude[0].image"),
    ] == places(f"{text}shots:\n{twice}exclude:\n  - {{image: owl}}\n")


def test_tabs_in_every_line_hide_nothing_else() -> None:
    """Where there are no others, one stands for one step."""
    text = GOOD.replace("  - ", "\t- ").replace("seed: 7", "seed: -7")

    assert [(4, "seed"), (6, ""), (8, "")] == places(text)


def test_a_wrong_setting_is_told_wherever_it_stands() -> None:
    """Not only at the first of ten images that have it."""
    rows = [
        {"id": f"a{n}", "url": "https://example.com/a.png", "parameters": {"quality": "4k"}} for n in (1, 2)
    ]
    found = messages(images=rows, prompts=["Push in"])

    assert 2 == len(found)
    assert found[0] == found[1]


def test_a_wrong_matrix_key_is_told_once_at_the_key() -> None:
    """However many values it has."""
    text = GOOD + "matrix:\n  qualty: [540p, 720p]\n  quality: [540p, 4k]\n"

    assert [(10, "matrix.qualty"), (11, "matrix.quality[1]")] == places(text)


def test_a_matrix_that_got_out_of_hand_is_refused_at_once() -> None:
    """Ten thousand combinations for each image and prompt are a slip."""
    matrix = {name: list(range(101)) for name in ("duration", "quality")}

    assert ["makes 10,201 combinations; at most 10,000 are allowed"] == messages(matrix=matrix)


def test_ids_that_would_make_one_job_id_are_refused() -> None:
    """A job's id joins them with a dot."""
    rows = [{"id": name, "url": "https://example.com/a.png"} for name in ("a", "a.b")]
    told = [{"id": name, "text": "Push in"} for name in ("c", "b.c")]

    assert ['"a" with "b.c" and "a.b" with "c" would get one job id: change an id'] == messages(
        images=rows, prompts=told
    )


@pytest.mark.parametrize("row", [f"# {TOKEN}", f"# key: Bearer {TOKEN}", f"# key='{TOKEN}'"])
def test_a_key_in_a_comment_is_found_too(row: str) -> None:
    """The state table keeps the manifest's text."""
    assert [(9, "")] == places(f"{GOOD}{row}\n")


def test_a_signed_address_may_hold_a_token() -> None:
    """Storage services sign addresses with tokens that look like the provider's keys."""
    url = f"https://example.com/fox.png?token={TOKEN}"
    manifest, _card = read(images=[{"url": url, "vars": {"subject": "it"}}])

    assert url == manifest.images[0].pictures[0].url


@pytest.mark.parametrize("key", ["campaign", "images", "prompts"])
def test_a_line_end_is_no_part_of_a_name(key: str) -> None:
    """A block text brings one along, and it would end up in a path."""
    changed = "harbour\n" if key == "campaign" else [HEAD[key][0] | {"id": "fox\n"}]

    assert 1 == len(messages(**{key: changed}))


def test_ids_come_from_names_and_first_words() -> None:
    """Where nobody gave one."""
    rows = [
        {"url": "https://example.com/a/The%20Fox.final.png?size=2", "vars": {"subject": "x"}},
        {"url": "https://example.com/", "vars": {"subject": "x"}},
    ]
    manifest, _card = read(images=rows, prompts=["Slow {subject} push-in, Zoë's way, and more"])

    assert ["the-fox.final", "xe3b0c442"] == [image.id for image in manifest.images]
    assert ["slow-subject-push-in-zoe-s-way"] == [prompt.id for prompt in manifest.prompts]


def test_everything_that_can_be_said_is_taken_over() -> None:
    """Money in micro-dollars, times in seconds, paths absolute."""
    manifest, _card = read(
        provider="emulator",
        takes=[7, 42],
        limits={
            "in_flight": 8,
            "submits_per_minute": 20,
            "submits_per_hour": 600,
            "budget": 40.1,
            "max_outage": 60,
        },
        retry={"attempts": 2},
        recovery={"on_absent": "resubmit", "grace": 1, "give_up": 2, "risk": 3},
        price={"per": "job", "usd": 0.07},
        output={"folder": "clips", "name": "{image}-{prompt}-{seed}"},
    )
    limits, recovery, price = manifest.limits, manifest.recovery, manifest.price

    assert ("emulator", (7, 42), 2) == (manifest.provider, manifest.takes, manifest.attempts)
    assert (8, 20, 600, 40_100_000, 60.0) == (
        limits.in_flight,
        limits.submits_per_minute,
        limits.submits_per_hour,
        limits.budget_micros,
        limits.max_outage_s,
    )
    assert ("resubmit", 1.0, 2.0, 3) == (
        recovery.on_absent,
        recovery.grace_s,
        recovery.give_up_s,
        recovery.risk,
    )
    assert price is not None
    assert ("job", 70_000) == (price.per, price.micros)
    assert (Path("clips"), "{image}-{prompt}-{seed}") == (manifest.output_folder, manifest.output_name)


def test_pictures_are_found_beside_the_manifest(tmp_path: Path) -> None:
    """And stay found when the program goes elsewhere."""
    shoot = tmp_path / "shoot"
    shoot.mkdir()
    (shoot / "fox.jpg").write_bytes(b"\x89PNG\r\n\x1a\n....IEND....")
    (shoot / "m.yaml").write_text(GOOD.replace('url: "https://example.com/fox.png"', "file: fox.jpg"))
    with contextlib.chdir(tmp_path):
        manifest, _card = load(Path("shoot/m.yaml"))
    (picture,) = manifest.images[0].pictures

    assert (shoot / "m.yaml", shoot / "fox.jpg", "png") == (manifest.path, picture.path, picture.extension)
