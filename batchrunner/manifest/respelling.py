"""What is told as wrong and plainly meant: it is read so, for what stands in it may be wrong too.

A key that is misspelt, or that stands beside the mapping it belongs into, moves to its place with all that is
below it, and keeps its lines. Nothing of it is sent: that it was moved is an error.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batchrunner.cards import Card
from batchrunner.manifest.document import Document
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.exclusions import KEYS
from batchrunner.manifest.mending import called, frames, near_key, section_of
from batchrunner.manifest.pictures import is_address
from batchrunner.manifest.scalars import scalar
from batchrunner.manifest.shots import SHOT_KEYS
from batchrunner.manifest.sources import KINDS
from batchrunner.nearest import only_near
from batchrunner.values import JSON

CLEAR = 0.65  # how alike two names must be, of 1, for one to be read as the other,
APART = 0.04  # and by how much more than to any third one
KEEP: Any = object()
# What may stand beside the parameters in an entry of these sections.
BESIDE = {"shots": (*SHOT_KEYS, "takes"), "include": (*SHOT_KEYS, "take"), "exclude": KEYS}


@dataclass(frozen=True, slots=True)
class Move:
    """Where a value belongs that stands elsewhere; `value`: what it was meant to be, if something else."""

    path: Path
    to: Path
    value: Any = KEEP


def clear(key: str, known: Collection[str], there: Mapping[str, object]) -> str | None:
    """Return the key that a misspelt one plainly stands for: alike to just one that is not there already."""
    if (other := called(key, known)) is not None:
        return other if other not in there else None
    near = only_near(key, known, CLEAR, APART)
    return near if near not in there else None


def move(document: Document, moves: Iterable[Move]) -> bool:
    """Move values in a document, unless others are there, with all places in them; tell whether any moved."""
    to: dict[Path, Path] = {}
    for one in moves:
        above, target = _parent(document.data, one.path), _parent(document.data, one.to, make=True)
        if not isinstance(above, dict) or not isinstance(target, dict) or one.to[-1] in target:
            continue
        value = above.pop(one.path[-1])
        target[str(one.to[-1])] = value if one.value is KEEP else one.value
        to[one.path] = one.to
        document.values.setdefault(one.to[:-1], document.place(one.path, key=True))

    def moved(path: Path) -> Path:
        ends = (end for end in range(1, len(path) + 1) if path[:end] in to)
        end = next(ends, None)
        return path if end is None else (*to[path[:end]], *path[end:])

    stores: list[Any] = [document.values, document.keys, document.written, document.comments]
    for store in stores if to else ():
        kept = {moved(path): value for path, value in store.items()}
        store.clear()
        store.update(kept)
    if to:
        document.doubts.move(moved)
    return bool(to)


def replace(document: Document, path: Path, value: JSON) -> None:
    """Put a value where another one stands that is told as wrong."""
    if (above := _parent(document.data, path)) is not None:
        above[path[-1]] = value
        document.doubts.told(path)


def meant(
    path: Path, key: str, told: Mapping[str, JSON], known: Collection[str], card: Card | None
) -> Move | None:
    """Return where an unknown key of a mapping plainly belongs; `known`: the keys that are possible there."""
    here, value = (*path, key), told[key]
    if frames(key, card) is not None:
        plain = card is not None and len(card.image_fields) == 1 and isinstance(value, str)
        kind = "url" if isinstance(value, str) and is_address(value) else "file"
        return (
            Move(here, (*path, kind)) if plain and kind in known and not {"url", "file"} & {*told} else None
        )
    row = not path or path[0] in {"images", "prompts"}
    if card is not None and key in card.parameters["properties"] and row and "parameters" in known:
        return Move(here, (*path, "parameters", key))
    name, colon, rest = key.partition(":")
    if colon and rest and name in known and (value is None or value == 1):
        return Move(here, (*path, name), scalar(rest).value)
    if not path and near_key(key, known) is None and (inside := section_of(key)) is not None:
        return Move(here, (inside, key))
    near = clear(key, known, told)
    return None if near is None else Move(here, (*path, near))


def parameters(data: Mapping[str, Any], card: Card) -> Iterator[tuple[Move, str]]:
    """Yield the misspelt parameters of which it is plain what they stand for, each with what to say."""
    names = card.parameters["properties"]
    for at, told in _mappings(data):
        for key in told:
            if key in names or key == card.seed_field or (near := clear(key, names, told)) is None:
                continue
            found = card.check(card.complete({key: ""}))
            if (said := next((message for keys, message in found if keys == (key,)), None)) is not None:
                yield Move((*at, key), (*at, near)), said
    for section, keys in BESIDE.items():
        known = dict.fromkeys([*keys, *names])
        for at, told in _entries(data, section):
            if told.keys() <= known.keys() or any(kind in told for kind in KINDS):
                continue
            for key in told:
                if key in known or key == card.seed_field or frames(key, card) is not None:
                    continue
                if (near := clear(key, [*known, *KINDS], told)) is not None and near not in KINDS:
                    excluded = section == "exclude"
                    said = f'"{key}" is no key and no parameter' if excluded else f'unknown key "{key}"'
                    yield Move((*at, key), (*at, near)), f'{said}: did you mean "{near}"?'


def _mappings(data: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield what holds nothing but parameters."""
    for name in ("parameters", "matrix"):
        if isinstance(data.get(name), dict):
            yield (name,), data[name]
    for section in ("images", "prompts", *BESIDE):
        for at, told in _entries(data, section):
            if isinstance(told.get("parameters"), dict):
                yield (*at, "parameters"), told["parameters"]


def _entries(data: Mapping[str, Any], section: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    told = data.get(section)
    whole = isinstance(told, dict)
    for index, one in enumerate([told] if whole else told if isinstance(told, list) else ()):
        if isinstance(one, dict):
            yield ((section,) if whole else (section, index)), one


def _parent(data: Any, path: Path, *, make: bool = False) -> Any:
    """Return the mapping or list that a path's last part stands in; `make`: made where it is missing."""
    for part in path[:-1]:
        if make and isinstance(data, dict):
            data.setdefault(part, {})
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data if isinstance(data, dict | list) else None
