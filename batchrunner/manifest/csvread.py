"""Csv as spreadsheets export it: one header line, then one row a record.

What separates the cells is read off the header line by a plain rule: a tab if there is one, else a
semicolon if there is one, else a comma. Rows that are empty altogether are passed over, as are empty
columns at the end; a row with more or fewer cells than the header is refused.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from typing import Any

from batchrunner.cards import Card
from batchrunner.errors import Problem
from batchrunner.manifest.characters import Place
from batchrunner.manifest.columns import ROW_FIRST, is_row, known_names, lacking, twice, typed, usual_names
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.pictures import is_address
from batchrunner.manifest.slugs import slug
from batchrunner.manifest.tables import Table, TableRow
from batchrunner.manifest.textfile import ROWS_MAX, ContentError, TextFile
from batchrunner.manifest.written import Entry, Report

CELL_MAX = 1 << 20
HEADER_MAX = 2  # the line that the header begins in; below it, all lines are kept for the next problem
WHOLE = {"type": "integer"}
# What spreadsheets write where a formula failed, after `#` (and a Spanish mark): it would be paid for as a
# prompt. English; German, French; Spanish, Italian; Portuguese, Dutch; Nordic; Polish to Russian. Only these
# words are refused, for `#SALE!` may be meant.
_FAILED = """
REF! NAME? VALUE! DIV/0! NUM! NULL! N/A SPILL! CALC! FIELD! BLOCKED! CONNECT! BUSY! UNKNOWN! GETTING_DATA
BEZUG! WERT! ZAHL! NV ÜBERLAUF! KALK! NOM? VALEUR! NOMBRE! NUL! EPARS! PROPAGATION!
NOMBRE? VALOR! NULO! N/D DESBORDAMIENTO! RIF! NOME? VALORE! NULLO! ESPANSIONE!
NÚM! DESPEJAR! VERW! NAAM? WAARDE! DEEL/0! GETAL! LEEG! N/B OVERLOOP!
REFERENS! NAMN? VÄRDEFEL! DIVISION/0! OGILTIGT! SKÄRNING! SAKNAS! REFERENCE! NAVN? VÆRDI! VERDI! I/T
VIITTAUS! NIMI? ARVO! JAKO/0! LUKU! TYHJÄ! PUUTTUU!
ADR! NAZWA? ARG! DZIEL/0! LICZBA! ZERO! ROZLANIE! ODKAZ! NÁZEV? HODNOTA! DĚLENÍ_NULOU! ČÍSLO!
HIV! NÉV? ÉRTÉK! ZÉRÓOSZTÓ! SZÁM! NULLA! HIÁNYZIK BAŞV! AD? DEĞER! SAYI/0! SAYI! BOŞ! YOK TAŞMA!
ССЫЛКА! ИМЯ? ЗНАЧ! ДЕЛ/0! ЧИСЛО! ПУСТО! Н/Д ПЕРЕНОС!
"""  # noqa: RUF001 - as they are written
FAILED = frozenset(_FAILED.split())
_CALC_ERROR = re.compile("Err:5[0-9]{2}")  # LibreOffice
TOO_NARROW = re.compile("#{3,}")
FORMULA = re.compile(r"=\s*([^\W\d][\w.]*\(|\$?[A-Za-z]{1,3}\$?[0-9]+\b)")
NAMELESS = "a column without a name: name it, or call it #note and it is not read"
BARS = (
    "the cells are divided by |: save the table with commas, semicolons or tabs between them, "
    "or put a line sep=| above this one"
)
_SUSPECT = "#=E"  # nearly no cell begins so, and the rest need not be looked at
_WORDS = frozenset((name,) for name in ("image", "url", "file", "prompt", "text"))  # taken as they are
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_QUOTES = 'a quote inside a quoted text is written twice: "so ""it"" is"'


def csv_rows(
    file: TextFile, section: str, card: Card | None, entry: Entry, report: Report
) -> Iterator[TableRow]:
    """Yield the rows; a row of the wrong length is reported and passed over.

    Raises:
        ContentError: the header is wrong, or from a line on it is no csv.
    """
    sheet = _Sheet(file)
    table = Table(file, section, card, entry, report, sheet.locate)
    _check_first(sheet, section, card)
    paths = [table.add_column(name, sheet.locate(sheet.header_line, name)) for name in sheet.names]
    if missing := lacking(section, paths, sheet.names, card):
        for what in missing:  # once, at the header: each row would only say the same
            table.say((sheet.header_line, 1), "", what)
        return
    readers = [_reader(table, path) for path in paths]
    flat = not table.usual and all(path is None or len(path) == 1 for path in paths)
    bare: list[Any] = [path[0] if flat and path else path for path in paths]
    for count, (line, cells) in enumerate(sheet.records, 1):
        if count > ROWS_MAX:
            raise sheet.error(line, f"more than {ROWS_MAX:,} rows")
        if not any(cells):
            continue
        if len(cells) != len(paths) and (len(cells) < len(paths) or any(cells[len(paths) :])):
            table.say((line, 1), "", _ragged(cells, len(paths)))
            continue
        wrong, sound = {}, cells
        if [cell for cell in cells if cell and cell[0] in _SUSPECT]:
            read = [(path, cell) for path, cell in zip(paths, cells, strict=False) if path and cell]
            wrong = {path: said for path, cell in read if (said := _failed(cell))}
            sound = ["" if path in wrong else cell for path, cell in zip(paths, cells, strict=False)]
        plain = flat and not wrong
        told = {
            key: cell if reader is None else reader(cell)
            for key, reader, cell in zip(bare if plain else paths, readers, sound, strict=False)
            if cell and key
        }
        yield TableRow(table, line, told) if plain else table.row(line, told, wrong)


def _check_first(sheet: _Sheet, section: str, card: Card | None) -> None:
    """Refuse a first line that is a row already, or something above the names of the columns.

    Where one name is known the line is taken as it is: then no record is read here.
    """
    known = known_names(section, card)
    if not known.isdisjoint(name.casefold() for name in sheet.names):
        return
    line, below = next(((line, cells) for line, cells in sheet.records if any(cells)), (1, []))
    if not known.isdisjoint(cell.casefold() for cell in below):
        what = f"the first line names the columns, and these names stand in line {line}"
        raise sheet.error(sheet.header_line, f"{what}: delete what is above it")
    if is_row(sheet.names):
        what = f"{ROW_FIRST}; put one above it, such as {usual_names(section, card)}"
        raise sheet.error(sheet.header_line, what)


def _failed(cell: str) -> str | None:
    """Return what is wrong with a cell that holds no value but what a spreadsheet shows for it."""
    if (cell[0] == "#" and cell[1:].lstrip("¿¡") in FAILED) or _CALC_ERROR.fullmatch(cell):
        return "is a formula that failed: mend it in the spreadsheet, and save again"
    if TOO_NARROW.fullmatch(cell):
        return "is a value that its column was too narrow for: widen it in the spreadsheet, and save again"
    if FORMULA.match(cell):
        return "is a formula, not its value: let the spreadsheet save values"
    return None


def _ragged(cells: list[str], wanted: int) -> str:
    has = len(cells) if len(cells) < wanted else max(n for n, cell in enumerate(cells, 1) if cell)
    return (
        f"this row has {has} cells, the header {wanted}: "
        "a separator is missing, or a text that holds one lacks its quotes"
    )


def _reader(table: Table, path: Path | None) -> Callable[[str], Any] | None:
    """Return what makes a value of a column's cells; None: they are taken as they are."""
    if path is None or path[0] == "vars" or path in _WORDS:
        return None
    if path == ("id",):
        return lambda cell: slug(unicodedata.normalize("NFC", cell))
    if path[0] == "frames":
        return lambda cell: {"url": cell} if is_address(cell) else {"file": cell}
    rule = WHOLE if path == ("takes",) else table.rule(path)
    return lambda cell: typed(cell, rule)


