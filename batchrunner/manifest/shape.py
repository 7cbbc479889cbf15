"""The schema's verdict on a manifest, as problems at lines that tired people can read."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from batchrunner.cards import Card
from batchrunner.errors import ManifestError, Problem
from batchrunner.files import schema_text
from batchrunner.manifest.mending import elsewhere, frames, mended, near_key, plain_id
from batchrunner.manifest.yamlread import PROBLEMS_MAX, Document, Path, path_text
from batchrunner.sentences import value_message

# Parameters that the schema's examples name; not every model has them.
_EXAMPLES = frozenset({"duration", "aspect_ratio", "quality", "generate_audio_switch"})
# What a key of one prompt may have been meant to be: no text that lost its quotes.
_KEYS = ("id", "text", "prompt", "csv", "jsonl", "lines", "glob", "file", "url", "image", "frames")


@cache
def validator() -> Draft202012Validator:
    """Return the manifest schema's validator."""
    return Draft202012Validator(json.loads(schema_text("manifest.schema.json")))


def problems(document: Document, name: str, card: Card | None = None) -> list[tuple[Path, Problem]]:
    """Return every way in which a document breaks the schema, with its path.

    `card`: the model's, where it is known; examples are such as fit it.

    Raises:
        ManifestError: there are too many to go on.
    """
    if not isinstance(document.data, dict):
        what = (
            "there is nothing in it: a manifest begins with `version: 1`"
            if document.data is None
            else "a manifest is a mapping: `version: 1` and so on"
        )
        return [((), Problem(name, 1, 1, "", what))]
    if "batchrunner_plan" in document.data:
        what = "this is a saved plan, not a manifest: `batchrunner run` does what it says"
        raise ManifestError([Problem(name, 1, 1, "", what)])
    found = []
    for error in validator().iter_errors(document.data):
        for path, is_key, message in _told(error, card):
            line, column = document.place(path, key=is_key)
            found.append((path, Problem(name, line, column, path_text(path), message)))
            if len(found) >= PROBLEMS_MAX:
                raise ManifestError([problem for _path, problem in dict.fromkeys(found)])
    return list(dict.fromkeys(found))  # one error a missing key, each of which names them all


def inputs(document: Document, name: str, card: Card | None) -> list[tuple[Path, Problem]]:
    """Return what is missing to render from, or is there and of no use: that depends on what the model takes.

    Of a model that nobody knows it is not said that pictures are missing: it may take none.
    """
    data: dict[str, Any] = document.data
    there = _meant(validator().schema, data) | {*data}
    found: list[tuple[Path, bool, str]] = []
    if card is not None and not card.image_fields:
        if "images" in data:
            what = f"{card.id} takes no picture: leave `images` out, and each prompt is made for itself"
            found.append((("images",), True, what))
        if not {"prompts", "shots"} & there:
            found.append(((), False, 'there is nothing to render: give "prompts" or "shots"'))
    else:
        known = card is not None
        found += (((), False, what) for what in _nothing_to_render(there if known else there | {"images"}))
        if known:
            found += ((path, False, what) for path, what in islice(_without_image(data, card), PROBLEMS_MAX))
    return [
        (path, Problem(name, *document.place(path, key=is_key), path_text(path), what))
        for path, is_key, what in found
    ]


def _without_image(data: dict[str, Any], card: Card | None) -> Iterator[tuple[Path, str]]:
    """Yield the shots and includes that name no picture."""
    root: Any = validator().schema
    for section, kind in (("shots", "shot"), ("include", "include")):
        schema = root["$defs"][kind]
        choices = {key for choice in schema["oneOf"] for key in choice.get("required", ())}
        told = data.get(section)
        whole = isinstance(told, dict)
        for index, one in enumerate([told] if whole else told if isinstance(told, list) else ()):
            if not isinstance(one, dict) or any(frames(key, card) for key in one):
                continue  # which is told with the value, or with the name of the field
            if choices.isdisjoint(one) and not choices & _meant(schema, one):
                yield (section,) if whole else (section, index), schema["x-message"]


def _told(error: ValidationError, card: Card | None) -> Iterator[tuple[Path, bool, str]]:
    """Yield path, whether the key is meant, and words, for each thing wrong behind one error."""
    path: Path = tuple(error.absolute_path)
    schema: Any = error.schema
    instance: Any = error.instance
    rule: Any = error.validator_value
    if error.validator == "additionalProperties":
        known = list(schema.get("properties", {}))
        for key in instance:
            if key not in known:
                said = elsewhere(path, key, instance[key], card) or _unknown(key, known, instance) + _colon(
                    path, key, instance
                )
                yield (*path, key), True, schema.get("x-refusal") or said
    elif error.validator == "required":
        for key in rule:
            if key not in instance and key not in _meant(schema, instance):
                yield path, False, _lacks(key, schema)
    elif error.validator == "oneOf":
        choices = {key for choice in rule for key in choice.get("required", ())}
        both = [key for key in choices if key in instance] if isinstance(instance, dict) else []
        if len(both) > 1:
            named = " and ".join(key for key in schema["properties"] if key in both)
            yield path, False, f"has both {named}: leave one out"
        elif isinstance(instance, dict) and not (
            choices & _meant(schema, instance) or any(frames(key, card) for key in instance)
        ):
            yield path, False, schema["x-message"]
    elif error.validator == "anyOf":
        return  # nothing to render: `inputs` tells it in the words that fit the model
    elif error.validator == "type" and "x-refusal" in schema:
        yield path, False, schema["x-refusal"]
    elif error.validator == "pattern" and "x-message" in schema:
        yield path, False, schema["x-message"] + plain_id(path, instance)
    else:
        yield path, False, value_message(error) + _meant_or_example(path, error, card)


