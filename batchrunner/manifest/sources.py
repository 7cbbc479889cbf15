"""From the entries of a list to its rows: what stands there, or the file, folder or table that is named."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from batchrunner.cards import Card
from batchrunner.errors import Problem
from batchrunner.manifest.csvread import csv_rows
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.findings import Report
from batchrunner.manifest.folder import GlobError, find
from batchrunner.manifest.header import names_columns
from batchrunner.manifest.jsonread import json_rows
from batchrunner.manifest.slugs import slug, stem
from batchrunner.manifest.textfile import ContentError, SourceError, TextFile, read_text
from batchrunner.manifest.written import Entry, Row

KINDS = ("csv", "jsonl", "lines", "glob")
_WITH_ROWS = frozenset({"vars", "parameters"})  # what an entry may say for all its rows
_READERS = {"csv": csv_rows, "jsonl": json_rows}


class _FoundRow:
    """A row that an entry stands for, which may say words and parameters for all of them."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def has(self, path: Path) -> bool:
        """Tell whether the entry says it."""
        return self._entry.has(path)

    def unsure(self, path: Path) -> bool:
        """Tell whether what the entry says for all its rows is in doubt."""
        return any(self._entry.unsure(path or (kind,)) for kind in _WITH_ROWS if not path or path[0] == kind)

    def _is_of_entry(self, path: Path) -> bool:
        return path[:1] in {("vars",), ("parameters",)} and self._entry.has(path)


class FileRow(_FoundRow):
    """A picture that a pattern found."""

    def __init__(self, entry: Entry, file: str) -> None:
        super().__init__(entry)
        self.file = file
        name = unicodedata.normalize("NFC", stem(file))
        self.told: Mapping[str, Any] = {**_usual(entry), "file": file, "id": slug(name)}

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """Return a problem at the pattern, or at what its entry says for all its files."""
        if self._is_of_entry(path):
            return self._entry.problem(path, message, key=key)
        if path == ("file",):
            return self._entry.problem(("glob",), f"{message}; mend it, or let the pattern leave it out")
        return self._entry.problem(("glob",), f"{self.file}: {message}")

    @property
    def lines(self) -> Sequence[str]:
        """The lines of the manifest."""
        return self._entry.lines


class LineRow(_FoundRow):
    """A prompt on a line of its own."""

    def __init__(self, file: TextFile, line: int, text: str, entry: Entry) -> None:
        super().__init__(entry)
        self._file = file
        self._line = line
        self.told: Mapping[str, Any] = {**_usual(entry), "text": text}

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """Return a problem at the line, or at what its entry says for all of them."""
        if self._is_of_entry(path):
            return self._entry.problem(path, message, key=key)
        return Problem(self._file.name, self._line, 1, "", message)

    @property
    def lines(self) -> Sequence[str]:
        """The lines of the text file."""
        return self._file.lines


class Sources:
    """Reads what entries name, and keeps what it read in mind: it is part of what the manifest says."""

    def __init__(self, folder: FilePath, card: Card | None, report: Report) -> None:
        self._folder = folder
        self._card = card
        self._report = report
        self.read: list[tuple[str, str]] = []  # path as told, and the hash of the bytes
        self.tables: list[tuple[str, str, str]] = []  # of these, those that rows were taken from; kind, too
        self.texts: list[str] = []  # what these say
        self.unread: set[str] = set()  # sections of which some rows are in files that nobody could read

    def rows(self, section: str, entry: Entry) -> Iterator[Row]:
        """Yield an entry's rows: itself, or those of what it names. What is wrong is reported."""
        kind = next((kind for kind in KINDS if kind in entry.told), None)
        if kind is None:
            if "id" not in entry.told and any(entry.unsure((one,)) for one in KINDS):
                self.unread.add(section)
                self._report.lost.add(section)  # it may have named rows, and meant all of it for them
                self._report.doubt(entry, ())
            yield entry
            return
        for key in entry.told:
            if key not in {kind, *_WITH_ROWS}:
                what = f"does not go with `{kind}`: only vars and parameters hold for all its rows"
                if key == "takes":
                    what += "; give it a column of that name, or set the manifest's own `takes`"
                self._report.add(entry.problem((key,), what, key=True))
        count, before = 0, len(self._report.problems)
        try:
            for row in self._named(section, kind, entry):
                count += 1
                yield row
        except GlobError as error:
            self._report.unfound.setdefault(section, []).append(entry.told[kind])
            self._report.add(entry.problem((kind,), str(error)))
        except SourceError as error:
            self._report.lost.add(section)
            self._report.add(entry.problem((kind,), str(error)))
        except ContentError as error:
            self._report.lost.add(section)
            self._report.add(error.problem)
        else:
            if not count:
                self._report.lost.add(section)
            if not count and len(self._report.problems) == before:
                below = " below the line that names the columns" if kind == "csv" else ""
                self._report.add(
                    entry.problem((kind,), f"has no rows{below}: nothing but blank lines, if any")
                )

    def _named(self, section: str, kind: str, entry: Entry) -> Iterator[Row]:
        told = entry.told[kind]
        if kind == "glob":
            usual = "mp4" if self._card is not None and self._card.videos else "png"
            yield from (FileRow(entry, file) for file in find(told, self._folder, usual))
            return
        try:
            file = read_text(self._folder / told, kind)
        except (SourceError, ContentError):
            self.unread.add(section)
            raise
        self.texts.append(file.text)
        self.tables.append((told, file.sha256, kind))
        self.read.append((told, file.sha256))
        if kind == "lines":
            yield from self._lines(file, entry)
        else:
            yield from _READERS[kind](file, section, self._card, entry, self._report)

    def _lines(self, file: TextFile, entry: Entry) -> Iterator[LineRow]:
        if names_columns(file.text):
            what = "this line names columns, and here each line is a paid prompt: name the file under `csv:`"
            raise ContentError(Problem(file.name, 1, 1, "", what))
        for line, text in enumerate(io.StringIO(file.text, newline=None), 1):
            if text.lstrip().startswith("#"):
                what = "begins with #: a note does not stand here, for each line is a paid prompt"
                what += " (a prompt that begins so goes into a csv)"
                self._report.lose("prompts", text)
                self._report.add(Problem(file.name, line, 1, "", what))
            elif text.strip():
                yield LineRow(file, line, text.strip(), entry)


def _usual(entry: Entry) -> dict[str, Any]:
    return {key: entry.told[key] for key in _WITH_ROWS if key in entry.told}


def also(first: Row, second: Row) -> str:
    """Return where the first of two rows is, in words for a problem at the second."""
    if isinstance(first, FileRow):
        return first.file
    one, other = first.problem((), ""), second.problem((), "")
    same = one.file == other.file and not isinstance(second, FileRow)
    return f"in line {one.line}" if same else f"in {one.file}:{one.line}"
