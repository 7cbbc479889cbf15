"""From rows to images, prompts and shots: pictures that are there, ids, words, and what refers to what."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path as FilePath
from typing import Any

from batchrunner.cards import Card
from batchrunner.manifest.columns import SEED_WORDS
from batchrunner.manifest.filling import Filling
from batchrunner.manifest.mending import frames, near_key
from batchrunner.manifest.pictures import SUFFIXES, is_address, name_in
from batchrunner.manifest.slugs import ID, is_reserved, slug
from batchrunner.manifest.sources import Sources, also
from batchrunner.manifest.written import Entry, Report, Row
from batchrunner.manifest.yamlread import Path
from batchrunner.values import NO_IMAGE, NOTHING, Image, Picture, Prompt, Shot, canonical

TAKES_MAX = 10_000
PICTURE_KEYS = ("url", "file", "frames")
IMAGE_KEYS = ("image", *PICTURE_KEYS)
SHOT_KEYS = ("id", *IMAGE_KEYS, "prompt", "text", "vars", "parameters")
MP4 = (".mp4",)
_KEYS = {one: frozenset({*SHOT_KEYS, one}) for one in ("take", "takes")}
WORDS_ID_MAX = 48
NEAR_MAX = 2_000  # names that a misspelt one is held against


@dataclass(frozen=True, slots=True)
class Listed:
    """The rows of a section that could be read, each with what became of it."""

    images: dict[str, tuple[Image, Row]]
    prompts: dict[str, tuple[Prompt, Row]]


class Builder:
    """Makes frozen values of rows; reports what is wrong with them."""

    def __init__(self, folder: FilePath, card: Card | None, report: Report, sources: Sources) -> None:
        self._card = card
        self._report = report
        self._filling = Filling(folder, card, sources.read)
        self._inline: dict[str, tuple[Image, Row]] = {}  # pictures that shots name themselves, by id
        self._sound: dict[tuple[str, str], Image] = {}  # the same, by what names them

    # --- images ---------------------------------------------------------------------------------------

    def image(self, row: Row) -> Image:
        """Return a row's image; without the pictures that cannot be used."""
        told = row.told
        named = [key for key in PICTURE_KEYS if key in told]
        if len(named) != 1:  # in the manifest itself the schema has seen to it
            what = (
                f"has both {' and '.join(named)}: leave one empty"
                if named
                else f"has no {self._filling.word}: give it a file or url"
            )
            self._say(row, (), what)
            return Image(str(told.get("id", "")), (), self.words(row), told.get("parameters", NOTHING))
        pictures = self._pictures(row, told)
        name = told.get("id") or _name_of(told)
        self._not_reserved(row, name)
        return Image(name, pictures, self.words(row), told.get("parameters", NOTHING))

    def _pictures(self, row: Row, told: Mapping[str, Any], at: Path = ()) -> tuple[Picture, ...]:
        """Return those pictures that can be used; `at`: where they are named, but in an image's own row."""
        sources, found = told.get("frames") or (told,), []
        for number, source in enumerate(sources):
            one = self._filling.picture(number, source)
            if isinstance(one, Picture):
                found.append(one)
            else:
                kind = "url" if "url" in source else "file"
                self._say(row, ("frames", number, kind) if "frames" in told else at or (kind,), one)
        if self._card is not None and len(sources) != len(self._card.image_fields):
            self._say(row, at, f"the model takes {self._card.takes_files}, not {len(sources)}")
        return tuple(found)

    # --- prompts --------------------------------------------------------------------------------------

    def prompt(self, row: Row) -> Prompt:
        """Return a row's prompt."""
        told = row.told
        text = told.get("text", "")
        if not text.strip():
            self._say(row, ("text",), "must not be empty")
        own = isinstance(row, Entry)
        name = told.get("id") or (first_words(text) if own else words_id(text))
        self._not_reserved(row, name)
        return Prompt(name, text, self.words(row), told.get("parameters", NOTHING))

    def words(self, row: Row) -> Mapping[str, str]:
        """Return a row's vars."""
        found: Mapping[str, str] = row.told.get("vars", NOTHING)
        for name, value in found.items():
            if not value.strip():
                self._say(row, ("vars", name), "is empty: an empty word would end up in a paid prompt")
        return found

    # --- shots ----------------------------------------------------------------------------------------

    def shot(self, row: Row, listed: Listed, takes_key: str = "takes") -> Shot | None:
        """Return a row's shot; None: it is wrong, which is reported. An entry of `include` has one `take`."""
        flat = self._flat(row, takes_key)
        if flat is None:
            return None
        image, prompt = self._image_of(row, listed), self._prompt_of(row, listed)
        takes, sound = self._takes(row) if "takes" in row.told else (None, True)
        if image is None or prompt is None or not sound:
            return None
        own = row.told.get("parameters", NOTHING)
        parameters = {**own, **flat} if flat else own
        return Shot(image, prompt, self.words(row), parameters, takes, row.told.get("take"))

    def _flat(self, row: Row, takes_key: str) -> Mapping[str, Any] | None:
        """Return the parameters that stand beside the other keys; None: there is a key that is none."""
        keys = _KEYS[takes_key]
        if row.told.keys() <= keys:
            return NOTHING
        found, sound = {}, True
        known = [*SHOT_KEYS, takes_key, *(self._card.parameters["properties"] if self._card else ())]
        for key, value in row.told.items():
            if key in keys:
                continue
            if self._card is not None and key == self._card.seed_field:
                self._say(row, (key,), SEED_WORDS, key=True)
                sound = False
            elif self._card is not None and key not in known:
                said = frames(key, self._card) or f'unknown key "{key}": {_meant(key, known)}'
                self._say(row, (key,), said, key=True)
                sound = False
            elif key in row.told.get("parameters", NOTHING):
                self._say(row, (key,), f'"{key}" is told in `parameters` too: leave one out', key=True)
                sound = False
            found[key] = value
        return found if sound else None

    def _image_of(self, row: Row, listed: Listed) -> Image | None:
        told = row.told
        named = [key for key in IMAGE_KEYS if key in told]
        if self._card is not None and not self._card.image_fields:
            for key in named:
                self._say(row, (key,), f"{self._card.id} takes no picture: leave it out", key=True)
            return None if named else NO_IMAGE
        if len(named) != 1:
            if named or self._card is not None:  # a model that nobody knows may take none
                what = (
                    f"has both {' and '.join(named)}: leave one out"
                    if named
                    else "has no picture: give it an image, url or file"
                )
                self._say(row, (), what)
            return None
        if named == ["image"]:
            name = told["image"]
            for one in (name,) if isinstance(row, Entry) or not listed.images else (name, slug(name)):
                if one in listed.images:
                    return listed.images[one][0]
            if is_address(name):
                return self._own_image(row, "image", {"url": name}, listed)
            suffixes, shown = (MP4, ".mp4") if self._filling.word == "video" else (SUFFIXES, ".png or .jpg")
            if not name.casefold().endswith(suffixes):
                near = _near(name, listed.images)
                what = near or f"it is an id of `images`, an https address, or a file that ends in {shown}"
                self._say(row, ("image",), f'there is no image "{name}": {what}')
                return None
            return self._own_image(row, "image", {"file": name}, listed)
        (key,) = named
        return self._own_image(row, key, {key: told[key]}, listed)

    def _own_image(self, row: Row, key: str, source: Mapping[str, Any], listed: Listed) -> Image | None:
        """Return the image of a shot that names its picture itself: by url, file or frames."""
        ((kind, value),) = source.items()
        mark = kind, value if isinstance(value, str) else canonical(value)
        if mark in self._sound:
            return self._sound[mark]
        before = len(self._report.problems)
        pictures, name = self._pictures(row, source, (key,)), _name_of(source)
        self._not_reserved(row, name, key)
        if len(self._report.problems) > before:
            return None
        image = Image(name, pictures)
        first, at = self._inline.setdefault(image.id, (image, row))
        if image.id in listed.images:
            there = also(listed.images[image.id][1], row)
            what = f'the id "{image.id}" of this picture is taken by an image ({there})'
            self._say(row, (key,), f"{what}: name that one, or list this one under `images` with an id")
        elif first.pictures != image.pictures:
            what = f'another picture has the id "{image.id}" already ({also(at, row)})'
            self._say(row, (key,), f"{what}: list both under `images` with ids of their own")
        else:
            self._sound[mark] = image
        return first

    def _prompt_of(self, row: Row, listed: Listed) -> Prompt | None:
        told = row.told
        named = [key for key in ("prompt", "text") if key in told]
        if len(named) != 1:
            self._say(
                row, (), "has both prompt and text: leave one out" if named else "has no prompt: give it one"
            )
            return None
        (key,) = named
        text = told[key]
        own = told.get("id")
        if own is not None:
            self._not_reserved(row, own)
        if not text.strip():
            self._say(row, (key,), "must not be empty")
            return None
        if key == "prompt" and ID.fullmatch(text.casefold()):
            found = listed.prompts.get(text) or listed.prompts.get(text.casefold())
            if found is None:
                near = _near(text, listed.prompts) or "one word is an id of `prompts`"
                self._say(row, (key,), f'there is no prompt "{text}": {near}; for just this word say `text`')
                return None
            return found[0]._replace(id=own) if own is not None else found[0]
        return Prompt(own or words_id(text), text, NOTHING, NOTHING)

    def _takes(self, row: Row) -> tuple[int | tuple[int, ...], bool]:
        told = row.told["takes"]
        good = isinstance(told, int) and 1 <= told <= TAKES_MAX
        if isinstance(told, list):
            good = all(isinstance(one, int) and 0 <= one < 2**31 for one in told)
            good = good and 0 < len(told) == len(set(told)) <= TAKES_MAX
            told = tuple(told)
        if not good:
            self._say(row, ("takes",), f"must be a whole number from 1 to {TAKES_MAX:,}")
        return told, good

    # --- reports --------------------------------------------------------------------------------------

    def _not_reserved(self, row: Row, name: str, key: str = "id") -> None:
        said = reserved(name)
        if said is not None:
            self._say(row, (key,), said)

    def _say(self, row: Row, path: Path, message: str, *, key: bool = False) -> None:
        self._report.add(row.problem(path, message, key=key))


