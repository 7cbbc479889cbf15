"""The words of prompts: every {var} has one, and none gets too long. By value, not by pair.

What a prompt lacks depends on the names it has and on which image lacks them, so each name is looked up
once; and only a prompt that could get too long with the longest words is held against every image.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from batchrunner.errors import Problem
from batchrunner.manifest import templates
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.slugs import is_made_up
from batchrunner.manifest.tables import TableRow
from batchrunner.manifest.templates import TemplateError
from batchrunner.manifest.written import Entry, Report, Row
from batchrunner.values import NO_IMAGE, NOTHING, Image, Prompt, Shot

URL_SHOWN = 60  # characters of an address in a message about its picture
Rows = Sequence[tuple[Image, Row]]


class Wording:
    """Checks the prompts of a manifest; `limit`: the model's, in characters."""

    def __init__(self, images: Rows, limit: int | None, report: Report) -> None:
        self._images = images
        self._limit = limit
        self._report = report
        self._lacking: dict[str, tuple[Image, Row] | None] = {}
        self._longest: dict[str, int] = {}
        self._said: set[tuple[int, str]] = set()
        self._broken: set[str] = set()
        self.used: set[str] = set()  # the names in any prompt

    def prompt(self, prompt: Prompt, row: Row) -> None:
        """Check a prompt of the product, with every image."""
        wanted = self._names(prompt.text, row)
        if wanted is None:
            return
        for name in wanted:
            if name in prompt.vars or self._report.unsure(row, ("vars", name)):
                continue
            if (lacks := self._image_without(name)) is not None:
                self._report.doubt(row, ("words",))
                self._lacks(name, *lacks, prompt, row)
        self._length(prompt, row, wanted)

    def shot(self, shot: Shot, row: Row) -> None:
        """Check a shot's words; those of a listed prompt were checked for their braces where they stand."""
        wanted = self._names(shot.prompt.text, row)
        words = {**shot.prompt.vars, **shot.image.vars, **shot.vars} if wanted else NOTHING
        lacking = [name for name in wanted or () if name not in words]
        if lacking or wanted is None:
            self._report.doubt(row, ("words",))
        for name in lacking:
            if self._report.unsure(row, ("vars", name)):
                continue
            if row.has(("vars", name)):
                what = f"is empty: {{{name}}} would be an empty word in a paid prompt"
                self._report.add(row.problem(("vars", name), what))
            else:
                what = f"{{{name}}} has no word here{_hint(name, words)}"
                self._report.add(_at_token(row, f"{{{name}}}", what))
        if wanted is not None and not lacking and self._limit is not None:
            length = len(templates.fill(shot.prompt.text, words))
            if length > self._limit:
                what = f"with its words it is {length:,} characters long; the model takes {self._limit:,}"
                self._report.add(row.problem(_words_place(row), what))

    def _names(self, text: str, row: Row) -> tuple[str, ...] | None:
        try:
            wanted = templates.names(text)
        except TemplateError as error:
            if text not in self._broken:  # once, though many shots name it
                self._broken.add(text)
                self._report.add(_at_token(row, error.token, str(error)))
            self._report.doubt(row, ("words",))
            self.used.update(templates.likely_names(text))
            return None
        self.used.update(wanted)
        return wanted

    def _image_without(self, name: str) -> tuple[Image, Row] | None:
        if name not in self._lacking:
            self._lacking[name] = next(
                (
                    (image, row)
                    for image, row in self._images
                    if name not in image.vars and not self._report.unsure(row, ("vars", name))
                ),
                None,
            )
        return self._lacking[name]

    def _lacks(self, name: str, image: Image, at: Row, prompt: Prompt, row: Row) -> None:
        """Report a name without a word: at the empty cells, else at the prompt."""
        if image is NO_IMAGE:
            path, what = _no_word(name, prompt, row)
            problem = row.problem(path, what) if path[0] == "vars" else _at_token(row, f"{{{name}}}", what)
            self._report.add(problem)
            return
        if isinstance(at, Entry) or not at.has(("vars", name)):
            has = {**image.vars, **prompt.vars}
            where = (
                f"add a column for it to {at.table.file.name}"
                if isinstance(at, TableRow)
                else "add it to its vars"
            )
            what = f"{{{name}}} has no word for {_whose(image, at)}: {where}{_hint(name, has)}"
            self._report.add(_at_token(row, f"{{{name}}}", what))
            return
        for one, there in self._images:
            unsure = self._report.unsure(there, ("vars", name))
            if name not in one.vars and not unsure and (id(there), name) not in self._said:
                self._said.add((id(there), name))
                place = ("vars", name) if there.has(("vars", name)) else ()
                what = f'is empty: {{{name}}} of prompt "{prompt.id}" needs a word'
                if not place:
                    what = f'{{{name}}} of prompt "{prompt.id}" has no word for {_whose(one, there)}'
                self._report.add(there.problem(place, what))

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


def _at_token(row: Row, token: str, what: str) -> Problem:
    """Return a problem with what stands in braces in a prompt, as near to it as can be told."""
    place = _words_place(row)
    return row.problem_at(place, token, what) if isinstance(row, Entry) else row.problem(place, what)


def _hint(name: str, words: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, list(words), n=1)
    return f"; did you mean {{{near[0]}}}?" if near else ""
