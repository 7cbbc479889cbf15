"""The manifest's schema: complete, explained, and of one mind with the code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from batchrunner.files import card_ids, card_text, demo_folder, schema_text
from batchrunner.manifest.slugs import ID
from batchrunner.manifest.yamlread import read as document
from batchrunner.values import Limits, Recovery
from tests.manifest.build import read

SCHEMA: dict[str, Any] = json.loads(schema_text("manifest.schema.json"))
CARD_SCHEMA: dict[str, Any] = json.loads(schema_text("card.schema.json"))


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property in a schema, however deep, with its path."""
    if isinstance(schema, dict):
        for name, one in schema.get("properties", {}).items():
            yield f"{path}/{name}", one
            yield from properties(one, f"{path}/{name}")
        for key, part in schema.items():
            if key not in {"properties", "examples", "default"}:
                yield from properties(part, f"{path}/{key}")
    elif isinstance(schema, list):
        for part in schema:
            yield from properties(part, path)


EXPLAINED = [(f"manifest{path}", one) for path, one in properties(SCHEMA)]
EXPLAINED += [(f"card{path}", one) for path, one in properties(CARD_SCHEMA)]


@pytest.mark.parametrize("schema", [SCHEMA, CARD_SCHEMA], ids=["manifest", "card"])
def test_the_schemas_are_of_the_dialect_that_they_name(schema: dict[str, Any]) -> None:
    """2020-12, with a name."""
    Draft202012Validator.check_schema(schema)

    assert "https://json-schema.org/draft/2020-12/schema" == schema["$schema"]
    assert schema["$id"].endswith(".schema.json")


@pytest.mark.parametrize(("path", "one"), EXPLAINED, ids=[path for path, _one in EXPLAINED])
def test_every_property_is_explained_with_examples_that_hold(path: str, one: dict[str, Any]) -> None:
    """An editor shows both."""
    assert one.get("description"), path
    assert one.get("examples"), path
    for example in one["examples"]:
        Draft202012Validator({**one, "$defs": SCHEMA["$defs"]}).validate(example)


@pytest.mark.parametrize("name", sorted(path.stem for path in demo_folder().glob("*.yaml")))
def test_an_editor_finds_nothing_wrong_with_what_runs(name: str) -> None:
    """The schema alone says so: an editor knows nothing of how its errors are told here."""
    raw = (demo_folder() / f"{name}.yaml").read_bytes()
    manifest = document(raw, name).data
    prompts = [*(manifest.get("prompts") or []), "Slow push-in", {"text": "Pan left"}, {"lines": "words.txt"}]

    Draft202012Validator(SCHEMA).validate({**manifest, "prompts": prompts})


def test_every_part_of_the_manifest_is_in_the_schema() -> None:
    """The top level, by the design."""
    expected = "version campaign model provider seed takes parameters matrix images prompts shots"
    expected += " product exclude include limits retry recovery price output card order notify"

    assert set(expected.split()) == set(SCHEMA["properties"])
    assert 1 == SCHEMA["properties"]["version"]["const"]


@pytest.mark.parametrize(
    ("section", "values", "units"),
    [
        ("limits", asdict(Limits()), {"max_outage": "_s"}),
        ("recovery", asdict(Recovery()), {"grace": "_s", "give_up": "_s"}),
    ],
)
def test_the_defaults_that_the_schema_names_are_those_that_count(
    section: str, values: dict[str, Any], units: dict[str, str]
) -> None:
    """One truth in two files, held together here."""
    told = SCHEMA["properties"][section]["properties"]
    named = {key + units.get(key, ""): one["default"] for key, one in told.items() if "default" in one}

    assert {key: value for key, value in values.items() if value is not None} == named


def test_a_manifest_that_says_nothing_gets_the_defaults() -> None:
    """Those of the schema and of the values."""
    manifest, _card = read()
    told = SCHEMA["properties"]

    assert (Limits(), Recovery()) == (manifest.limits, manifest.recovery)
    assert (told["takes"]["default"], told["provider"]["default"]) == (manifest.takes, manifest.provider)
    assert told["retry"]["properties"]["attempts"]["default"] == manifest.attempts
    assert told["output"]["properties"]["name"]["default"] == manifest.output_name
    assert (None, None) == (manifest.price, manifest.output_folder)


def test_an_id_is_the_same_thing_to_the_schema_and_to_the_code() -> None:
    """Several places in the schema, one in the code."""
    rows = [SCHEMA["$defs"][name] for name in ("image", "prompt", "shot", "include")]
    patterns = {
        SCHEMA["properties"]["campaign"]["pattern"],
        *(one["properties"]["id"]["pattern"] for one in rows),
    }

    assert {f"^{ID.pattern}$(?!\\n)"} == patterns


@pytest.mark.parametrize("model", card_ids())
def test_every_card_that_ships_fits_the_schema_of_cards(model: str) -> None:
    """And is named like its file."""
    told = json.loads(card_text(model))
    Draft202012Validator(CARD_SCHEMA).validate(told)

    assert model == told["id"]
