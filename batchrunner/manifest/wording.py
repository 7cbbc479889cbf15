"""The words of prompts: every {var} has one, and none gets too long. By value, not by pair.

What a prompt lacks depends on the names it has and on which image lacks them, so each name is looked up
once; and only a prompt that could get too long with the longest words is held against every image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batchrunner.errors import Problem
from batchrunner.manifest import templates
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.findings import Report
from batchrunner.manifest.slugs import is_made_up
from batchrunner.manifest.tables import TableRow
from batchrunner.manifest.templates import TemplateError
from batchrunner.manifest.written import Entry, Row, at_brace
from batchrunner.nearest import nearest
from batchrunner.values import NO_IMAGE, NOTHING, Image, Prompt, Shot

URL_SHOWN = 60  # characters of an address in a message about its picture
Rows = Sequence[tuple[Image, Row]]


class Wording:
    """Checks the prompts of a manifest; `limit`: the model's, in characters."""

    def __init__(self, images: Rows, limit: int | None, report: Report) -> None:
        self._images = images
        self._limit = limit
        self._report = report
        self._lacking: dict[str, tuple[Rows, Rows]] = {}
        self._longest: dict[str, int] = {}
        self._said: set[tuple[int, str]] = set()
        self._broken: set[str] = set()
        self.used: set[str] = set()  # the names in any prompt

    def prompt(self, prompt: Prompt, row: Row) -> None:
        """Check a prompt of the product, with every image."""
        wanted, sound = self._names(prompt.text, row)
        for name in wanted:
            if name in prompt.vars or self._report.unsure(row, ("vars", name)):
                continue
            if any(lacking := self._images_without(name)):
                self._report.doubt(row, ("words",))
                self._lacks(name, *lacking, prompt, row)
        if sound:
            self._length(prompt, row, wanted)

    def shot(self, shot: Shot, row: Row) -> None:
        """Check a shot's words; those of a listed prompt were checked for their braces where they stand."""
        wanted, sound = self._names(shot.prompt.text, row)
        words = {**shot.prompt.vars, **shot.image.vars, **shot.vars} if wanted else NOTHING
        lacking = [name for name in wanted if name not in words]
        if lacking or not sound:
            self._report.doubt(row, ("words",))
        for name in lacking:
            if self._report.unsure(row, ("vars", name)):
                continue
            if row.has(("vars", name)):
                what = f"is empty: {{{name}}} would be an empty word in a paid prompt"
                self._report.add(row.problem(("vars", name), what))
            else:
                what = f"{{{name}}} has no word here{_hint(name, words)}"
                self._report.add(_at_name(row, shot.prompt.text, name, what))
        if sound and not lacking and self._limit is not None:
            length = len(templates.fill(shot.prompt.text, words))
            if length > self._limit:
                what = f"with its words it is {length:,} characters long; the model takes {self._limit:,}"
                self._report.add(row.problem(_words_place(row), what))

    def _names(self, text: str, row: Row) -> tuple[tuple[str, ...], bool]:
        """Return the names in a text, and whether nothing else in it is wrong, which is told."""
        try:
            wanted = templates.names(text)
        except TemplateError as error:
            if text not in self._broken:  # once, though many shots name it
                self._broken.add(text)
                for index, what in error.faults:
                    self._report.add(_at(row, text, index, what))
            self._report.doubt(row, ("words",))
            self.used.update(templates.likely_names(text))
            return error.names, False
        self.used.update(wanted)
        return wanted, True

    def _images_without(self, name: str) -> tuple[Rows, Rows]:
        """Return the images that lack a word: those without a place for it, and those with an empty cell."""
        if name not in self._lacking:
            bare, empty = list[tuple[Image, Row]](), list[tuple[Image, Row]]()
            for image, row in self._images:
                if name not in image.vars and not self._report.unsure(row, ("vars", name)):
                    has_cell = row.has(("vars", name)) and not isinstance(row, Entry)
                    (empty if has_cell else bare).append((image, row))
            self._lacking[name] = bare, empty
        return self._lacking[name]

    def _lacks(self, name: str, bare: Rows, empty: Rows, prompt: Prompt, row: Row) -> None:
        """Report a name without a word: at each empty cell, and for all other images at the prompt."""
        for _image, there in empty:
            if (id(there), name) not in self._said:
                self._said.add((id(there), name))
                what = f'is empty: {{{name}}} of prompt "{prompt.id}" needs a word'
                self._report.add(there.problem(("vars", name), what))
        if not bare:
            return
        image, at = bare[0]
        if image is NO_IMAGE:
            path, what = _no_word(name, prompt, row)
            if path[0] == "vars":
                self._report.add(row.problem(path, what))
            else:
                self._report.add(_at_name(row, prompt.text, name, what))
            return
        has, more = {**image.vars, **prompt.vars}, len(bare) - 1
        where = f"add it to {'their' if more else 'its'} vars"
        if isinstance(at, TableRow):
            where = f"add a column for it to {at.table.file.name}"
        whose = _whose(image, at)
        whose += f", nor for {more:,} more" if more else ""
        what = f"{{{name}}} has no word for {whose}: {where}{_hint(name, has)}"
        self._report.add(_at_name(row, prompt.text, name, what))

    def _length(self, prompt: Prompt, row: Row, wanted: Sequence[str]) -> None:
        if self._limit is None or self._at_most(prompt) <= self._limit:
            return
        for image, _at in self._images:
            if any(name not in image.vars and name not in prompt.vars for name in wanted):
                continue
            length = len(templates.fill(prompt.text, {**prompt.vars, **image.vars}))
            if length > self._limit:
                whose = f'the words of image "{image.id}"' if image.id else "its words"
                what = f"with {whose} it is {length:,} characters long"
                self._report.add(row.problem(("text",), f"{what}; the model takes {self._limit:,}"))
                return

    def _at_most(self, prompt: Prompt) -> int:
        return sum(
            len(literal) + (max(self._longest_word(name), len(prompt.vars.get(name, ""))) if name else 0)
            for literal, name in templates.parts(prompt.text)
        )

    def _longest_word(self, name: str) -> int:
        if name not in self._longest:
            words = (len(image.vars[name]) for image, _row in self._images if name in image.vars)
            self._longest[name] = max(words, default=0)
        return self._longest[name]


