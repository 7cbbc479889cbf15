"""What a table that a first manifest is made for lists: shots, pictures or prompts, told by its columns.

A table whose pictures nobody can find is refused. A placeholder in their stead would be paid for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from functools import cache
from pathlib import Path
from typing import Literal

from batchrunner.cards import Card, load_card
from batchrunner.errors import UsageError
from batchrunner.files import card_ids
from batchrunner.manifest.columns import (
    PICTURE_LIKE,
    PICTURES,
    SHOWN_MAX,
    known_names,
    usual_names,
)
from batchrunner.manifest.csvread import column_names
from batchrunner.manifest.header import names_columns
from batchrunner.manifest.jsonread import A_LIST, SPREAD, is_spread
from batchrunner.manifest.textfile import ContentError, SourceError, read_text
from batchrunner.nearest import nearest

Section = Literal["shots", "images", "prompts"]

JSON_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})
HEAD = 1 << 16  # bytes of a table's first line that are read
KEYS = ("image", "url", "file")  # columns in which any model's picture is found
WORDS = ("prompt", "text")


def section_of(table: Path, card: Card) -> Section:
    """Return which list of a manifest the rows of a csv or jsonl are.

    Raises:
        UsageError: the table cannot be read, or lacks a column that the model cannot do without, or has
            pictures and the model takes none.
    """
    known = known_names("images", card) | known_names("shots", card) | PICTURE_LIKE
    names, columns = _columns(table, known, card)
    plain = {name.strip().casefold(): name.strip() for name in names}
    has_words = not plain.keys().isdisjoint(WORDS)
    if not card.image_fields:
        if picture := _needless(plain, table):
            advice = f"leave the column out, or call it #{picture} for a note"
            raise UsageError(
                f'{table}: {card.id} takes no picture, and there is a column "{picture}": {advice}'
            )
        if not has_words:
            raise UsageError(f"{table} has no column for words (prompt or text); {columns}")
        return "prompts"
    if not plain.keys().isdisjoint({*PICTURES, *(field.casefold() for field in card.image_fields)}):
        return "shots" if has_words else "images"
    needed = "image, url or file" if len(card.image_fields) == 1 else " and ".join(card.image_fields)
    what = f"{table} has no column for a picture ({needed})"
    what += "" if has_words else " or for words (prompt or text)"
    raise UsageError(f"{what}; {columns}; {_advice(plain, card, has_words=has_words)}")


def _needless(plain: Mapping[str, str], table: Path) -> str | None:
    """Return a column of pictures where none is taken; a name that prompts use is a word of theirs."""
    fields = {field for one in _models().values() for field in one}
    found = [name for one, name in plain.items() if one in PICTURES | PICTURE_LIKE | fields]
    used = table.read_text(encoding="utf-8", errors="replace") if found else ""
    return next((name for name in found if f"{{{name}}}" not in used), None)


def _advice(plain: Mapping[str, str], card: Card, *, has_words: bool) -> str:
    """Return what to do about a table in which the model's pictures are not found."""
    needed = " and ".join(f'"{name}"' for name in _needed(card))
    fitting = [one for one, fields in _models().items() if fields and plain.keys() >= set(fields)]
    meant = _meant(plain, card)
    told = []
    if fitting:
        told.append(f"--model {' or '.join(fitting)} takes {' and '.join(_models()[fitting[0]])}")
    if meant is not None:
        told.append(f'{"where it holds pictures, " if fitting else ""}rename "{meant}" to {needed}')
    if told:
        return ", or ".join(told)
    if not has_words:
        return "rename or add them"
    return (
        f"it has only words, and {card.id} takes {card.takes_files}: add {needed}, "
        f"or take --model {imageless_models()}; for the pictures of a folder, "
        "`batchrunner init FOLDER`, and name the table under `prompts:`"
    )


def imageless_models() -> str:
    """Return the models that take no pictures, in words."""
    return " or ".join(one for one, fields in _models().items() if not fields)


def is_table(text: Path) -> bool:
    """Tell whether a .txt is a table, as Excel saves one with tabs: its first line names several columns.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return names_columns(read_text(text, "lines").text)
    except SourceError as error:
        raise UsageError(str(error)) from error
    except ContentError as error:
        raise UsageError(str(error.problem)) from error


def _needed(card: Card) -> tuple[str, ...]:
    return card.image_fields if len(card.image_fields) > 1 else KEYS[:1]


def _meant(plain: Mapping[str, str], card: Card) -> str | None:
    """Return the column that most likely holds the one file that the model takes."""
    if len(card.image_fields) > 1:
        return None
    fields = {fields[0] for fields in _models().values() if len(fields) == 1}
    like = next((name for one, name in plain.items() if one in PICTURE_LIKE | fields), None)
    known = [*KEYS, *PICTURE_LIKE, *fields]
    near = (name for one, name in plain.items() if nearest(one, known, 0.8))
    return like or next(near, None)


@cache
def _models() -> Mapping[str, tuple[str, ...]]:
    """Return the files that every model takes, by the names of their fields."""
    cards = (load_card(one) for one in card_ids())
    return {card.id: tuple(field.casefold() for field in card.image_fields) for card in cards}


def _columns(table: Path, known: Set[str], card: Card) -> tuple[list[str], str]:
    """Return the names of a table's columns, and the same in words."""
    kind = "jsonl" if table.suffix.lower() in JSON_SUFFIXES else "csv"
    try:
        file = read_text(table, kind)
        first = file.text.lstrip()[:HEAD].partition("\n")[0]
        if first.startswith("["):
            raise UsageError(f"{table}: {A_LIST}")
        if kind == "jsonl" and is_spread(file.text):
            raise UsageError(f"{table}: {SPREAD}")
        if kind == "csv":
            return column_names(file, known, usual_names("shots", card))
    except SourceError as error:
        raise UsageError(str(error)) from error
    except ContentError as error:
        raise UsageError(str(error.problem)) from error
    try:
        told = json.loads(first)
    except ValueError:
        told = {}
    names = list(told) if isinstance(told, dict) else []
    return names, f"the keys of its first line are {', '.join(names[:SHOWN_MAX]) or 'none'}"
