"""What is said where a manifest breaks its schema: how a key or value was most likely meant, an example."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from jsonschema.exceptions import ValidationError

from batchrunner import sentences
from batchrunner.cards import Card
from batchrunner.manifest.document import Document
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.mending import mended, near_key, section_of
from batchrunner.manifest.respelling import KEEP
from batchrunner.nearest import nearest
from batchrunner.values import JSON

# Parameters that the schema's examples name; not every model has them.
_EXAMPLES = frozenset({"duration", "aspect_ratio", "quality", "generate_audio_switch"})
# What may be a number as well as a name: an address or a file that is one is a slip of another kind.
_WORDS = frozenset({"id", "campaign", "image", "prompt", "text"})
# What a key of one prompt may have been meant to be: no text that lost its quotes.
_NO_BLANK = re.compile("-[^ -]")
_KEYS = ("id", "text", "prompt", "csv", "jsonl", "lines", "glob", "file", "url", "image", "frames")


def lacks(key: str, schema: Any) -> str:
    """Return that a key is missing, and the shortest of its examples as a line to add."""
    examples = (json.dumps(one, ensure_ascii=False) for one in schema["properties"][key]["examples"])
    shortest = min(examples, key=len)
    bare = shortest.strip('"')
    plain = bare if re.fullmatch(r"[\w.-]+", bare) else shortest
    return f'the key "{key}" is missing: add it, such as `{key}: {plain}`'


def instead(path: Path, error: ValidationError, document: Document, card: Card | None) -> Any:
    """Return the value that a wrong one was plainly meant to be."""
    rule: Any = error.validator_value
    value: Any = error.instance
    if error.validator == "enum":
        near = nearest(str(value), [str(one) for one in rule])
        return near if near in rule else KEEP
    if error.validator != "type":
        return KEEP
    if "string" in rule and isinstance(value, bool | int | float):
        word = path[-1] in _WORDS or path[-2:-1] == ("vars",)
        return document.written.get(path, json.dumps(value)) if word else KEEP
    found = sentences.meant(rule, value)
    found = mended(path, value, rule, error.schema) if found is None else found
    return KEEP if found is None or _no_values(path, found, card) else found


def meant_or_example(path: Path, error: ValidationError, card: Card | None) -> str:
    """Return what to write instead of a value, or else an example, as the end of a sentence."""
    kinds: Any = error.validator_value if error.validator == "type" else ()
    value: Any = error.instance
    if len(path) == 1 and isinstance(value, str) and _NO_BLANK.match(value):
        return ": a blank is missing after the dash"
    found = mended(path, value, kinds, error.schema)
    if found is None:
        return _example(error, card)
    if taken := _no_values(path, found, card):
        return f": such as {json.dumps(taken[:2])}"
    many = isinstance(found, dict) and str(found.get("glob", "")).endswith("/*.png")
    return f": write {_written(found)}{' for a folder' if many and '*' not in value else ''}"


def _no_values(path: Path, found: Any, card: Card | None) -> Sequence[JSON]:
    """Return what a parameter takes where an axis of one value has none of it: `5..10` for [5, 8, 10]."""
    if path[:1] != ("matrix",) or len(path) != 2 or card is None or _takes(card, str(path[1]), found):
        return ()
    taken: Sequence[JSON] = card.parameters["properties"].get(path[1], {}).get("enum", ())
    return taken


def _written(value: JSON) -> str:
    """Return a value as it is written on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(one)}" for key, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


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


def colon(path: Path, key: str, told: dict[str, Any]) -> str:
    """Return what has most likely happened to a prompt such as `Camera: slow push`, if so."""
    alone = path[:1] == ("prompts",) and len(told) == 1 and isinstance(told[key], str | int | float | None)
    words = alone and nearest(key.casefold(), _KEYS) is None
    return "; a text with a colon needs quotes" if words else ""


def unknown(key: str, known: list[str], told: dict[str, Any]) -> str:
    """Return that a key is none of those that are known, and which was meant, or may be."""
    if key.isdigit() and told[key] is None:
        return f'unknown key "{key}": a number is written without a comma, such as 0.15 or 1000'
    near = near_key(key, known)
    if key.partition(":")[0] in known:
        return f'unknown key "{key}": there is no blank after the colon'
    if not near and "limits" in known:
        inside = section_of(key)
        meant = f"it stands in {inside}.{key}" if inside else "the model's parameters go under `parameters`"
        return f'unknown key "{key}": {meant}; possible here: {", ".join(known)}'
    if not near and {"vars", "parameters"} <= {*known}:
        places = "the model's parameters go under `parameters`, words for prompts under `vars`"
        return f'unknown key "{key}": possible here: {", ".join(known)}; {places}'
    hint = f'did you mean "{near}"?' if near else f"possible here: {', '.join(known)}"
    return f'unknown key "{key}": {hint}'
