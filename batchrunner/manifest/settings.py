"""Parameters in every combination, held against the model's card before anything is sent.

Each distinct combination is checked once. What is wrong is reported where the most specific of the
parameters that take part was written, at every such place: one look shows all of it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from batchrunner.cards import Card
from batchrunner.manifest.yamlread import Path
from batchrunner.values import JSON, canonical

COMBINATIONS_MAX = 10_000  # of the matrix, for each image and prompt: more is a slip, and a dear one

Finding: TypeAlias = tuple[Path, bool, str]  # where, whether its key is meant, and what is wrong


@dataclass(frozen=True, slots=True)
class Layer:
    """Some parameters, and every place where just these are written."""

    parameters: Mapping[str, JSON]
    places: tuple[Path, ...]


def problems(data: Mapping[str, Any], card: Card) -> Iterator[Finding]:
    """Yield what the card has against a manifest whose `parameters` and `matrix` have the right shape."""
    matrix = data.get("matrix") or {}
    many = math.prod(len(values) for values in matrix.values())
    if many > COMBINATIONS_MAX:
        yield ("matrix",), False, f"makes {many:,} combinations; at most {COMBINATIONS_MAX:,} are allowed"
        return
    said: set[Finding] = set()
    for layers in _combinations(data, matrix):
        merged = {key: value for layer in layers for key, value in layer.parameters.items()}
        for keys, message in card.check(card.complete(merged)):
            for finding in _findings(card, keys, message, layers):
                if finding not in said:
                    said.add(finding)
                    yield finding


def _findings(card: Card, keys: tuple[str, ...], message: str, layers: Sequence[Layer]) -> Iterator[Finding]:
    unknown = any(key not in card.parameters["properties"] for key in keys)
    if keys == (card.seed_field,):
        message = "seeds are not set here: `takes` and the campaign's `seed` decide them"
    for path in _deciding(keys, layers):
        yield (path[:2] if unknown and path[0] == "matrix" else path), unknown, message


def _deciding(keys: tuple[str, ...], layers: Sequence[Layer]) -> list[Path]:
    """Return where the most specific of some parameters was written; the last layer is the most specific."""
    for layer in reversed(layers):
        for key in keys:
            if key in layer.parameters:
                return [path if path[0] == "matrix" else (*path, key) for path in layer.places]
    return [("parameters",)]


def _combinations(data: Mapping[str, Any], matrix: Mapping[str, Any]) -> Iterator[tuple[Layer, ...]]:
    base = Layer(data.get("parameters") or {}, (("parameters",),))
    axes = [
        [Layer({key: value}, (("matrix", key, index),)) for index, value in enumerate(values)]
        for key, values in matrix.items()
    ]
    for image, prompt, *chosen in itertools.product(_rows("images", data), _rows("prompts", data), *axes):
        yield (base, image, prompt, *chosen)


def _rows(section: str, data: Mapping[str, Any]) -> list[Layer]:
    """Return the distinct parameters in a section, each with its places; at least one, maybe empty, layer."""
    entries = data.get(section)
    found: dict[str, Layer] = {}
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        told = entry.get("parameters") if isinstance(entry, dict) else None
        parameters = told if isinstance(told, dict) else {}
        mark = canonical(parameters)
        places = found[mark].places if mark in found else ()
        found[mark] = Layer(parameters, (*places, (section, index, "parameters")))
    return list(found.values()) or [Layer({}, ())]
