"""A provider's key that stands in a manifest, its comments or its tables: it would be stored, and shared.

The keys are JWTs of some 250 characters. A signed address may well hold such a token inside, so a key must
stand on its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from batchrunner.errors import Problem
from batchrunner.manifest.characters import PROBLEMS_MAX, place_of
from batchrunner.manifest.doubts import Path

FOUND = "this looks like an API key: keys belong into the environment, not into a manifest"
_MARK = "eyJ"  # how each of them begins
_TOKEN = rf"{_MARK}[\w-]{{20,}}\.[\w-]{{20,}}\.[\w-]{{20,}}"
_IN_TEXT = re.compile(rf"(?<![^\s\"']){_TOKEN}")
_IN_TABLE = re.compile(rf"(?<![^\s\"',;]){_TOKEN}")


def in_data(data: Any, path: Path = ()) -> Iterator[Path]:
    """Yield where a key stands among the values of a document."""
    if isinstance(data, str):
        if _IN_TEXT.search(data):
            yield path
    elif isinstance(data, dict | list):
        parts = data.items() if isinstance(data, dict) else enumerate(data)
        for part, one in parts:
            yield from in_data(one, (*path, part))


def in_text(text: str, name: str, told: Collection[int]) -> list[Problem]:
    """Return the keys outside the values, as in comments; `told`: the lines that are told of already."""
    places = [place_of(text, match.start()) for match in islice(_IN_TEXT.finditer(text), PROBLEMS_MAX)]
    return [Problem(name, *place, "", FOUND) for place in places if place[0] not in told]


def in_table(text: str, name: str) -> Problem | None:
    """Return the first key in a table's text, whatever is between its cells."""
    found = _IN_TABLE.search(text) if _MARK in text else None
    return found and Problem(name, *place_of(text, found.start()), "", FOUND)