def _no_word(name: str, prompt: Prompt, row: Row) -> tuple[Path, str]:
    """Return what a prompt that has no image beside it lacks, and where."""
    if row.has(("vars", name)):
        return ("vars", name), f"is empty: {{{name}}} would be an empty word in a paid prompt"
    where = (
        f"add a column for it to {row.table.file.name}" if isinstance(row, TableRow) else "add it to its vars"
    )
    return ("text",), f"{{{name}}} has no word: {where}{_hint(name, prompt.vars)}"


def _whose(image: Image, at: Row) -> str:
    """Return an image as its own line would be recognised: ids that are made of nothing say nothing."""
    url = at.told.get("url")
    shown = f" ({url if len(url) <= URL_SHOWN else url[:URL_SHOWN] + '…'})" if isinstance(url, str) else ""
    if not image.id:
        return f"the image in line {at.problem((), '').line}{shown}"
    return f'image "{image.id}"{shown if is_made_up(image.id) and "id" not in at.told else ""}'


def _words_place(row: Row) -> tuple[str, ...]:
    return ("prompt",) if "prompt" in row.told else ("text",)


def _at_name(row: Row, text: str, name: str, what: str) -> Problem:
    return _at(row, text, templates.index(text, name), what)


def _at(row: Row, text: str, index: int, what: str) -> Problem:
    """Return a problem with a brace in a prompt: there, unless the row only names the prompt."""
    place = _words_place(row)
    problem = row.problem(place, what)
    return at_brace(problem, row.lines, text, index) if row.told.get(place[0]) == text else problem


def _hint(name: str, words: Mapping[str, str]) -> str:
    near = nearest(name, words)
    return f"; did you mean {{{near}}}?" if near else ""
