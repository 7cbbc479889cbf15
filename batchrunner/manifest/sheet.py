"""The records of a csv file and where they stand: nothing of what their cells mean."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Set
from functools import cached_property
from itertools import islice

from batchrunner.errors import Problem
from batchrunner.manifest.characters import Place
from batchrunner.manifest.columns import ROW_FIRST, is_row
from batchrunner.manifest.header import INVISIBLE, find_header, listed
from batchrunner.manifest.textfile import ContentError, TextFile

CELL_MAX = 1 << 20
HEADER_MAX = 2  # the line that the header begins in; below it, all lines are kept for the next problem
RECORD_LINES = 50  # of a row that is looked at again
NAMELESS = "a column without a name: name it, or call it #note and it is not read"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_QUOTES = 'a quote inside a quoted text is written twice: "so ""it"" is"'


class Sheet:
    """The records of one file, each with the line that it begins in; the first one is the header."""

    def __init__(self, file: TextFile, known: Set[str], usual: str | None) -> None:
        self._file, self._known = file, known
        header = find_header(file.text, known)
        self.separator = header.separator
        self._skipped = header.skipped
        if header.wrong is not None and usual is not None:
            raise self.error(1, header.wrong)
        self.records = self.all_records()
        self.header_line, names = next(self.records, (1, []))
        self.names = [name.strip(INVISIBLE).strip() for name in names]
        while self.names and not self.names[-1]:
            self.names.pop()
        if not self.names:
            whole = "is empty" if not self._file.text.strip() else "begins with an empty line: delete it"
            raise self.error(1, f"{whole}; the first line names the columns")
        plain = [name.casefold() for name in self.names]
        firsts = {name: index for index, name in reversed([*enumerate(plain)])}
        self.faults = {  # columns that are not read, by number
            index: _column_twice(name) if name else NAMELESS
            for index, name in enumerate(self.names)
            if not name or firsts[plain[index]] < index
        }
        self.strange = known.isdisjoint(plain)
        if self.strange and usual is not None:
            for index, what in self.faults.items():
                raise self.error(self.header_line, what, index)
            if is_row(self.names):
                raise self.error(self.header_line, f"{ROW_FIRST}; put one above it, such as {usual}")

    def listed(self) -> str:
        """Return what columns there are, in words."""
        return listed(self.names, self.separator, self._known)

    def record(self, line: int) -> str:
        """Return the text of the record that begins in a line, and some more."""
        return "".join(self._lines[line - 1 : line - 1 + RECORD_LINES])

    def error(self, line: int, message: str, index: int = 0) -> ContentError:
        """Return what ends the reading."""
        return ContentError(Problem(self._file.name, *self.place(line, index), "", message))

    def locate(self, line: int, name: str) -> Place:
        """Return where the cell of a column begins, in the record that begins in a line."""
        return self.place(line, self.names.index(name))

    def all_records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield every record, the header first.

        Raises:
            ContentError: from a line on it is no csv.
        """
        lines = io.StringIO(self._file.text, newline="")
        for _ in range(self._skipped):
            next(lines)
        csv.field_size_limit(CELL_MAX)
        reader = csv.reader(lines, delimiter=self.separator, strict=True)
        begin = 1 + self._skipped
        returns = "\r" in self._file.text
        try:
            for cells in reader:
                line, begin = begin, reader.line_num + 1 + self._skipped
                bare = list(map(str.strip, cells))
                yield line, [_one_form(cell) for cell in bare] if returns else bare
        except csv.Error as error:
            raise self.error(begin, _broken(str(error))) from error

    def header_places(self) -> list[Place]:
        """Return where each name of a column begins."""
        return list(islice(self._places(self.header_line), len(self.names)))

    def place(self, line: int, index: int) -> Place:
        """Return where a cell begins, in the record that begins in a line."""
        return next(islice(self._places(line), index, None), (line, 1))

    def _places(self, line: int) -> Iterator[Place]:
        """Walk from cell to cell: only problems ask for it, and the header for itself."""
        quoted = False
        first = (match[0] for match in _LINE.finditer(self._file.text))  # no more of them than are looked at
        lines = first if line <= HEADER_MAX else self._lines
        yield line, 1
        for number, row in enumerate(islice(lines, line - 1, None), line):
            for column, char in enumerate(row, 2):
                quoted ^= char == '"'
                if char == self.separator and not quoted:
                    yield number, column

    @cached_property
    def _lines(self) -> list[str]:
        return _LINE.findall(self._file.text)


def _one_form(cell: str) -> str:
    return cell.replace("\r\n", "\n").replace("\r", "\n") if "\r" in cell else cell


def _column_twice(name: str) -> str:
    return f'the column "{name}" is there twice, large and small letters being one: rename it or leave it out'


def _broken(said: str) -> str:
    if "unexpected end of data" in said:
        return f"a quote that opens in this row is never closed; {_QUOTES}"
    if "expected after" in said:
        return f"a quoted text goes on after its quote has ended; {_QUOTES}"
    if "field larger" in said:
        return f"a cell of more than {CELL_MAX:,} characters: a quote is never closed"
    return f"not csv: {said}"