class _Sheet:
    """The records of one file, each with the line that it begins in; the first one is the header."""

    def __init__(self, file: TextFile) -> None:
        self._file = file
        first = file.text[:10].partition("\n")[0].rstrip("\r").casefold()
        said = len(first) == len("sep=;") and first.startswith("sep=")  # Excel's own way to say it
        header = file.text.partition("\n")[0]
        self._delimiter = first[-1] if said else next((one for one in "\t;" if one in header), ",")
        self._skipped = int(said)
        self.records = self._read()
        self.header_line, self.names = next(self.records, (1, []))
        while self.names and not self.names[-1]:
            self.names.pop()
        if not self.names:
            whole = "is empty" if not self._file.text.strip() else "begins with an empty line: delete it"
            raise self.error(1, f"{whole}; the first line names the columns")
        if len(self.names) == 1 and "|" in self.names[0]:
            raise self.error(self.header_line, BARS)
        if (name := twice(name for name in self.names if name)) is not None:
            raise self.error(self.header_line, _column_twice(name), self.names.index(name))
        if "" in self.names:
            raise self.error(self.header_line, NAMELESS, self.names.index(""))

    def error(self, line: int, message: str, index: int = 0) -> ContentError:
        """Return what ends the reading."""
        return ContentError(Problem(self._file.name, *self._place(line, index), "", message))

    def locate(self, line: int, name: str) -> Place:
        """Return where the cell of a column begins, in the record that begins in a line."""
        return self._place(line, self.names.index(name))

    def _read(self) -> Iterator[tuple[int, list[str]]]:
        lines = io.StringIO(self._file.text, newline="")
        for _ in range(self._skipped):
            next(lines)
        csv.field_size_limit(CELL_MAX)
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        begin = 1 + self._skipped
        returns = "\r" in self._file.text
        try:
            for cells in reader:
                line, begin = begin, reader.line_num + 1 + self._skipped
                bare = list(map(str.strip, cells))
                yield line, [_one_form(cell) for cell in bare] if returns else bare
        except csv.Error as error:
            raise self.error(begin, _broken(str(error))) from error

    def _place(self, line: int, index: int) -> Place:
        """Walk to a cell: only a problem asks for it, and the header for itself."""
        quoted = False
        first = (match[0] for match in _LINE.finditer(self._file.text))  # no more of them than are looked at
        lines = first if line <= HEADER_MAX else self._lines
        for number, row in enumerate(islice(lines, line - 1, None), line):
            if index == 0:
                return number, 1
            for column, char in enumerate(row, 2):
                quoted ^= char == '"'
                index -= char == self._delimiter and not quoted
                if index == 0:
                    return number, column
        return line, 1

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
