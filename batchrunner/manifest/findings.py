"""All that is wrong with a manifest so far, and what of its rows is in doubt because of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from batchrunner.errors import ManifestError, Problem
from batchrunner.manifest.characters import PROBLEMS_MAX
from batchrunner.manifest.doubts import Doubts, Path
from batchrunner.manifest.unknown import ANYTHING, Unknown
from batchrunner.manifest.written import Row
from batchrunner.values import Payload

SOMETHING: Path = ("",)  # no part of a row, yet not nothing


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
        # The doubts of all rows that have the same ones: 100,000 may, by one cause.
        self._alike: dict[frozenset[Path], tuple[frozenset[Path], Doubts]] = {}
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
