"""Csv as spreadsheets export it: one header line, then one row a record.

What separates the cells is read off the first lines (`header`). Rows that are empty altogether are passed
over, as are empty columns at the end; a row with more or fewer cells than the header is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import suppress
from itertools import islice
from typing import Any

from batchrunner.cards import Card
from batchrunner.manifest.characters import Place
from batchrunner.manifest.columns import (
    KEYS,
    NEEDED,
    PICTURE_LIKE,
    known_names,
    lacking,
    meant_for,
    typed,
    usual_names,
)
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.findings import Report
from batchrunner.manifest.header import other_separator, separated
from batchrunner.manifest.pictures import is_address
from batchrunner.manifest.sheet import Sheet
from batchrunner.manifest.slugs import slug
from batchrunner.manifest.tables import Table, TableRow
from batchrunner.manifest.textfile import ROWS_MAX, WRONG_MAX, ContentError, TextFile
from batchrunner.manifest.written import Entry

COMPARED_MAX = 50  # rows that are divided by another separator, to see whether it was meant
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
_SUSPECT = "#=E"  # nearly no cell begins so, and the rest need not be looked at
_ANY = PICTURE_LIKE.union(*KEYS.values())  # what may name a column of any table
_WORDS = frozenset((name,) for name in ("image", "url", "file", "prompt", "text"))  # taken as they are
_CURLY = "\u201c\u201d\u201e\u00ab\u2018"


def csv_rows(
    file: TextFile, section: str, card: Card | None, entry: Entry, report: Report
) -> Iterator[TableRow]:
    """Yield the rows; a row of the wrong length is reported and passed over.

    Raises:
        ContentError: the header is wrong, or from a line on it is no csv.
    """
    known = known_names(section, card)
    sheet = Sheet(file, known, usual_names(section, card))
    table = Table(file, section, card, entry, report, sheet.locate)
    understood = any(meant_for(one, sheet.names, card) for one in NEEDED[section]) or not sheet.strange
    if not understood and (lacks := lacking(section, [], sheet.names, card, sheet.listed())):
        raise sheet.error(sheet.header_line, lacks[0][1])  # what each name cannot mean is told for nothing
    paths = [_column(table, sheet, index, place) for index, place in enumerate(sheet.header_places())]
    if "" not in sheet.names:  # it may be the one that is missing
        for needed, what in lacking(section, paths, sheet.names, card, sheet.listed()):
            table.lack((sheet.header_line, 1), what, needed)  # once: each row would only say the same
    readers = [_reader(table, path) for path in paths]
    flat = not table.usual and all(path is None or len(path) == 1 for path in paths)
    bare: list[Any] = [path[0] if flat and path else path for path in paths]
    ragged = _Ragged(sheet, table)
    most = WRONG_MAX if table.lacks else ROWS_MAX
    for count, (line, cells) in enumerate(sheet.records, 1):
        if count > most:
            if table.lacks:
                report.lost.add(section)
                return
            raise sheet.error(line, f"more than {ROWS_MAX:,} rows")
        if not any(cells):
            continue
        if len(cells) != len(paths) and (len(cells) < len(paths) or any(cells[len(paths) :])):
            ragged.say(line, cells)
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


def plain_rows(file: TextFile) -> Iterator[dict[str, str]]:
    """Yield what the rows say, cells by their columns' names; empty ones and columns of notes fall away.

    Raises:
        ContentError: there is no header, or from a line on it is no csv.
    """
    sheet = Sheet(file, _ANY, None)
    for _line, cells in sheet.records:
        if any(cells):
            named = zip(sheet.names, cells, strict=False)
            yield {name: cell for name, cell in named if cell and not name.startswith("#")}


def _column(table: Table, sheet: Sheet, index: int, place: Place) -> Path | None:
    """Return what a column means; None: it is not read."""
    name = sheet.names[index]
    if index not in sheet.faults:
        return table.add_column(name, place)
    # Whatever has no name may be anything; of two of one name, either may be meant.
    anything = [("vars",), ("parameters",), *KEYS[table.section].values()]
    same = [path for path, one in table.columns.items() if one.casefold() == name.casefold()]
    table.say_column(place, "", sheet.faults[index], *(same if name else anything))
    return None


def column_names(file: TextFile, known: Set[str], usual: str) -> tuple[list[str], str]:
    """Return the names of a csv's columns, and the same in words. `usual`: a header, for one that lacks it.

    Raises:
        ContentError: the header is wrong.
    """
    sheet = Sheet(file, known, usual)
    return sheet.names, sheet.listed()


def _failed(cell: str) -> str | None:
    """Return what is wrong with a cell that holds no value but what a spreadsheet shows for it."""
    if (cell[0] == "#" and cell[1:].lstrip("¿¡") in FAILED) or _CALC_ERROR.fullmatch(cell):
        return "is a formula that failed: mend it in the spreadsheet, and save again"
    if TOO_NARROW.fullmatch(cell):
        return "is a value that its column was too narrow for: widen it in the spreadsheet, and save again"
    if FORMULA.match(cell):
        return "is a formula, not its value: let the spreadsheet save values"
    return None


class _Ragged:
    """Tells of rows that have not the header's number of cells: of all at once where they have one cause."""

    def __init__(self, sheet: Sheet, table: Table) -> None:
        self._sheet = sheet
        self._table = table
        self._wanted = len(sheet.names)
        self._of_all: str | None = None

    def say(self, line: int, cells: Sequence[str]) -> None:
        """Report a row, unless it was told with the first one."""
        if self._of_all is None:
            self._of_all = self._one_cause(cells)
            if self._of_all:
                self._table.say((line, 1), "", self._of_all)
        if not self._of_all:
            self._table.say((line, 1), "", self._alone(line, cells))

    def _alone(self, line: int, cells: Sequence[str]) -> str:
        if len(cells) == 1 and (other := other_separator(self._sheet.record(line), self._wanted)):
            by = separated(self._sheet.separator)
            return f"this row is divided by {other}, the header by {by}: use one of them in the whole file"
        count = _filled(cells, self._wanted)
        here = f"this row has {count} cell{'' if count == 1 else 's'}, the header {self._wanted}"
        return f"{here}, divided by {separated(self._sheet.separator)}: {self._advice(cells)}"

    def _advice(self, cells: Sequence[str]) -> str:
        if any(cell[:1] in _CURLY for cell in cells if cell):
            return f'quotes such as {_CURLY[0]} hold no text together: write straight ones, "'
        if len(cells) < self._wanted:
            return "one is missing, or a line break in a text lacks its quotes"
        return "a text or number that holds one lacks its quotes"

    def _one_cause(self, first: Sequence[str]) -> str:
        """Return what is said of all such rows, once; nothing where each has a cause of its own."""
        rows, wrong, others = 0, 0, set[str | None]()
        with suppress(ContentError):  # which is told where the rows are read
            for line, cells in islice(self._sheet.all_records(), 1, None):
                rows += any(cells)
                if any(cells) and _filled(cells, self._wanted) != self._wanted:
                    wrong += 1
                    if wrong <= COMPARED_MAX:
                        others.add(other_separator(self._sheet.record(line), self._wanted))
        by = separated(self._sheet.separator)
        if wrong > 1 and len(others) == 1 and (other := others.pop()):
            what = f"this row and {wrong - 1:,} more are divided by {other}, the header by {by}"
            return f"{what}: use one of them in the whole file"
        if wrong > 1 and wrong == rows:
            what = f"none of the {rows:,} rows has as many cells as the header, which has {self._wanted}"
            here = f"divided by {by}; this one has {_filled(first, self._wanted)}"
            return f"{what}, {here}: {self._advice(first)}"
        return ""


def _filled(cells: Sequence[str], wanted: int) -> int:
    """Return how many cells a row has; what is empty behind those of the header does not count."""
    return max([min(len(cells), wanted), *(n for n, cell in enumerate(cells, 1) if cell)])


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
