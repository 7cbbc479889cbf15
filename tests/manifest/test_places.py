"""The quick way to a job's texts gives what the plain way gives, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.cards import load_card
from batchrunner.files import card_ids
from batchrunner.manifest.expand import costs, expand, places, rows
from batchrunner.manifest.load import load_bytes
from batchrunner.manifest.places import Frame
from batchrunner.manifest.seeds import Seeds, derive_seed
from batchrunner.values import canonical, fingerprint
from tests.manifest.build import HEAD, read

steady = settings(derandomize=True, max_examples=80, deadline=None)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@steady
@given(
    words=TEXT,
    address=TEXT,
    seed=st.integers(0, 2**31 - 1),
    card=st.sampled_from([load_card(one) for one in card_ids()]),
    data=st.data(),
)
def test_a_frame_filled_is_what_is_hashed(
    words: str, address: str, seed: int, card: Any, data: st.DataObject
) -> None:
    """For every card, whatever the fields between which the seed comes."""
    values = st.one_of(TEXT, st.booleans(), st.integers(), st.lists(TEXT, max_size=2))
    names = list(card.parameters["properties"])
    wire = data.draw(st.dictionaries(st.sampled_from(names), values)) if names else {}
    body = {**dict.fromkeys(card.image_fields, address), card.prompt_field: words}
    frame = Frame(card.id, card, wire)
    head, tail = frame.around_seed(body)
    seeded = {} if card.seed_field is None else {card.seed_field: seed}
    told = f"{head}{seed if seeded else ''}{tail}"

    assert told == canonical({"model": card.id, "payload": {**body, **wire, **seeded}})
    assert told[frame.payload_at : -1] == canonical({**body, **wire, **seeded})


@pytest.mark.parametrize(
    "changed",
    [
        {"takes": 3},
        {"takes": [7, 42]},
        {"takes": 2, "matrix": {"quality": ["540p", "1080p"]}, "parameters": {"duration": 8}},
        {"takes": 3, "exclude": [{"take": 2}], "include": [{"image": "fox", "prompt": "push-in", "take": 9}]},
        {"takes": 2, "output": {"name": "{prompt}-{seed}/{image}-{take}"}},
        {"takes": 2, "output": {"name": "{take}/{take}"}},
        {"output": {"name": "{image} {prompt}"}},
        {"shots": [{"image": "fox", "prompt": 'Say "go" \\ ünï', "quality": "720p", "takes": 2}]},
    ],
)
def test_a_row_is_its_job(changed: dict[str, Any]) -> None:
    """And what was worked out by places is what the job's own payload says."""
    manifest, card = read(**changed)
    jobs = list(expand(manifest, card))

    assert [job.row for job in jobs] == list(rows(manifest, card))
    assert jobs
    for job in jobs:
        assert job.fingerprint == fingerprint(job.model, job.payload)
        assert job.text == canonical(dict(job.payload))
        assert job.id == f"{job.image}.{job.prompt}.t{job.take}-{job.fingerprint[:8]}"


@pytest.mark.parametrize(
    "name",
    [
        "{image}/{prompt}-t{take}",
        "t{take}.{prompt}",
        "com{take}",
        "{take}",
        ".{take}.",
        "a{take}/{prompt}",
        "é{take}",
        "{{take}}-{take}",
        "x/Lpt{take}.{prompt}",
    ],
)
def test_every_name_is_as_it_is_one_by_one(name: str) -> None:
    """COM1 is a device to Windows, and COM10 is a file."""
    manifest, card = read(takes=12, output={"name": name})
    for place in places(manifest, card):
        for job in place.jobs():
            alone = place.setting.namer.name(job.image, job.prompt, job.take, job.seed or 0)
            assert alone == job.name


def test_a_device_of_windows_is_no_name() -> None:
    """Not even for the first nine takes."""
    manifest, card = read(takes=10, output={"name": "com{take}"})

    assert ["com1_", "com10"] == [job.name for job in expand(manifest, card) if job.take in {1, 10}]


def test_the_seeds_of_a_place_are_those_of_its_takes() -> None:
    """In whatever order, and each alone."""
    takes = [3, 1, 1000, 2]
    alone = [(take, derive_seed(7, "fox", "push", take)) for take in takes]

    assert alone == list(Seeds(7).of("fox", "push", takes))


@pytest.mark.parametrize(
    "changed",
    [
        {"matrix": {"quality": ["540p", "1080p"], "duration": [5, 8]}},
        {"exclude": [{"quality": "1080p"}], "matrix": {"quality": ["540p", "1080p"]}},
        {"shots": [{"image": "fox", "prompt": "Look up", "duration": 10}]},
        {"include": [{"image": "fox", "prompt": "push-in", "parameters": {"duration": 10}}]},
    ],
)
def test_every_price_is_among_the_costs(changed: dict[str, Any]) -> None:
    """Each kind of job is asked once, and none is left out."""
    manifest, card = read(takes=2, **changed)

    assert {job.cost_micros for job in expand(manifest, card)} == set(costs(manifest, card))


def test_ids_of_many_pairs_do_not_depend_on_what_was_remembered() -> None:
    """More parts of names than are kept at a time."""
    told = {**HEAD, "images": [{"id": f"i{n}", "url": f"https://x.example/{n}.png"} for n in range(90)]}
    told["prompts"] = [{"id": f"p{n}", "text": f"Go {n}"} for n in range(90)]
    told["output"] = {"name": "{image}-{prompt}-{take}"}
    manifest, card = load_bytes(json.dumps(told).encode(), Path("/shoots/night.yaml"))
    names = [row[7] for row in rows(manifest, card)]

    assert [f"i{i}-p{p}-1" for i in range(90) for p in range(90)] == names
