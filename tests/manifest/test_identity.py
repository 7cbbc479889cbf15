"""What a job is known by: the hash of exactly what is sent, however expansion gets to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from batchrunner.cards import load_card
from batchrunner.manifest.expand import expand
from batchrunner.values import fingerprint
from tests.manifest.build import read


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"thinking_type": "auto"},
        {"negative_prompt": 'no "blur", no {1}, kein Übel \\', "thinking_type": "auto"},
    ],
    ids=["the seed is last", "a field follows it", "texts that need escapes"],
)
def test_a_fingerprint_is_that_of_the_whole_payload(parameters: dict[str, Any]) -> None:
    """Takes share what stands before and after the seed; the parts make the same text as the whole."""
    for job in expand(*read(parameters=parameters, takes=2)):
        assert fingerprint(job.model, job.payload) == job.fingerprint


@pytest.mark.parametrize("field", ["_seed", "random_seed", "~seed"])
def test_the_seed_s_field_may_stand_anywhere(field: str) -> None:
    """First, amid the others or last, as its name sorts."""
    manifest, card = read(takes=2)
    for job in expand(manifest, replace(card, seed_field=field)):
        assert job.payload[field] == job.seed
        assert fingerprint(job.model, job.payload) == job.fingerprint


@pytest.mark.parametrize(("model", "wire"), [("pixverse-v5.6-i2v", "8"), ("pixverse-v6-i2v", 8)])
def test_a_length_has_one_form_on_the_wire(model: str, wire: Any) -> None:
    """8.0 is allowed wherever 8 is, and as the text "8.0" it would be refused by the provider."""
    sent = load_card(model).payload(["https://example.com/a.png"], "p", {"duration": 8.0}, None)["duration"]

    assert (type(wire), wire) == (type(sent), sent)


def test_more_settings_than_are_remembered_are_still_the_right_ones() -> None:
    """What was forgotten is worked out again."""
    rows = [
        {"id": f"i{n}", "url": "https://example.com/a.png", "parameters": {"negative_prompt": f"no {n}"}}
        for n in range(4_200)
    ]
    manifest, card = read(images=rows, prompts=["Push in"])
    told = [job.payload["negative_prompt"] for job in expand(manifest, card)]

    assert [f"no {n}" for n in range(4_200)] == told
