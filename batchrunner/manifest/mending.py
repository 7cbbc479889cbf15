"""How a value of the wrong kind was most likely meant: a bare name of a file, one value for a list."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import Any

from batchrunner.cards import Card
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.pictures import SUFFIXES, VIDEO_SUFFIXES, is_address
from batchrunner.manifest.slugs import ID_MAX, slug
from batchrunner.values import JSON

_KEYS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl"}
_FILES = frozenset({*SUFFIXES, *VIDEO_SUFFIXES})


# What people call a key that has another name here; the first one counts that is possible where it stands.
_CALLED = {
    "name": ("campaign", "id"),
    "title": ("campaign", "id"),
    "folder": ("glob",),
    "directory": ("glob",),
    "dir": ("glob",),
    "path": ("file", "lines"),
    "file": ("lines",),
    "link": ("url",),
    "json": ("jsonl",),
    "words": ("text",),
    "seeds": ("takes",),
    "count": ("takes",),
}


def near_key(key: str, known: Collection[str]) -> str | None:
    """Return the key that a misspelt one stands for, or one that has another name here."""
    called = (one for one in _CALLED.get(key.casefold(), ()) if one in known)
    near = difflib.get_close_matches(key, known, n=1)
    return next(itertools.chain(called, near), None)


def frames(key: str, card: Card | None) -> str | None:
    """Return how the picture is written that was told by the name of a field of the model, if it was."""
    if card is None or key not in card.image_fields:
        return None
    if len(card.image_fields) == 1:
        return f'unknown key "{key}": write file, or url'
    order = ", ".join(card.image_fields)
    return f'unknown key "{key}": write frames: [{{file: …}}, {{file: …}}], in the order {order}'


def elsewhere(path: Path, key: str, value: JSON, card: Card | None) -> str | None:
    """Return where a key belongs that is none here and has its place elsewhere, if so."""
    if (said := frames(key, card)) is not None:
        return said
    row = path[0] in {"images", "prompts"} if path else False
    if key == "takes" and row:
        return (
            'unknown key "takes": the manifest\'s own `takes` is for all; a row of `shots` may have its own'
        )
    if card is not None and key in card.parameters["properties"] and (row or not path):
        told = json.dumps(value, ensure_ascii=False)
        return f'unknown key "{key}": it is a parameter: write parameters: {{{key}: {told}}}'
    return None


def plain_id(path: Path, value: JSON) -> str:
    """Return an id that is like one that cannot be, as the end of a sentence."""
    if path[-1] not in {"id", "campaign"} or not isinstance(value, str) or len(value) > ID_MAX:
        return ""
    return f"; for example {slug(value)}"


def mended(path: Path, value: Any, kinds: Sequence[str] | str, schema: Any) -> str:
    """Return what to write instead, as the end of a sentence; nothing where nobody can tell.

    `kinds`: what the value should be, by its `schema`; nothing where it is of the right kind.
    """
    if isinstance(value, str) and path[0] in {"images", "prompts", "shots"} and "object" in kinds:
        return _named(str(path[0]), value, whole=len(path) == 1)
    if kinds == "array" and not isinstance(value, list | dict | None) and _is_item(schema, value):
        return f": write [{json.dumps(value, ensure_ascii=False)}]"
    return ""


def _named(section: str, value: str, *, whole: bool) -> str:
    """Return the mapping that names what a bare text names."""
    text = json.dumps(value, ensure_ascii=False)
    suffix = PurePosixPath(value).suffix.casefold()
    if suffix in _KEYS:
        return f": write {{{_KEYS[suffix]}: {text}}}"
    if section == "prompts":
        return f": write {{lines: {text}}}" if suffix == ".txt" else f": write [{text}]" if whole else ""
    if section == "shots":
        return ""
    if is_address(value):
        return f": write {{url: {text}}}"
    if "*" in value:
        return f": write {{glob: {text}}}"
    if suffix in _FILES:
        return f": write {{file: {text}}}"
    return f": write {{glob: {json.dumps(value.rstrip('/') + '/*.png', ensure_ascii=False)}}} for a folder"


def _is_item(schema: Any, value: Any) -> bool:
    """Tell whether a list of a schema may hold a bare value of this kind."""
    kinds = schema["items"].get("type", ()) if "items" in schema else ("string", "number")
    usual = "string" if isinstance(value, str) else "number"
    return usual in kinds and not isinstance(value, bool)
