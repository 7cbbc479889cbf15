"""A table that a manifest names, csv or jsonl: what its columns mean, and its rows as inline entries.

A cell that is empty says nothing. What does not fit is refused with its line, for a row that slipped by
one cell would be paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from batchrunner.cards import Card
from batchrunner.errors import Problem
from batchrunner.manifest.characters import Place
from batchrunner.manifest.columns import ColumnError, meaning
from batchrunner.manifest.doubts import GONE, Doubts, Path
from batchrunner.manifest.findings import Report
from batchrunner.manifest.textfile import TextFile
from batchrunner.manifest.written import Entry

SPARE = "spare"  # stands before the name of a column whose parameter has another one already

Locate = Callable[[int, str], Place]  # from the line that a row begins in, and a column, to the cell

# From a line and what a cell means to what it is called there: rows may have names of their own.
Named = Callable[[int, Path], str | None]


class Table:
    """One table: what its columns mean, and where its cells stand."""

    def __init__(
        self,
        file: TextFile,
        section: str,
        card: Card | None,
        entry: Entry,
        report: Report,
        locate: Locate,
        named: Named | None = None,
    ) -> None:
        self.file = file
        self.section = section
        self.card = card
        self.entry = entry  # what names the table; its vars and parameters hold for every row
        self.columns: dict[Path, str] = {}  # names by meaning
        self.headers: dict[Path, Place] = {}
        self.doubts = Doubts()  # of every row
        self.lacks = False  # a column that every row needs
        self._spare: dict[Path, Path] = {}  # second columns, and what the first ones mean
        self._report = report
        report.tables.append(self)
        self._locate = locate
        self._named = named
        self.usual = {kind: entry.told[kind] for kind in ("vars", "parameters") if entry.told.get(kind)}

    def add_column(self, name: str, place: Place) -> Path | None:
        """Return what a column means; None: it is not read. What is wrong with it is reported."""
        path = self.meaning_of(name, place)
        if path is None:
            return None
        if path in self.columns:
            said = f'the columns "{self.columns[path]}" and "{name}" say the same: leave one out'
            self.say_column(place, name, said, path)
            return self.spare(path, name) if path[0] == "parameters" else None
        self.columns[path], self.headers[path] = name, place
        return path

    def spare(self, path: Path, name: str) -> Path:
        """Return what a second column for a parameter means: its values are checked too, and not used."""
        found = (SPARE, name)
        self.columns[found], self._spare[found] = name, path
        return found

    def meaning_of(self, name: str, place: Place) -> Path | None:
        """Return what a name means; None: it is not read. What is wrong with it is reported."""
        try:
            path = meaning(self.section, name, self.card)
        except ColumnError as error:
            self.say_column(place, name, str(error), ("vars",), ("parameters",))
            return None
        return path if path is not None and self._is_parameter(path, name, place) else None

    def _is_parameter(self, path: Path, name: str, place: Place) -> bool:
        if path[0] != "parameters" or self.card is None or path[1] in self.card.parameters["properties"]:
            return True
        for _names, message in self.card.check({**self.card.defaults, str(path[1]): ""}):
            self.say_column(place, name, message, ("parameters",))
        return False

    def lack(self, place: Place, message: str, needed: Iterable[str]) -> None:
        """Report that a column is missing which every row needs: its rows are read for all else they say."""
        self.lacks = True
        self.say_column(place, "", message, *((name,) for name in needed))

    def say_column(self, place: Place, name: str, message: str, *paths: Path) -> None:
        """Report a column that is not read: what it may mean is in doubt in every row."""
        for path in paths:
            self.doubts.whole(path)
            self._report.doubtful = True
        self._report.add(Problem(self.file.name, *place, name, message))

    def rule(self, path: Path) -> Mapping[str, Any] | None:
        """Return the card's rule for a parameter's column."""
        path = self._spare.get(path, path)
        if self.card is None or path[0] != "parameters":
            return None
        found: Mapping[str, Any] | None = self.card.parameters["properties"].get(path[1])
        return found

    def say(self, place: Place, path: str, message: str, text: str | None = None) -> None:
        """Report a problem in this file because of which a row is not read; `text`: all that stands in it."""
        text = self.file.text if text is None else text
        self._report.lose(self.section, f"{text}\n{self.usual}" if self.usual else text)
        self._report.add(Problem(self.file.name, *place, path, message))

    def row(self, line: int, cells: Mapping[Path, Any], wrong: Mapping[Path, str]) -> TableRow:
        """Return a row in the shape of an inline entry; what the table's entry says lies below it.

        `wrong`: what is to be said of cells that cannot be used.
        """
        frames = {path: GONE for path in wrong if path[0] == "frames"}  # the others keep their numbers
        told = self._told({**cells, **frames} if frames else cells)
        spare = told.pop(SPARE, {})
        row = TableRow(self, line, told)
        for name, value in spare.items():
            parameter = str(self._spare[SPARE, name][1])
            self._report.spare.append(({parameter: value}, row, (SPARE, name)))
        for path, message in wrong.items():
            self._report.say(row, path, message)
        return row

    def _told(self, cells: Mapping[Path, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {kind: dict(usual) for kind, usual in self.usual.items()}
        for path, value in cells.items():
            if len(path) == 1:
                found[str(path[0])] = value
            elif path[0] == "frames":
                found.setdefault("frames", []).append((path[1], value))
            else:
                found.setdefault(str(path[0]), {})[path[1]] = value
        if "frames" in found:
            found["frames"] = [value for _index, value in sorted(found["frames"], key=lambda one: one[0])]
        return found

    def place(self, line: int, path: Path) -> tuple[Place, str]:
        """Return where a row's cell stands, and its column's name; the row's begin, where it has none."""
        name = self._named(line, path) if self._named is not None else None
        if name is None:
            name = next((self.columns[path[:end]] for end in (2, 1) if path[:end] in self.columns), None)
        return (self._locate(line, name), name) if name is not None else ((line, 1), "")


class TableRow(NamedTuple):
    """One row; `line` is where it begins."""

    table: Table
    line: int
    told: Mapping[str, Any]

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """Return a problem at the row's cell; what only the table's entry says is told there."""
        if path and path not in self.table.columns and self.table.entry.has(path):
            return self.table.entry.problem(path, message, key=key)
        place, name = self.table.place(self.line, path)
        return Problem(self.table.file.name, *place, name, message)

    @property
    def lines(self) -> Sequence[str]:
        """The lines of the table."""
        return self.table.file.lines

    def has(self, path: Path) -> bool:
        """Tell whether the table has the column."""
        return path in self.table.columns

    def unsure(self, path: Path) -> bool:
        """Tell whether a column, or what the table's entry says for all its rows, is in doubt."""
        if self.table.doubts.at(path):
            return True
        kinds = [kind for kind in ("vars", "parameters") if not path or path[0] == kind]
        return any(self.table.entry.unsure(path or (kind,)) for kind in kinds)
