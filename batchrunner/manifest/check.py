"""What the schema cannot say of a manifest: pictures, ids, words, parameters in every combination."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import unquote, urlsplit

from batchrunner.cards import Card
from batchrunner.errors import ManifestError, Problem
from batchrunner.manifest import pathnames, settings, templates
from batchrunner.manifest.pictures import PictureError, from_file, from_url
from batchrunner.manifest.slugs import is_reserved, slug
from batchrunner.manifest.templates import TemplateError
from batchrunner.manifest.yamlread import PROBLEMS_MAX, Document, Path, path_text
from batchrunner.values import Image, Picture, Prompt

# The provider's keys are JWTs of some 250 characters: one in a manifest would be stored and shared.
# A signed address may well hold such a token inside, so it must stand on its own.
KEY_LIKE = re.compile(r"(?<![^\s\"'])eyJ[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}")

KEY_FOUND = "this looks like an API key: keys belong into the environment, not into a manifest"


class Checker:
    """Checks one document; fills `images` and `prompts`, and `problems` with whatever is wrong.

    `broken`: the paths whose shape is wrong already, of top-level keys and of single images and prompts:
    they are left alone.
    """

    def __init__(
        self, document: Document, path: FilePath, card: Card | None, broken: frozenset[Path]
    ) -> None:
        self._document = document
        self._data: dict[str, Any] = document.data
        self._path = path
        self._card = card
        self._broken = broken
        self.images: list[Image] = []
        self.prompts: list[Prompt] = []
        self.problems: list[Problem] = []

    def run(self) -> None:
        """Check everything that can be checked.

        Raises:
            ManifestError: there is too much wrong to go on.
        """
        self._no_keys()
        if self._sound("campaign"):
            self._not_reserved(self._data["campaign"], ("campaign",))
        images, prompts = self._rows("images"), self._rows("prompts")
        self.images = [self._image(index, told) for index, told in images.items()]
        self.prompts = [self._prompt(index, told) for index, told in prompts.items()]
        self._unique("images", dict(zip(images, self.images, strict=True)))
        self._unique("prompts", dict(zip(prompts, self.prompts, strict=True)))
        self._joined(list(prompts))
        self._words(dict(zip(prompts, self.prompts, strict=True)))
        if self._card is not None and not self._broken & {("parameters",), ("matrix",)}:
            for path, key, message in settings.problems(self._data, self._card):
                self._say(path, message, key=key)
        if ("output",) not in self._broken:
            self._output_name()

    def _sound(self, key: str) -> bool:
        return key in self._data and (key,) not in self._broken

    def _rows(self, section: str) -> dict[int, Any]:
        """Return the entries of a section whose shape is right, by their place in it."""
        told = self._data[section] if self._sound(section) else []
        return {index: one for index, one in enumerate(told) if (section, index) not in self._broken}

    def _say(self, path: Path, message: str, *, key: bool = False) -> None:
        line, column = self._document.place(path, key=key)
        self.problems.append(Problem(str(self._path), line, column, path_text(path), message))
        if len(self.problems) >= PROBLEMS_MAX:
            raise ManifestError(self.problems)

    # --- images and prompts ---------------------------------------------------------------------------

    def _image(self, index: int, told: Mapping[str, Any]) -> Image:
        at: Path = ("images", index)
        frames = told.get("frames")
        sources = [((*at, "frames", n), one) for n, one in enumerate(frames)] if frames else [(at, told)]
        pictures = [picture for path, one in sources if (picture := self._picture(path, one)) is not None]
        wanted = len(self._card.image_fields) if self._card else len(sources)
        if len(sources) != wanted:
            fields = ", ".join(self._card.image_fields) if self._card else ""
            self._say(
                at,
                f"the model takes {wanted} picture{'s' if wanted > 1 else ''} ({fields}), not {len(sources)}",
            )
        name = told.get("id") or _name_of(sources[0][1])
        self._not_reserved(name, (*at, "id"))
        return Image(name, tuple(pictures), self._vars(at, told), told.get("parameters", {}))

    def _picture(self, at: Path, told: Mapping[str, Any]) -> Picture | None:
        key = "url" if "url" in told else "file"
        try:
            if key == "url":
                return from_url(told["url"])
            return from_file(self._path.parent / told["file"])
        except PictureError as error:
            self._say((*at, key), str(error))
            return None

    def _prompt(self, index: int, told: str | Mapping[str, Any]) -> Prompt:
        at: Path = ("prompts", index)
        if isinstance(told, str):
            return Prompt(_first_words(told), told)
        name = told.get("id") or _first_words(told["text"])
        self._not_reserved(name, (*at, "id"))
        return Prompt(name, told["text"], self._vars(at, told), told.get("parameters", {}))

    def _vars(self, at: Path, told: Mapping[str, Any]) -> dict[str, str]:
        found = {}
        for name, value in told.get("vars", {}).items():
            if not str(value).strip():
                self._say((*at, "vars", name), "is empty: an empty word would end up in a paid prompt")
            number = not isinstance(value, str)
            found[name] = self._document.written[(*at, "vars", name)] if number else value
        return found

    def _unique(self, section: str, rows: Mapping[int, Image | Prompt]) -> None:
        seen: dict[str, int] = {}
        for index, name in ((index, row.id) for index, row in rows.items()):
            if name in seen:
                line = self._document.place((section, seen[name]))[0]
                hint = "" if "id" in _mapping(self._data[section][index]) else "; give one of them an `id`"
                self._say((section, index), f'the id "{name}" is there twice (also in line {line}){hint}')
            seen.setdefault(name, index)

    def _not_reserved(self, name: str, path: Path) -> None:
        if is_reserved(name):
            self._say(path, f'"{name}" is a name that Windows keeps for itself: choose another')
        elif name.endswith("."):
            self._say(path, f'"{name}" must not end with a dot')

    def _joined(self, places: list[int]) -> None:
        """See that no two pairs of ids read alike in a job's id: only dots in both could do that."""
        images = [image for image in self.images if any("." in prompt.id for prompt in self.prompts)]
        seen: dict[str, str] = {}
        for image, (place, prompt) in itertools.product(images, zip(places, self.prompts, strict=True)):
            pair = f'"{image.id}" with "{prompt.id}"'
            first = seen.setdefault(f"{image.id}.{prompt.id}", pair)
            if first != pair:
                self._say(("prompts", place), f"{first} and {pair} would get one job id: change an id")
                return

    # --- words ----------------------------------------------------------------------------------------

    def _words(self, prompts: Mapping[int, Prompt]) -> None:
        """See that every prompt can be filled for every image, and is not too long then."""
        for index, prompt in prompts.items():
            whole = isinstance(self._data["prompts"][index], str)
            at: Path = ("prompts", index) if whole else ("prompts", index, "text")
            if not prompt.text.strip():
                self._say(at, "must not be empty")
            try:
                wanted = templates.names(prompt.text)
            except TemplateError as error:
                self._say(at, str(error))
                continue
            lacking = self._lacking(prompt, wanted)
            for name, image in lacking.items():
                self._say(at, _no_word(name, image, prompt))
            if not lacking:
                self._length(at, prompt)

    def _lacking(self, prompt: Prompt, wanted: tuple[str, ...]) -> dict[str, Image]:
        """Return the names without a word, each with the first image for which it is missing."""
        lacking: dict[str, Image] = {}
        for name in wanted:
            if name not in prompt.vars:
                image = next((image for image in self.images if name not in image.vars), None)
                if image is not None:
                    lacking[name] = image
        return lacking

    def _length(self, at: Path, prompt: Prompt) -> None:
        limit = self._card.prompt_max if self._card else None
        if limit is None:
            return
        for image in self.images:
            length = len(templates.fill(prompt.text, {**prompt.vars, **image.vars}))
            if length > limit:
                what = f'with the words of image "{image.id}" it is {length:,} characters long'
                self._say(at, f"{what}; the model takes {limit:,}")
                return

    # --- names and secrets ----------------------------------------------------------------------------

    def _output_name(self) -> None:
        template = _mapping(self._data.get("output")).get("name")
        if not isinstance(template, str):
            return
        parameters = self._card.parameters["properties"] if self._card else None
        takes = self._data.get("takes", 1)
        many = len(takes) > 1 if isinstance(takes, list) else isinstance(takes, int) and takes > 1
        for message in pathnames.problems(template, parameters, self.images, self.prompts, many_takes=many):
            self._say(("output", "name"), message)

    def _no_keys(self) -> None:
        for path, text in _texts((), self._data):
            if KEY_LIKE.search(text):
                self._say(path, KEY_FOUND)


# --- helpers ------------------------------------------------------------------------------------------


def _mapping(entry: Any) -> Mapping[str, Any]:
    return entry if isinstance(entry, Mapping) else {}


def _name_of(source: Mapping[str, Any]) -> str:
    if "file" in source:
        return slug(FilePath(source["file"]).stem)
    try:
        return slug(FilePath(unquote(urlsplit(source["url"]).path)).stem)
    except ValueError:
        return slug(source["url"])  # not a URL, which is said elsewhere


def _first_words(text: str) -> str:
    return slug(" ".join(re.sub(r"[{}]", "", text).split()[:5]))


def _no_word(name: str, image: Image, prompt: Prompt) -> str:
    has = [*image.vars, *prompt.vars]
    near = difflib.get_close_matches(name, has, n=1)
    hint = f"; did you mean {{{near[0]}}}?" if near else ""
    return f'{{{name}}} has no word for image "{image.id}": add it to its vars{hint}'


def _texts(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _texts((*path, key), one)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _texts((*path, index), one)
