"""Jsonl: one JSON object a line, with the keys of an inline entry; any other key is a column."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from batchrunner.cards import Card
from batchrunner.errors import Problem
from batchrunner.manifest import notjson, tables
from batchrunner.manifest.characters import NO_CHARACTER, Place
from batchrunner.manifest.columns import KEYS, meant_for, missing, number, twice
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.findings import Report
from batchrunner.manifest.pictures import is_address
from batchrunner.manifest.slugs import slug
from batchrunner.manifest.tables import Table, TableRow
from batchrunner.manifest.textfile import ROWS_MAX, WRONG_MAX, ContentError, TextFile
from batchrunner.manifest.written import Entry
from batchrunner.manifest.yamlread import DEPTH_MAX
from batchrunner.nearest import nearest

LOOKED_AT = 80  # characters of a text, for an object that is spread over lines
_COLLECTIONS = ("frames", "vars", "parameters")  # keys whose values have parts
_STRING = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(rf"(?P<key>{_STRING})(?=\s*:)|{_STRING}|[\[\]{{}}]")
A_LIST = (
    "this is one JSON list; jsonl has an object on each line, without commas between them: "
    "`jq -c '.[]' LIST.json > ROWS.jsonl` makes one of the other"
)

SPREAD = (
    "this is an object over several lines; jsonl has each object on one line: "
    "`jq -c . ROWS.json > ROWS.jsonl` makes one of the other"
)


def json_rows(
    file: TextFile, section: str, card: Card | None, entry: Entry, report: Report
) -> Iterator[TableRow]:
    """Yield the rows; a line that is wrong is reported and passed over.

    Raises:
        ContentError: there is no end to it.
    """
    reader = _Reader(file, section, card, entry, report)
    if file.text.lstrip().startswith("["):
        raise ContentError(Problem(file.name, 1, 1, "", A_LIST))
    if is_spread(file.text):
        raise ContentError(Problem(file.name, 1, 1, "", SPREAD))
    for line, text in enumerate(io.StringIO(file.text), 1):
        if line > ROWS_MAX:
            raise ContentError(Problem(file.name, line, 1, "", f"more than {ROWS_MAX:,} rows"))
        if reader.alike > WRONG_MAX:
            report.lost.add(section)
            return
        if text.strip() and (row := reader.row(line, text)) is not None:
            yield row


def is_spread(text: str) -> bool:
    """Tell whether a text begins with an object over several lines, as programs write it for people."""
    return text.lstrip()[:LOOKED_AT].partition("\n")[0].strip() == "{"


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


class _JsonError(ValueError):
    pass


class _Reader:
    def __init__(self, file: TextFile, section: str, card: Card | None, entry: Entry, report: Report) -> None:
        self._file = file
        self._section = section
        self._lines: list[str] | None = None
        self._paths: dict[str, Path | None] = {}
        self._card = card
        self._report = report
        self._told: set[str] = set()  # misspelt keys, each told once
        self.alike = 0  # rows with any
        self._misspelt: dict[object, Mapping[str, tuple[str, Sequence[str]]]] = {}
        fields = frozenset(card.image_fields) if card is not None else frozenset()
        self._needed = [
            frozenset(needed) | (fields if "frames" in needed else frozenset())
            for needed in missing(section, frozenset(), card)
        ]
        self._table = Table(file, section, card, entry, report, self._locate, self._named)

    def row(self, line: int, text: str) -> TableRow | None:
        """Return one line's row; None: it is wrong, which is reported."""
        try:
            told = json.loads(
                text,
                object_pairs_hook=_unique,
                parse_int=_Number,
                parse_float=_Number,
                parse_constant=_refused,
            )
        except json.JSONDecodeError as error:
            at, why = notjson.fault(text, error)
            self._table.say((line, at + 1), "", f"not JSON: {why}", text)
            return None
        except _JsonError as error:
            self._table.say((line, 1), "", str(error), text)
            return None
        except RecursionError:
            self._table.say((line, 1), "", "nested too deep", text)
            return None
        if text.count("[") + text.count("{") > DEPTH_MAX and _depth(told) > DEPTH_MAX:
            self._table.say((line, 1), "", f"nested deeper than {DEPTH_MAX} levels", text)
            return None
        if not isinstance(told, dict):
            what = 'each line is one JSON object, such as {"id": "fox", "file": "fox.png"}'
            self._table.say((line, 1), "", what, text)
            return None
        cells = self._cells(line, told)
        wrong = {path: said for path, value in cells.items() if (said := _problem(path, value))}
        sound = {path: _value(path, value) for path, value in cells.items() if path not in wrong}
        if not wrong and not any(map(told.keys().isdisjoint, self._needed)):
            return self._table.row(line, sound, wrong)
        slips = self._slips(told, cells)
        wrong = {path: said for path, said in wrong.items() if path[1:] not in {(name,) for name in slips}}
        row = self._table.row(line, sound, wrong)
        self.alike += bool(slips)
        for name, (near, keys) in slips.items():
            for key in keys:
                self._report.doubt(row, (key,))
            if name not in self._told:
                self._told.add(name)
                self._table.headers.pop(("vars", name), None)  # what it is not is told
                place = self._locate(line, name)
                said = f'unknown key "{name}": did you mean "{near}"?'
                self._report.add(Problem(self._file.name, *place, name, said))
        return row

    def _slips(
        self, told: Mapping[str, Any], cells: Mapping[Path, Any]
    ) -> Mapping[str, tuple[str, Sequence[str]]]:
        """Return the misspelt keys of a row: what each was meant to be, and what it may have said."""
        words = tuple((name, type(told[name])) for name in told if ("vars", name) in cells)
        mark = words, frozenset(path[0] for path in cells)
        if mark not in self._misspelt:  # rows are wrong alike
            self._misspelt[mark] = self._found(dict(words), mark[1])
        return self._misspelt[mark]

    def _found(
        self, words: Mapping[str, type], keys: frozenset[str | int]
    ) -> dict[str, tuple[str, Sequence[str]]]:
        known = [*KEYS[self._section], *_COLLECTIONS[self._section == "prompts" :]]
        found: dict[str, tuple[str, Sequence[str]]] = {}
        for name, kind in words.items():
            near = nearest(name.casefold(), known) if kind in {dict, list} else None
            if near is not None:
                found[name] = near, [near]
        several = self._card is not None and len(self._card.image_fields) > 1
        for needed in missing(self._section, keys, self._card):
            if several and "frames" in needed:
                continue  # one key is not what is missing
            left = [name for name in words if name not in found]
            near_one = meant_for(needed, left, self._card)
            if near_one is not None and issubclass(words[near_one], str):
                found[near_one] = nearest(near_one.casefold(), needed) or needed[0], needed
        return found

    def _cells(self, line: int, told: Mapping[str, Any]) -> dict[Path, Any]:
        cells: dict[Path, Any] = {}
        for name, path, value in self._pairs(line, told):
            if path in cells:
                names = [one for one, same, _value in self._pairs(line, told) if same == path]
                said = f'the keys "{names[0]}" and "{name}" say the same: leave one out'
                self._table.say(self._locate(line, name), name, said)
                if path[0] == "parameters":
                    cells[self._table.spare(path, name)] = value
            else:
                cells[path] = value
        return cells

    def _pairs(self, line: int, told: Mapping[str, Any]) -> Iterator[tuple[str, Path, Any]]:
        """Yield what each key of a row is called, what it means, and its value, unless it says nothing."""
        for name, value in told.items():
            if name in {"vars", "parameters"} and isinstance(value, dict):
                for key, one in value.items():
                    self._table.columns.setdefault((name, key), f"{name}.{key}")
                    yield f"{name}.{key}", (name, key), one
            elif name == "frames" and self._section != "prompts" and isinstance(value, list):
                self._table.columns.setdefault(("frames",), name)
                yield from ((name, ("frames", index), one) for index, one in enumerate(value))
            elif (path := self._path(line, name)) is not None and value is not None and value != "":
                yield name, path, value

    def _path(self, line: int, name: str) -> Path | None:
        """Return what a key means: found out, and told if wrong, where it is first met."""
        if name not in self._paths:
            place = self._locate(line, name)
            path = self._paths[name] = self._table.meaning_of(name, place)
            if path is not None:
                self._table.columns.setdefault(path, name)
                self._table.headers.setdefault(path, place)
        return self._paths[name]

    def _named(self, line: int, path: Path) -> str | None:
        """Return what a row calls a part, which another row may call otherwise; None: it does not have it."""
        told = json.loads(self._text(line), parse_int=_Number, parse_float=_Number)
        pairs = list(self._pairs(line, told)) if isinstance(told, dict) else []
        same = (name for name, one, _value in pairs if path[:2] == one or path[:1] == one)
        return next(same, None)

    def _locate(self, line: int, name: str) -> Place:
        return line, _index(self._text(line), name) + 1

    def _text(self, line: int) -> str:
        self._lines = self._lines or list(io.StringIO(self._file.text))
        return self._lines[line - 1]


