"""What was written where: one row of a list, whatever file it comes from, and the report of what is wrong.

A row is told in the shape of an inline entry (`id`, `url`, `vars`, `parameters` …), so that what follows
need not know whether it stands in the manifest, in a table or in a folder; only its place differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from batchrunner.errors import ManifestError, Problem
from batchrunner.manifest.characters import PROBLEMS_MAX
from batchrunner.manifest.document import Document, path_text
from batchrunner.manifest.doubts import Doubts, Path
from batchrunner.manifest.unknown import ANYTHING, Unknown
from batchrunner.values import Payload

BRACES = "{}"
SOMETHING: Path = ("",)  # no part of a row, yet not nothing


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


class Report:
    """All that is wrong so far, and what of the rows is in doubt because of it."""

    def __init__(self, written: Doubts) -> None:
        self.problems: list[Problem] = []
        self._written = written  # the doubts of the manifest itself
        self.doubtful = bool(written)  # anything at all: else 100,000 rows need not be asked
        self.tables: list[Any] = []  # every `Table`, also of which no row can be used
        self.lost: set[str] = set()  # sections of which some rows cannot be read
        self._parts: dict[str, dict[str, None]] = {}  # the same, and where those rows stand
        self.spare: list[tuple[Payload, Row, Path]] = []  # parameters told a second time, and at what path
        self.unfound: dict[str, list[str]] = {}  # by section, the patterns that find nothing
        self.strangers: set[tuple[str, str]] = set()  # `image` or `prompt`, and a name that nobody has
        # What is in doubt of a row, by identity: not every row has a hash.
        self._doubts: dict[int, tuple[Row, frozenset[Path]]] = {}
        self._alike: dict[
            frozenset[Path], tuple[frozenset[Path], Doubts]
        ] = {}  # 100,000 rows may be, by one cause
        self._brought: dict[int, list[Row]] = {}  # rows in doubt whose words and parameters others have too

    def say(self, row: Row, path: Path, message: str, *, key: bool = False) -> None:
        """Take in what is wrong with a part of a row, which is in doubt from now on.

        Raises:
            ManifestError: there is too much wrong to go on.
        """
        self.doubt(row, path or SOMETHING)
        self.add(row.problem(path, message, key=key))

    def doubt(self, row: Row, path: Path) -> None:
        """Take note that a part of a row is wrong, or depends on what is."""
        self.doubtful = True
        _row, known = self._doubts.get(id(row), (row, frozenset()))
        if (paths := known | {path}) not in self._alike:
            self._alike[paths] = paths, Doubts()
            for one in paths:
                self._alike[paths][1].whole(one)
        self._doubts[id(row)] = row, self._alike[paths][0]

    def unsure(self, row: Row, path: Path) -> bool:
        """Tell whether a part of a row, or anything in it, is in doubt."""
        if not self.doubtful:
            return False
        own = self._doubts.get(id(row))
        if row.unsure(path) or (own is not None and self._alike[own[1]][1].at(path)):
            return True
        brought = self._brought.get(id(row), ()) if path and path[0] in {"vars", "parameters"} else ()
        return any(self.unsure(one, path) for one in brought)

    def any_unsure(self, row: Row, *keys: str) -> bool:
        """Tell whether any of some parts of a row is in doubt."""
        return any(self.unsure(row, (key,)) for key in keys)

    def bring(self, row: Row, listed: Row) -> None:
        """Take note that a row has the words and parameters of a listed one, which is in doubt."""
        self._brought.setdefault(id(row), []).append(listed)

    def all_sure(self, section: str, rows: Iterable[tuple[object, Row]], *paths: Path) -> bool:
        """Tell whether all rows of a section are there, and of each some parts are not in doubt."""
        there = self.is_there(section) and section not in self.unfound
        there = there and not any(self._may_hold(section, path) for path in paths or ((),))
        if not there or not self.doubtful:
            return there
        return not any(self.unsure(row, path) for _one, row in rows for path in paths)

    def lose(self, section: str, text: str) -> None:
        """Take note that a row of a section cannot be read, and of all that may stand in it."""
        self._parts.setdefault(section, {})[text] = None

    def unknown(self, section: str, rows: Iterable[tuple[object, Row]], key: str) -> Unknown:
        """Return what may stand in those rows of a section of which an id, or what names one, is in doubt."""
        if self.all_sure(section, rows := list(rows), (key,)):
            return Unknown()
        if section in self.unfound or not self.is_there(section):
            return ANYTHING
        texts = [*self._parts.get(section, ())]
        for row in [row for _one, row in rows if self.unsure(row, (key,))]:
            told = row.told.get(key)
            if key == "id" or row.unsure((key,)) or not isinstance(told, str):
                return ANYTHING
            texts.append(told)
        return Unknown(tuple(texts))

    def _may_hold(self, section: str, path: Path) -> bool:
        """Tell whether a row that cannot be read may have a part: a parameter only where its name stands."""
        texts = self._parts.get(section, ())
        if path[:1] == ("parameters",) and len(path) > 1:
            return any(str(path[1]) in one for one in texts)
        return bool(texts)

    def is_there(self, section: str) -> bool:
        """Tell whether all rows of a section are there, but for what patterns should have found."""
        return section not in self.lost and not self._written.itself((section,))

    def add(self, problem: Problem) -> None:
        """Take a problem in.

        Raises:
            ManifestError: there is too much wrong to go on.
        """
        self.problems.append(problem)
        if len(self.problems) >= PROBLEMS_MAX:
            raise ManifestError(list(dict.fromkeys(self.problems)))