def reserved(name: str) -> str | None:
    """Return why a name cannot be that of a file, if so."""
    if is_reserved(name):
        return f'"{name}" is a name that Windows keeps for itself: choose another'
    return f'"{name}" must not end with a dot' if name.endswith(".") else None


def first_words(text: str) -> str:
    """Return the id of a prompt that is written in the manifest without one."""
    return slug(" ".join(re.sub(r"[{}]", "", text).split()[:5]))


def words_id(text: str) -> str:
    """Return an id from nothing but the words: other rows, and their order, do not matter to it."""
    head = first_words(text)[:WORDS_ID_MAX].strip("-._")
    return f"{head}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _name_of(told: Mapping[str, Any]) -> str:
    source = told["frames"][0] if "frames" in told else told
    if "file" in source:
        return slug(FilePath(source["file"]).stem)
    try:
        return slug(name_in(source["url"]))
    except ValueError:
        return slug(source["url"])  # not a URL, which is said elsewhere


def _near(name: str, known: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(name.casefold(), list(islice(known, NEAR_MAX)), n=1)
    return f'did you mean "{near[0]}"?' if near else None


def _meant(key: str, known: Collection[str]) -> str:
    near = near_key(key, (*known, "csv", "jsonl"))
    if near is not None:
        return f'did you mean "{near}"?'
    return f"possible here: {', '.join(known)}; a word for a prompt goes under `vars`"
