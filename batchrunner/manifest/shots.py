"""From rows to shots: their own picture and words, or an image and a prompt that are listed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from batchrunner.cards import Card
from batchrunner.manifest.columns import SEED_WORDS
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.entries import PICTURE_KEYS, Builder, name_of
from batchrunner.manifest.findings import Report
from batchrunner.manifest.mending import frames, near_key
from batchrunner.manifest.pictures import SUFFIXES, is_address
from batchrunner.manifest.slugs import ID, is_made_up, slug, words_id
from batchrunner.manifest.sources import also
from batchrunner.manifest.tables import TableRow
from batchrunner.manifest.unknown import Others
from batchrunner.manifest.written import Entry, Row
from batchrunner.nearest import nearest
from batchrunner.values import NO_IMAGE, NOTHING, Image, Prompt, Shot

TAKES_MAX = 10_000
IMAGE_KEYS = ("image", *PICTURE_KEYS)
SHOT_KEYS = ("id", *IMAGE_KEYS, "prompt", "text", "vars", "parameters")
TABLE_KEYS = ("csv", "jsonl")
MP4 = (".mp4",)
_KEYS = {one: frozenset({*SHOT_KEYS, one}) for one in ("take", "takes")}
_NO_SHOT = (
    "has neither picture nor prompt: delete the row if it is a heading, a note or a total; "
    "if the text above goes on here, that one lacks its quotes"
)
T = TypeVar("T")

UNKNOWN_IMAGE = Image("", ())
UNKNOWN_PROMPT = Prompt("", "")


@dataclass(frozen=True)
class Listed:
    """The images and prompts that shots may name, each with its row."""

    images: dict[str, tuple[Image, Row]]
    prompts: dict[str, tuple[Prompt, Row]]
    others: Others

    def brought(self, key: str) -> Mapping[str, frozenset[str]]:
        """Return the names of words and of parameters that any image, or any prompt, has."""
        return self._by_images if key == "image" else self._by_prompts

    @cached_property
    def _by_images(self) -> Mapping[str, frozenset[str]]:
        return _names(image for image, _row in self.images.values())

    @cached_property
    def _by_prompts(self) -> Mapping[str, frozenset[str]]:
        return _names(prompt for prompt, _row in self.prompts.values())


class ShotBuilder:
    """Makes shots of rows, which may name what is listed; reports what is wrong with them."""

    def __init__(self, builder: Builder, listed: Listed, card: Card | None, report: Report) -> None:
        self._builder = builder
        self._listed = listed
        self._card = card
        self._report = report
        self._inline: dict[str, tuple[Image, Row]] = {}  # pictures that shots name themselves, by id
        self._sound: dict[tuple[str, str], Image] = {}  # the same, by what names them

    def shot(self, row: Row, takes_key: str = "takes") -> Shot:
        """Return a row's shot, without what is wrong with it. An entry of `include` has one `take`."""
        told, flat = row.told, self._flat(row, takes_key)
        image = prompt = None
        if len(told) > 1 or not self._is_no_shot(row):
            image, prompt = self._image_of(row), self._prompt_of(row)
        for key, known in (("image", image), ("prompt", prompt)):
            if known is None:
                self._unknown(row, key)
        own = told.get("parameters", NOTHING)
        return Shot(
            image or UNKNOWN_IMAGE,
            prompt or UNKNOWN_PROMPT,
            self._builder.words(row),
            {**own, **flat} if flat else own,
            self._takes(row) if "takes" in told else None,
            told.get("take"),
        )

    def _unknown(self, row: Row, key: str) -> None:
        """Take note that a shot's image or prompt is not known, and what it may bring along."""
        self._report.doubt(row, (key,))
        if key == "image" and "image" not in row.told and any(one in row.told for one in PICTURE_KEYS):
            return  # a picture of its own: whatever it is, it brings nothing
        for kind, names in self._listed.brought(key).items():
            if self._listed.others.of(key):
                self._report.doubt(row, (kind,))
            for name in names - row.told.get(kind, NOTHING).keys() - row.told.keys():
                self._report.doubt(row, (kind, name))

    def _is_no_shot(self, row: Row) -> bool:
        """Tell whether a table's row, of one cell at most, is a heading or the like; report it then."""
        image = row.told.get("image")
        if not isinstance(row, TableRow) or self._card is None or not self._card.image_fields:
            return False
        if self._report.any_unsure(row, "image", *PICTURE_KEYS, "prompt", "text"):
            return False
        if row.told and image is None and not row.told.keys() & {"id", "takes", "vars", "parameters"}:
            return False
        ids = image is not None and {image, slug(image)} & self._listed.images.keys()
        if image is not None and (ids or is_address(image) or image.casefold().endswith((*SUFFIXES, *MP4))):
            return False
        self._report.say(row, (), _NO_SHOT)
        return True

    def _flat(self, row: Row, takes_key: str) -> Mapping[str, Any]:
        """Return the parameters that stand beside the other keys."""
        keys = _KEYS[takes_key]
        if row.told.keys() <= keys:
            return NOTHING
        found = {}
        known = [*SHOT_KEYS, takes_key, *(self._card.parameters["properties"] if self._card else ())]
        for key, value in row.told.items():
            if key in keys:
                continue
            if self._card is not None and key == self._card.seed_field:
                self._report.say(row, (key,), SEED_WORDS, key=True)
            elif self._card is not None and key not in known:
                near = near_key(key, (*known, *TABLE_KEYS))
                for path in _perhaps(key, near, self._card):
                    self._report.doubt(row, path)
                said = frames(key, self._card) or f'unknown key "{key}": {_possible(near, known)}'
                self._report.say(row, (key,), said, key=True)
            elif key in row.told.get("parameters", NOTHING):
                self._report.doubt(row, ("parameters", key))
                self._report.spare.append(({key: value}, row, ()))
                self._report.say(row, (key,), f'"{key}" is told in `parameters` too: leave one out', key=True)
            else:
                found[key] = value
        return found

    def _image_of(self, row: Row) -> Image | None:
        told = row.told
        named = [key for key in IMAGE_KEYS if key in told]
        if self._card is not None and not self._card.image_fields:
            for key in named:
                self._report.say(row, (key,), f"{self._card.id} takes no picture: leave it out", key=True)
            return None if named else NO_IMAGE
        if len(named) != 1:
            # A model that nobody knows may take none.
            if (named or self._card is not None) and not self._report.any_unsure(row, "image", *PICTURE_KEYS):
                what = (
                    f"has both {' and '.join(named)}: leave one out"
                    if named
                    else "has no picture: give it an image, url or file"
                )
                self._report.say(row, (), what)
            return None
        if named == ["image"]:
            name = told["image"]
            for one in (name,) if isinstance(row, Entry) or not self._listed.images else (name, slug(name)):
                if one in self._listed.images:
                    return self._with_doubts(row, *self._listed.images[one])
            if is_address(name):
                return self._own_image(row, "image", {"url": name})
            suffixes, shown = (MP4, ".mp4") if self._builder.word == "video" else (SUFFIXES, ".png or .jpg")
            if not name.casefold().endswith(suffixes):
                if self._listed.others.nobody("image", name):
                    usual = f"it is an id of `images`, an https address, or a file that ends in {shown}"
                    what = _hint(nearest(name.casefold(), self._listed.images), usual)
                    self._report.say(row, ("image",), f'there is no image "{name}": {what}')
                return None
            return self._own_image(row, "image", {"file": name})
        (key,) = named
        return self._own_image(row, key, {key: told[key]})

    def _own_image(self, row: Row, key: str, source: Mapping[str, Any]) -> Image | None:
        """Return the image of a shot that names its picture itself: by url, file or frames."""
        ((kind, value),) = source.items()
        mark = kind, value if isinstance(value, str) else repr(value)
        if mark in self._sound:
            return self._sound[mark]
        before, unsure = len(self._report.problems), self._report.doubtful and row.unsure((key,))
        pictures, name = self._builder.pictures(row, source, (key,)), "" if unsure else name_of(source)
        sound = name and len(self._report.problems) == before
        self._builder.not_reserved(row, name, key)
        if not sound:
            return None
        image = Image(name, pictures)
        first, at = self._inline.setdefault(image.id, (image, row))
        if image.id in self._listed.images:
            there = also(self._listed.images[image.id][1], row)
            what = f'the id "{image.id}" of this picture is taken by an image ({there})'
            self._report.say(
                row, (key,), f"{what}: name that one, or list this one under `images` with an id"
            )
        elif first.pictures != image.pictures:
            what = f'another picture has the id "{image.id}" already ({also(at, row)})'
            if is_made_up(image.id):
                what = f"this picture and the one {also(at, row)} have no name to make an id of"
            self._report.say(row, (key,), f"{what}: list both under `images` with ids of their own")
        else:
            self._sound[mark] = image
        return first

    def _prompt_of(self, row: Row) -> Prompt | None:
        told = row.told
        named = [key for key in ("prompt", "text") if key in told]
        own = told.get("id")
        if own is not None:
            self._builder.not_reserved(row, own)
        if len(named) != 1:
            if not self._report.any_unsure(row, "prompt", "text"):
                what = "has both prompt and text: leave one out" if named else "has no prompt: give it one"
                self._report.say(row, (), what)
            return None
        (key,) = named
        text = told[key]
        if not text.strip():
            self._report.say(row, (key,), "must not be empty")
            return None
        if key == "prompt" and ID.fullmatch(text.casefold()):
            found = self._listed.prompts.get(text) or self._listed.prompts.get(text.casefold())
            if found is None:
                if self._listed.others.nobody("prompt", text):
                    near = nearest(text.casefold(), self._listed.prompts)
                    what = _hint(near, "one word is an id of `prompts`")
                    what = f'there is no prompt "{text}": {what}; for just this word say `text`'
                    self._report.say(row, (key,), what)
                return None
            prompt = self._with_doubts(row, *found)
            return prompt._replace(id=own) if own is not None else prompt
        return Prompt(own or words_id(text), text, NOTHING, NOTHING)

    def _with_doubts(self, row: Row, found: T, at: Row) -> T:
        """Return what a shot names: what is in doubt of it is in doubt of the shot."""
        if self._report.unsure(at, ()):
            self._report.doubt(row, ("listed",))
            self._report.bring(row, at)
        return found

    def _takes(self, row: Row) -> int | tuple[int, ...] | None:
        told = row.told["takes"]
        good = isinstance(told, int) and 1 <= told <= TAKES_MAX
        if isinstance(told, list):
            good = all(isinstance(one, int) and 0 <= one < 2**31 for one in told)
            good = good and 0 < len(told) == len(set(told)) <= TAKES_MAX
            told = tuple(told)
        if not good and not self._report.any_unsure(row, "takes"):
            self._report.say(row, ("takes",), f"must be a whole number from 1 to {TAKES_MAX:,}")
        return told if good else None


def _names(parts: Iterable[Image | Prompt]) -> Mapping[str, frozenset[str]]:
    told = [(one.vars, one.parameters) for one in parts]
    words, parameters = (frozenset(name for one in told for name in one[kind]) for kind in (0, 1))
    return {"vars": words, "parameters": parameters}


def _hint(near: str | None, usual: str) -> str:
    return f'did you mean "{near}"?' if near else usual


def _perhaps(key: str, near: str | None, card: Card | None) -> Sequence[Path]:
    """Return what a key of a shot that is none may have been meant to say."""
    if frames(key, card) is not None:
        return [(one,) for one in ("image", *PICTURE_KEYS)]
    if near is None:
        return ("parameters",), ("vars",)
    return [()] if near in TABLE_KEYS else [(near,), ("parameters", near)]


def _possible(near: str | None, known: Collection[str]) -> str:
    return _hint(near, f"possible here: {', '.join(known)}; a word for a prompt goes under `vars`")
