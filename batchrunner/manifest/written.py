"""What was written where: one row of a list, whatever file it comes from.

A row is told in the shape of an inline entry (`id`, `url`, `vars`, `parameters` …), so that what follows
need not know whether it stands in the manifest, in a table or in a folder; only its place differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from batchrunner.errors import Problem
from batchrunner.manifest.document import Document, path_text
from batchrunner.manifest.doubts import Path

BRACES = "{}"


class Row(Protocol):
    """One entry of images, prompts, shots and so on; `told` has the shape of an inline entry."""

    @property
    def told(self) -> Mapping[str, Any]:
        """What the row says; what is empty in a table is not in it."""

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """Return a problem at the place of one of the row's parts (or of its key)."""

    @property
    def lines(self) -> Sequence[str]:
        """The lines of the file that the row's own places are in."""

    def has(self, path: Path) -> bool:
        """Tell whether a part has a place of its own in the row, if only an empty one."""

    def unsure(self, path: Path) -> bool:
        """Tell whether a part, or anything in it, was wrong as it was written, which is told."""


class Entry:
    """A row that stands in the manifest itself."""

    def __init__(self, document: Document, name: str, at: Path, told: Mapping[str, Any]) -> None:
        self._document = document
        self._name = name
        self._at = at
        self.told = told

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """Return a problem; in shots, a parameter may also stand without `parameters` around it."""
        whole = self._whole(path)
        line, column = self._document.place(whole, key=key)
        return Problem(self._name, line, column, path_text(whole), message)

    @property
    def lines(self) -> Sequence[str]:
        """The lines of the manifest."""
        return self._document.lines

    def comment(self, path: Path, message: str) -> Problem | None:
        """Return a problem at the comment that ends an unquoted text, if one does."""
        whole = self._whole(path)
        place = self._document.comments.get(whole)
        return place and Problem(self._name, *place, path_text(whole), message)

    def _whole(self, path: Path) -> Path:
        whole = (*self._at, *path)
        bare = (*self._at, *path[1:])
        if whole not in self._document.values:
            if path[:1] == ("parameters",) and len(path) > 1 and bare in self._document.values:
                whole = bare
            elif path == ("text",):
                whole = self._at  # a prompt that is nothing but its words
        return whole

    def has(self, path: Path) -> bool:
        """Tell whether it was written here."""
        return (*self._at, *path) in self._document.values

    def unsure(self, path: Path) -> bool:
        """Tell whether it is in doubt; a parameter or word may stand without its mapping around it."""
        doubts, at = self._document.doubts, self._at
        bare = path[:1] in {("parameters",), ("vars",)} and len(path) > 1 and doubts.at((*at, *path[1:]))
        return bare or doubts.at((*at, *path))


def at_brace(problem: Problem, lines: Sequence[str], text: str, index: int) -> Problem:
    """Return a problem with a text as one with the brace at an index of it.

    Nothing escapes a brace, in quotes or in blocks: as many of them come before it as in the text itself.
    """
    before = sum(text.count(brace, 0, index) for brace in BRACES)
    column = problem.column
    for number, line in enumerate(lines[problem.line - 1 :], problem.line):
        places = [place for place, char in enumerate(line, 1) if char in BRACES and place >= column]
        if before < len(places):
            return replace(problem, line=number, column=places[before])
        before, column = before - len(places), 1
    return problem
