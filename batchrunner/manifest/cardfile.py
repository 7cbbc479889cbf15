"""A model card in a file of one's own: all that is wrong with it at once, each with line and column."""

from __future__ import annotations

import json
import re
from pathlib import Path as FilePath
from typing import Any

from batchrunner import cardrules
from batchrunner.cards import Card, parse_card
from batchrunner.errors import ManifestError, Problem, UsageError
from batchrunner.manifest import notjson
from batchrunner.manifest.characters import decoded, place_of
from batchrunner.manifest.document import path_text
from batchrunner.manifest.doubts import Path

CARD_MAX = 1_000_000  # bytes
_BLANK = re.compile(r"[ \t\n\r]*")
_STRING = json.JSONDecoder()
_BARE = re.compile(r"[^ \t\n\r,\]}]+")


def read_card(path: FilePath, told: str) -> Card:
    """Return the card in a file; `told` is what the user calls it.

    Raises:
        ManifestError: it is wrong; every problem is in it.
        UsageError: there is no such file.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(CARD_MAX + 1)
    except OSError as error:
        raise UsageError(f"cannot read the card {told}: {error.strerror}") from error
    if len(raw) > CARD_MAX:
        raise UsageError(f"the card {told} is larger than {CARD_MAX // 1000} kB")
    text, name = decoded(raw, str(path)), str(path)
    places = _Places(text)
    try:
        data = json.loads(text)
        places.value(0, ())
    except json.JSONDecodeError as error:
        at, why = notjson.fault(text, error)
        problem = Problem(name, *place_of(text, at), "", f"not JSON: {why}")
        raise ManifestError([problem]) from error
    except RecursionError as error:
        raise ManifestError([Problem(name, 1, 1, "", "nested too deep")]) from error
    found = cardrules.faults(data)
    found = [*(found or cardrules.slips(data)), *cardrules.rule_slips(data)]
    problems = [
        Problem(name, *place_of(text, places.of(one.path, key=one.is_key)), path_text(one.path), one.message)
        for one in found
    ]
    problems += [
        Problem(name, *place_of(text, at), path_text(path), f'the key "{path[-1]}" is there twice')
        for path, at in places.twice
    ]
    if problems:
        raise ManifestError(problems)
    return parse_card(text)


class _Places:
    """Where each value, and each key of an object, begins in a text that is JSON (from 0)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._values: dict[Path, int] = {}
        self._keys: dict[Path, int] = {}
        self.twice: list[tuple[Path, int]] = []

    def of(self, path: Path, *, key: bool = False) -> int:
        """Return where a value (or its key) stands; for what is not there, where its parent does."""
        if key and path in self._keys:
            return self._keys[path]
        while path and path not in self._values:
            path = path[:-1]
        return self._values.get(path, 0)

    def value(self, at: int, path: Path) -> int:
        """Take in a value that begins at a place, or after blanks, and return where it ends."""
        at = self._on(at)
        self._values[path] = at
        opened = self._text[at]
        if opened == '"':
            return _STRING.raw_decode(self._text, at)[1]
        if opened not in "{[":
            found = _BARE.match(self._text, at)
            return found.end() if found else at + 1
        index = 0
        at = self._on(at + 1)
        while self._text[at] not in "}]":
            below: Any = index
            if opened == "{":
                key_at = at
                below, at = _STRING.raw_decode(self._text, at)
                if (*path, below) in self._keys:
                    self.twice.append(((*path, below), key_at))
                self._keys[*path, below] = key_at
                at = self._on(at) + 1
            at = self._on(self.value(at, (*path, below)))
            index += 1
            at = self._on(at + 1) if self._text[at] == "," else at
        return at + 1

    def _on(self, at: int) -> int:
        found = _BLANK.match(self._text, at)
        return found.end() if found else at