def _index(text: str, name: str) -> int:
    """Return where a line has a key, `vars.NAME` being one in `vars`."""
    depth, outer = 0, ""
    for match in _TOKEN.finditer(text):
        if match["key"] is None:
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
            continue
        key = json.loads(match["key"], strict=False)
        outer = key if depth == 1 else outer
        if name == (key if depth == 1 else f"{outer}.{key}"):
            return match.start()
    return 0


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [one for part in level if isinstance(part, dict | list) for one in _parts(part)]
    return depth


def _parts(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if (name := twice(name for name, _value in pairs)) is not None:
        raise _JsonError(f'the key "{name}" is there twice')
    return dict(pairs)


def _refused(text: str) -> Any:
    raise _JsonError(f"{text} is not a number that can be sent")


def _problem(path: Path, value: Any) -> str | None:
    """Return what is wrong with the kind of a value; parameters are left to the card."""
    text = isinstance(value, str)
    words = text and not isinstance(value, _Number)
    if any(NO_CHARACTER.search(one) for one in _texts(value)):
        return "holds an escape that stands for no character"
    match path[0]:
        case "parameters" | tables.SPARE:
            return None
        case "frames":
            good = isinstance(value, dict) and len(value) == 1 and next(iter(value)) in {"url", "file"}
            good = good and all(isinstance(one, str) and one for one in value.values())
            return None if words or good else 'must be an address, a file, {"url": …} or {"file": …}'
        case "takes":
            seeds = value if isinstance(value, list) and value else [value]
            good = all(isinstance(one, _Number) for one in seeds)
            return None if good else "must be a whole number, or a list of fixed seeds"
        case "vars" | "id":
            return None if text else "must be text or a number"
    return None if words else "must be text"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in _parts(value):
            yield from _texts(one)


def _value(path: Path, value: Any) -> Any:
    if path == ("id",):
        return slug(unicodedata.normalize("NFC", value))
    if path[0] == "frames" and isinstance(value, str):
        return {"url": value} if is_address(value) else {"file": value}
    if path[0] in {"parameters", "takes", tables.SPARE}:
        return _plain(value)
    return str(value) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    if isinstance(value, _Number):
        return number(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
