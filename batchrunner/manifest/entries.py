"""From rows to images and prompts: pictures that are there, ids, and words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from batchrunner.cards import Card
from batchrunner.manifest.doubts import GONE, Path
from batchrunner.manifest.filling import Filling
from batchrunner.manifest.findings import Report
from batchrunner.manifest.pictures import name_in
from batchrunner.manifest.slugs import first_words, is_reserved, slug, stem, words_id
from batchrunner.manifest.sources import Sources
from batchrunner.manifest.written import Entry, Row
from batchrunner.values import NOTHING, Image, Picture, Prompt

PICTURE_KEYS = ("url", "file", "frames")


class Builder:
    """Makes frozen values of rows; reports what is wrong with them."""

    def __init__(self, folder: FilePath, card: Card | None, report: Report, sources: Sources) -> None:
        self._card = card
        self._report = report
        self._filling = Filling(folder, card, sources.read)

    @property
    def word(self) -> str:
        """What fills the model's first field, in a word."""
        return self._filling.word

    # --- images ---------------------------------------------------------------------------------------

    def image(self, row: Row) -> Image:
        """Return a row's image; without the pictures that cannot be used, and without an unknown id."""
        told = row.told
        named = [key for key in PICTURE_KEYS if key in told]
        name = told.get("id")
        pictures: tuple[Picture, ...] = ()
        if len(named) == 1:
            pictures = self.pictures(row, told)
            # The name in an address that cannot be used may be nobody's: "view", "file", nothing at all.
            name = name or (name_of(told) if pictures or named != ["url"] else None)
        elif not self._report.any_unsure(row, *PICTURE_KEYS):
            what = (
                f"has both {' and '.join(named)}: leave one empty"
                if named
                else f"has no {self.word}: give it a file or url"
            )
            for key in PICTURE_KEYS:
                self._report.doubt(row, (key,))
            self._report.say(row, (), what)
        return Image(self._id(row, name or ""), pictures, self.words(row), told.get("parameters", NOTHING))

    def _id(self, row: Row, name: str) -> str:
        """Return a row's id where it is known, else nothing; `name`: what it says, or what is usual."""
        if not name or self._report.unsure(row, ("id",)):
            self._report.doubt(row, ("id",))
            return ""
        self.not_reserved(row, name)
        return name

    def pictures(self, row: Row, told: Mapping[str, Any], at: Path = ()) -> tuple[Picture, ...]:
        """Return those pictures that can be used; `at`: where they are named, but in an image's own row."""
        sources, found = told.get("frames") or (told,), []
        if self._card is not None and len(sources) != len(self._card.image_fields):
            self._report.doubt(row, ("frames",))
            self._report.say(row, at, f"the model takes {self._card.takes_files}, not {len(sources)}")
        for number, source in enumerate(sources):
            if not _is_there(source):
                continue
            one = self._filling.picture(number, source)
            if isinstance(one, Picture):
                found.append(one)
            else:
                kind = "url" if "url" in source else "file"
                self._report.say(row, ("frames", number, kind) if "frames" in told else at or (kind,), one)
        return tuple(found)

    # --- prompts --------------------------------------------------------------------------------------

    def prompt(self, row: Row) -> Prompt:
        """Return a row's prompt."""
        told = row.told
        text = told.get("text", "")
        if not text.strip() and not self._report.any_unsure(row, "text"):
            self._report.say(row, ("text",), "must not be empty")
        name = told.get("id")
        if not name and text.strip():
            name = first_words(text) if isinstance(row, Entry) else words_id(text)
        return Prompt(self._id(row, name or ""), text, self.words(row), told.get("parameters", NOTHING))

    def words(self, row: Row) -> Mapping[str, str]:
        """Return a row's vars."""
        found: Mapping[str, str] = row.told.get("vars", NOTHING)
        for name, value in found.items():
            if not value.strip():
                self._report.say(row, ("vars", name), "is empty: an empty word would end up in a paid prompt")
        return found

    # --- reports --------------------------------------------------------------------------------------

    def not_reserved(self, row: Row, name: str, key: str = "id") -> None:
        """Report a name that no file may have."""
        said = reserved(name)
        if said is not None:
            self._report.add(row.problem((key,), said))


def reserved(name: str) -> str | None:
    """Return why a name cannot be that of a file, if so."""
    if is_reserved(name):
        return f'"{name}" is a name that Windows keeps for itself: choose another'
    return f'"{name}" must not end with a dot' if name.endswith(".") else None


def _is_there(source: Any) -> bool:
    """Tell whether anything is left of one of several pictures."""
    return source is not GONE and ("url" in source or "file" in source)


def name_of(told: Mapping[str, Any]) -> str:
    """Return the name of a picture, of several that of the first; nothing: there is none."""
    source = told["frames"][0] if told.get("frames") else told
    if not _is_there(source):
        return ""
    if "file" in source:
        return slug(stem(source["file"]))
    try:
        return slug(name_in(source["url"]))
    except ValueError:
        return slug(source["url"])  # not a URL, which is said elsewhere
