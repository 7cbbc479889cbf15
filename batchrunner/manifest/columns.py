"""What the column of a table means, and what its cells are.

One rule for csv and jsonl, for images, prompts and shots. A column's name is, in this order: one of the
section's own keys; a picture field of the model's card; a parameter of the card; else a {var}.
`parameters.NAME` and `vars.NAME` say it outright, and a name that begins with # is not read.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cache
from typing import Any

from batchrunner.cards import Card, load_card
from batchrunner.files import card_ids
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.pictures import MEDIA_SUFFIXES, is_address
from batchrunner.manifest.scalars import INT_MAX
from batchrunner.manifest.templates import NAME
from batchrunner.nearest import nearest
from batchrunner.values import JSON

KEYS: Mapping[str, Mapping[str, Path]] = {
    "images": {"id": ("id",), "url": ("url",), "file": ("file",)},
    "prompts": {"id": ("id",), "text": ("text",), "prompt": ("text",)},
    "shots": {name: (name,) for name in ("id", "image", "url", "file", "prompt", "text", "takes")},
}
# What no row can do without: any of these columns, of which the first is named.
NEEDED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "images": (("file", "url", "frames"),),
    "prompts": (("prompt", "text"),),
    "shots": (("image", "url", "file", "frames"), ("prompt", "text")),
}
PICTURES = frozenset({"image", "url", "file", "frames"})
VIDEO_LIKE = frozenset({"video", "videos", "clip", "film", "movie"})
# What people and other tools call the column of their pictures (`file_name`: the image folders of data sets).
PICTURE_LIKE = VIDEO_LIKE | {
    *("picture", "pictures", "images", "image_path", "image_file", "img", "photo", "photos", "frame"),
    *("filename", "file_name", "filepath", "file_path", "path", "src", "source", "link"),
}
WORD_LIKE = frozenset({"words", "prompts", "caption", "captions", "description", "text_prompt", "sentence"})
WORDS_MIN = 3  # blanks in a cell that is a sentence, and no name of a column
ROW_FIRST = "looks like a row, for none of its columns has a known name: the first line names the columns"
# What spreadsheets write for yes and no, in eight languages of Europe.
BOOLS = {
    **dict.fromkeys(("true", "wahr", "vrai", "verdadero", "vero", "verdadeiro", "waar", "prawda"), True),
    **dict.fromkeys(("false", "falsch", "faux", "falso", "onwaar", "fa\u0142sz"), False),
}
SHOWN_MAX = 12  # columns of a table that a message names
SEED_WORDS = "seeds are not set here: `takes` and the campaign's `seed` decide them"

_UNIT = re.compile(r"\s*[(\[][^)\]]*[)\]]\s*$")  # `Duration (s)`
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]{0,15})(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?")


class ColumnError(Exception):
    """A column that means nothing here, in words."""


def meaning(section: str, name: str, card: Card | None) -> Path | None:
    """Return the place that a column stands for in an inline entry; None: it is not read.

    Raises:
        ColumnError: there is no such place.
    """
    plain = name.casefold()
    if name.startswith("#"):
        return None
    if section != "images" and card is not None and not card.image_fields and _is_picture(plain, card):
        raise ColumnError(f"{card.id} takes no picture: leave the column out, or call it #{name} for a note")
    if plain in KEYS[section]:
        return KEYS[section][plain]
    if card is not None:
        fields = [field.casefold() for field in card.image_fields]
        if section != "prompts" and plain in fields:
            return ("frames", fields.index(plain))
        known = {one.casefold(): one for one in card.parameters["properties"]}
        if plain in known:
            return ("parameters", known[plain])
        if card.seed_field is not None and plain == card.seed_field.casefold():
            raise ColumnError(SEED_WORDS)
    kind, dot, rest = name.partition(".")
    if dot and kind.casefold() == "vars":
        return ("vars", _var(rest))
    if dot and kind.casefold() == "parameters":
        return ("parameters", rest)
    near = "_".join(_UNIT.sub("", plain).replace("-", " ").split())
    if not NAME.fullmatch(name) and near in known_names(section, card):
        raise ColumnError(f'"{name}" cannot be a {{var}}: did you mean "{near}"? (or #{name} for a note)')
    return ("vars", _var(name))


def _is_picture(plain: str, card: Card) -> bool:
    known = {one.casefold() for one in card.parameters["properties"]}
    return plain in PICTURES or (plain in _fields() and plain not in known)


@cache
def _fields() -> frozenset[str]:
    """Return the fields in which any model takes a picture: a table may have been made for another one."""
    return frozenset(field.casefold() for model in card_ids() for field in load_card(model).image_fields)


def _var(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ColumnError(
            f'"{name}" cannot be a {{var}}: use letters, digits, - and _; '
            "or begin the name with # and the column is not read"
        )
    return name


def known_names(section: str, card: Card | None) -> frozenset[str]:
    """Return the names that mean something in a table of a section, in small letters."""
    own = () if card is None else (*card.image_fields, *card.parameters["properties"])
    return frozenset(one.casefold() for one in (*KEYS[section], *own))


def usual_names(section: str, card: Card | None) -> str:
    """Return a first line for a table of a section that has none."""
    fields = ("image",) if card is None else card.image_fields
    one = "file" if section == "images" else "image"
    pictures = fields if len(fields) > 1 else (one,) * len(fields)
    return ",".join(
        (*(pictures if section != "prompts" else ()), *(("prompt",) if section != "images" else ()))
    )


def slip(section: str, name: str, card: Card | None) -> str | None:
    """Return the key or parameter that a column nobody uses was most likely meant to be."""
    if card is None:
        return None
    known = [*KEYS[section], *card.parameters["properties"]]
    if section != "prompts":
        known += card.image_fields
    return nearest(name.casefold(), known, 0.8)


def missing(section: str, keys: Set[Any], card: Card | None) -> list[Sequence[str]]:
    """Return of what any row needs one, where there is none among some keys."""
    groups: list[Sequence[str]] = [needed for needed in NEEDED[section] if keys.isdisjoint(needed)]
    if (card is None and section == "shots") or (card is not None and not card.image_fields):
        return [needed for needed in groups if not PICTURES.issuperset(needed)]
    return groups


def lacking(
    section: str, paths: Iterable[Path | None], names: Sequence[str], card: Card | None, listed: str
) -> list[tuple[Sequence[str], str]]:
    """Return what columns a table lacks of which every row needs one, each time with that in words.

    `listed`: which columns there are, in words.
    """
    several = card.image_fields if card is not None and len(card.image_fields) > 1 else ()
    keys = {path[0] for path in paths if path}
    if section == "images" and missing(section, keys, card) and _are_shots(names):
        what = "a table whose rows have a picture and its words goes under `shots:`"
        what = f'there is no column "file" or "url", and there are words: {what}; {listed}'
        return [(NEEDED[section][0], what)]
    found, strange = list[tuple[Sequence[str], str]](), list[Sequence[str]]()
    called = []
    for needed in missing(section, keys, card):
        usual = 'file" or "url' if section == "images" else needed[0]
        name = '" and "'.join(several) if several and "frames" in needed else usual
        if near := meant_for(needed, names, card):
            found.append((needed, f'there is no column "{name}": rename "{near}", or add one; {listed}'))
        else:
            strange.append(needed)
            called.append(f'"{name}"')
    if strange:
        one = len(strange) == 1
        what = f"there {'is no column' if one else 'are no columns'} {' and '.join(called)}"
        what = f"{what}: rename or add {'one' if one else 'them'}; {listed}"
        found.append((tuple(itertools.chain.from_iterable(strange)), what))
    return found


def _are_shots(names: Sequence[str]) -> bool:
    """Tell whether rows have a picture by the name that it has in shots alone, and words of their own."""
    plain = {name.casefold() for name in names}
    return "image" in plain and not plain.isdisjoint(("prompt", "text"))


def meant_for(needed: Sequence[str], names: Sequence[str], card: Card | None) -> str | None:
    """Return the column that most likely is one of those that are needed."""
    like = (
        WORD_LIKE if "prompt" in needed else VIDEO_LIKE if card and card.videos else PICTURE_LIKE | {"image"}
    )
    several = "frames" in needed and card is not None and len(card.image_fields) > 1
    close = (nearest(one, names, 0.7) for one in needed)
    called = (name for name in names if name.casefold() in like and not several)
    return next(itertools.chain(filter(None, close), called), None)


def typed(text: str, rule: Mapping[str, Any] | None) -> JSON:
    """Return a cell's text as what the card's rule for a parameter asks for; text where it asks for none."""
    if rule is None or _takes_text(rule, text):
        return text
    if (truth := BOOLS.get(text.casefold())) is not None:
        return truth
    return number(text) if _NUMBER.fullmatch(text) else text


def number(text: str) -> JSON:
    """Return the number that a text is, whole ones as such; the text itself where it cannot be sent."""
    value = float(text)
    if not math.isfinite(value) or abs(value) > INT_MAX:
        return text
    return int(value) if value == int(value) else value


def _takes_text(rule: Mapping[str, Any], text: str) -> bool:
    if "enum" in rule:
        return text in rule["enum"]
    if "const" in rule:
        return bool(text == rule["const"])
    kinds = rule.get("type", ())
    return "string" in ([kinds] if isinstance(kinds, str) else kinds)


def is_row(names: Sequence[str]) -> bool:
    """Tell whether the first line of a table, which has no known name, is a row already."""
    plain = [name.casefold() for name in names]
    return any(
        is_address(one) or one.endswith(MEDIA_SUFFIXES) or one.count(" ") >= WORDS_MIN for one in plain
    )


def twice(names: Iterable[str]) -> str | None:
    """Return the first name that was there before, however its case."""
    seen = set()
    for name in names:
        if name.casefold() in seen:
            return name
        seen.add(name.casefold())
    return None