def _nothing_to_render(told: set[str]) -> Iterator[str]:
    """Yield what is missing: images and prompts, or shots."""
    missing = [key for key in ("images", "prompts") if key not in told]
    if "shots" in told or not missing:
        return
    if len(missing) == 1:
        yield _lacks(missing[0], validator().schema)
    else:
        yield 'there is nothing to render: give "images" and "prompts", or "shots"'


def _lacks(key: str, schema: Any) -> str:
    """Return that a key is missing, and the shortest of its examples as a line to add."""
    examples = (json.dumps(one, ensure_ascii=False) for one in schema["properties"][key]["examples"])
    shortest = min(examples, key=len)
    bare = shortest.strip('"')
    plain = bare if re.fullmatch(r"[\w.-]+", bare) else shortest
    return f'the key "{key}" is missing: add it, such as `{key}: {plain}`'


def _meant_or_example(path: Path, error: ValidationError, card: Card | None) -> str:
    kinds: Any = error.validator_value if error.validator == "type" else ()
    return mended(path, error.instance, kinds, error.schema) or _example(error, card)


def _example(error: ValidationError, card: Card | None) -> str:
    """Return what would be right, where it has parts; to tell only its kind would not help."""
    schema: Any = error.schema
    kinds: Any = error.validator_value if error.validator == "type" else ()
    has_parts = kinds and {"array", "object"}.issuperset([kinds] if isinstance(kinds, str) else kinds)
    example = json.dumps(_fitting(schema["examples"][0], card), ensure_ascii=False) if has_parts else ""
    return f"; for example {example}" if example else ""


def _fitting(example: Any, card: Card | None) -> Any:
    """Return an example as it would stand in a manifest of the model: with what that one takes."""
    if card is None or not isinstance(example, list | dict | str):
        return example
    if isinstance(example, str):
        return example if card.image_fields else example.replace("{image}/", "")
    if isinstance(example, list):
        return [_fitting(one, card) for one in example]
    told = {key: _fitting(one, card) for key, one in example.items() if key != "image" or card.image_fields}
    foreign = [key for key in told if key in _EXAMPLES and not _takes(card, key, told[key])]
    if not foreign:
        return told
    of_card = dict(
        islice(((key, one) for key, one in card.defaults.items() if key not in told), len(foreign))
    )
    kept = {key: one for key, one in told.items() if key not in foreign}
    return kept | {key: [one] if isinstance(told[foreign[0]], list) else one for key, one in of_card.items()}


def _takes(card: Card, name: str, value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return name in card.parameters["properties"] and not any(
        list(card.check({**card.defaults, name: one})) for one in values
    )


def _meant(schema: Any, instance: dict[str, Any]) -> set[str]:
    """Return the keys that misspelt ones stand for: one mistake is told once."""
    known = list(schema["properties"])
    unknown = [key for key in instance if key not in known]
    near = {one for key in unknown if (one := near_key(key, known))}
    return near | {key.partition(":")[0] for key in unknown}


def _colon(path: Path, key: str, told: dict[str, Any]) -> str:
    """Return what has most likely happened to a prompt such as `Camera: slow push`, if so."""
    alone = path[:1] == ("prompts",) and len(told) == 1 and isinstance(told[key], str | int | float | None)
    words = alone and not difflib.get_close_matches(key.casefold(), _KEYS, n=1)
    return "; a text with a colon needs quotes" if words else ""


def _unknown(key: str, known: list[str], told: dict[str, Any]) -> str:
    if key.isdigit() and told[key] is None:
        return f'unknown key "{key}": a number is written without a comma, such as 0.15 or 1000'
    near = near_key(key, known)
    if key.partition(":")[0] in known:
        return f'unknown key "{key}": there is no blank after the colon'
    if not near and "limits" in known:
        parts = json.loads(schema_text("manifest.schema.json"))["properties"].items()
        inside = next((f"{name}.{key}" for name, one in parts if key in one.get("properties", ())), "")
        meant = f"it stands in {inside}" if inside else "the model's parameters go under `parameters`"
        return f'unknown key "{key}": {meant}; possible here: {", ".join(known)}'
    if not near and {"vars", "parameters"} <= {*known}:
        places = "the model's parameters go under `parameters`, words for prompts under `vars`"
        return f'unknown key "{key}": possible here: {", ".join(known)}; {places}'
    hint = f'did you mean "{near}"?' if near else f"possible here: {', '.join(known)}"
    return f'unknown key "{key}": {hint}'
