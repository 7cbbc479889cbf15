"""Where a csv names its columns, and what separates its cells: both are read off its first lines.

What a spreadsheet writes depends on the program and on the country it is set to, so no separator is usual.
It is the one by which most of the first line's cells are known names; where none is known, the first of tab,
semicolon, comma and bar that is there. Titles above the names are refused, with the line of the names.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from batchrunner.manifest.columns import PICTURE_LIKE, SHOWN_MAX, WORD_LIKE, known_names

SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "|"}
NONE = "\x1f"  # stands in no text file: a column of sentences is not divided
HEAD = 1 << 16  # characters that are looked at
LINES_MAX = 20  # in which names may stand, below titles
NAMES_SHOWN = 4
_SAID = re.compile(r'"?sep=([^\r\n])"?(?=[\r\n]|\Z)', re.IGNORECASE)  # Excel's own way to say it
# What programs write between cells, and nobody in a sentence.
_NO_SENTENCE = {"\t": re.compile(r"\t(?=\S)"), ";": re.compile(r";(?=\S)"), ",": re.compile(",(?! )")}
_DASHES = re.compile(r"[^\n]*\n[ |:]*-{3}[ |:-]*\r?$", re.MULTILINE)
MARKDOWN = (
    "this is a table of Markdown: take the line of dashes away, and the bars at both ends; or save it as csv"
)
INVISIBLE = "\ufeff\u200b\u2060\u00a0 \t"  # what comes along when a name is copied from a page
_ALIKE = PICTURE_LIKE | WORD_LIKE


@dataclass(frozen=True, slots=True)
class Header:
    """How the first lines are to be read; `wrong`: why they cannot be, in words for the first of them."""

    separator: str
    skipped: int = 0  # lines above the header
    wrong: str | None = None


def find_header(text: str, known: Collection[str]) -> Header:
    """Return how a csv begins. `known`: the names of columns that mean something, in small letters."""
    said = _SAID.match(text)
    skipped, head = int(said is not None), text[:HEAD]
    candidates = (*SEPARATORS, *([said[1]] if said else []))
    firsts = {one: next(_records(head, one, skipped), (1, []))[1] for one in candidates}
    hits = {one: _hits(cells, known) for one, cells in firsts.items()}
    best = max(SEPARATORS, key=lambda one: (hits[one], len(firsts[one]) > 1))
    taken = said[1] if said else best if len(firsts[best]) > 1 else ","
    if said and hits[best] > hits[taken] == 0:
        return Header(taken, skipped, _contradicted(taken, best))
    title = sum(map(bool, firsts[taken])) < 2
    if not hits[taken] or (title and hits[taken] < 2):
        below = _below(head, known, 2 if hits[taken] else 1, skipped)
        if below is not None:
            return Header(taken, skipped, below)
    if taken == "|" and _DASHES.match(head):
        return Header(taken, skipped, MARKDOWN)
    if not said and len(firsts[taken]) == 1 and firsts[taken][0].casefold() in {"prompt", "text"}:
        taken = next((one for one, found in _NO_SENTENCE.items() if found.search(text)), NONE)
    return Header(taken, skipped)


def names_columns(text: str) -> bool:
    """Tell whether the first line of a text can only be meant as names of columns: two or more are known."""
    known = known_names("shots", None)
    header = find_header(text, known)
    _line, cells = next(_records(text[:HEAD], header.separator, header.skipped), (1, []))
    return _hits(cells, known) > 1


def separated(separator: str) -> str:
    """Return what separates the cells, in words."""
    return SEPARATORS.get(separator, separator)


def listed(names: Sequence[str], separator: str, known: Collection[str]) -> str:
    """Return what columns there are, in words that show where they may have been taken apart wrongly."""
    shown = ", ".join([*names[:SHOWN_MAX], *(["…"] if len(names) > SHOWN_MAX else [])])
    if _hits(names, {*known, *_ALIKE}):
        return f"the columns are {shown}"
    if len(names) == 1:
        return f"the only column is {names[0]}, for no comma, semicolon, tab or | divides it"
    return f"the columns, divided by {separated(separator)}, are {shown}"


def other_separator(record: str, cells: int) -> str | None:
    """Return by what a row would have as many cells as its header, in words."""
    for one, called in SEPARATORS.items():
        _line, found = next(_records(record, one, 0), (1, []))
        if len(found) == cells > 1:
            return called
    return None


def _records(head: str, separator: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the first records, each with the line that it begins in."""
    lines = io.StringIO(head, newline="")
    for _ in range(skipped):
        next(lines)
    reader, line = csv.reader(lines, delimiter=separator), 1 + skipped
    try:
        for cells in reader:
            yield line, [cell.strip(INVISIBLE).strip() for cell in cells]
            line = reader.line_num + 1 + skipped
    except csv.Error:
        return  # which is told where all of it is read


def _hits(cells: Sequence[str], known: Collection[str]) -> int:
    return len({cell.casefold() for cell in cells} & {*known})


def _contradicted(said: str, best: str) -> str:
    what = f"this line says that {separated(said)} divide the cells"
    return f"{what}, but {separated(best)} divide the names below it: delete this line"


def _below(head: str, known: Collection[str], least: int, skipped: int) -> str | None:
    """Return in which line the columns are named, if it is not the first; by `least` known names or more."""
    found: list[tuple[int, int, Sequence[str]]] = []
    for one in SEPARATORS:
        rows = takewhile(lambda row: row[0] <= LINES_MAX, _records(head, one, skipped))
        filled = [(line, [cell for cell in cells if cell]) for line, cells in rows]
        below = [(line, cells) for line, cells in filled if cells and line > 1 + skipped]
        for index, (line, cells) in enumerate(below):
            hits, alike = _hits(cells, known), _hits(cells, {*known, *_ALIKE})
            if alike >= max(2, least) or (hits >= least and (index == 0 or hits == len(cells))):
                found.append((alike, -line, cells))
    if not found:
        return None
    _alike, line, names = max(found)
    shown = ", ".join([*names[:NAMES_SHOWN], *(["…"] if len(names) > NAMES_SHOWN else [])])
    return (
        f"the first line names the columns, and these names seem to stand in line {-line} ({shown}): "
        "delete the lines above it"
    )
