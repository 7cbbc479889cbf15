"""How a value of the wrong kind was most likely meant: a bare name of a file, one value for a list."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from batchrunner.cards import Card
from batchrunner.files import schema_text
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.pictures import MEDIA_SUFFIXES, is_address
from batchrunner.manifest.slugs import ID_MAX, slug
from batchrunner.nearest import nearest
from batchrunner.values import JSON

_KEYS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl"}

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


def called(key: str, known: Collection[str]) -> str | None:
    """Return the key that has another name here, if it is one."""
    return next((one for one in _CALLED.get(key.casefold(), ()) if one in known), None)


def near_key(key: str, known: Collection[str]) -> str | None:
    """Return the key that a misspelt one stands for, or one that has another name here."""
    return called(key, known) or nearest(key, known)


@cache
def _sections() -> dict[str, str]:
    """Return the sections of a manifest by the keys that stand in them alone."""
    parts = json.loads(schema_text("manifest.schema.json"))["properties"].items()
    return {key: name for name, one in reversed(parts) for key in one.get("properties", ())}


def section_of(key: str) -> str | None:
    """Return the section of a manifest that a key stands in."""
    return _sections().get(key)


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


def plain_id(path: Path, value: JSON) -> str | None:
    """Return an id that is like one that cannot be."""
    if path[-1] not in {"id", "campaign"} or not isinstance(value, str) or len(value) > ID_MAX:
        return None
    return slug(value)


def mended(path: Path, value: Any, kinds: Sequence[str] | str, schema: Any) -> JSON:
    """Return what to write instead; nothing where nobody can tell.

    `kinds`: what the value should be, by its `schema`; nothing where it is of the right kind.
    """
    if isinstance(value, str) and path[0] in {"images", "prompts", "shots"} and "object" in kinds:
        return _named(str(path[0]), value, whole=len(path) == 1)
    if kinds == "array" and not isinstance(value, list | dict | None) and _is_item(schema, value):
        return [value]
    return None


def _named(section: str, value: str, *, whole: bool) -> JSON:
    """Return the mapping that names what a bare text names."""
    suffix = PurePosixPath(value).suffix.casefold()
    if suffix in _KEYS:
        return {_KEYS[suffix]: value}
    if section == "prompts":
        return {"lines": value} if suffix == ".txt" else [value] if whole else None
    if section == "shots":
        return None
    if is_address(value):
        return {"url": value}
    if "*" in value:
        return {"glob": value}
    return {"file": value} if suffix in MEDIA_SUFFIXES else {"glob": f"{value.rstrip('/')}/*.png"}


def _is_item(schema: Any, value: Any) -> bool:
    """Tell whether a list of a schema may hold a bare value of this kind."""
    kinds = schema["items"].get("type", ()) if "items" in schema else ("string", "number")
    usual = "string" if isinstance(value, str) else "number"
    return usual in kinds and not isinstance(value, bool)
