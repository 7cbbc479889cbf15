"""YAML read as JSON-shaped data, with the line and column of every key and value.

YAML 1.1 has traps that cost money overnight: `no` is false, `1:30` is ninety, `012` is ten, a key given twice
silently wins, an alias can unfold to gigabytes. So only the parser's events are used here, and scalars
are read by the rules of YAML 1.2's core schema, narrowed to JSON. Aliases, anchors and tags are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import yaml

from batchrunner.errors import ManifestError, Problem
from batchrunner.manifest.doubts import Doubts, Path
from batchrunner.values import JSON

SIZE_MAX = 4 << 20
DEPTH_MAX = 32
NODES_MAX = 1_000_000
PROBLEMS_MAX = 100  # told at once; a hostile file of 4 MiB could hold a million
INT_MAX = 2**53  # beyond it, JSON readers disagree
INT_DIGITS_MAX = 16  # of INT_MAX: whatever is longer is not even converted

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUES = frozenset({"true", "True", "TRUE"})
_FALSES = frozenset({"false", "False", "FALSE"})
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # what the parser counts as the end of a line
_COMMENT = re.compile(r"[ \t]+#")

_TAB = re.compile(r"^ *\t", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_TABBED = "a tab in the indentation: use spaces"

NOT_TEXT = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NO_CHARACTER = re.compile(r"[\0\ud800-\udfff]")  # what only an escape can bring in

# What the parser says, and what has most likely happened: first libyaml's words, then those of PyYAML's own.
_MISFIT = "this does not belong to what stands before it: look at the indentation, then at the quotes"
_OPEN = "a bracket is not closed before here, or a text with , : [ ] { or } in it lacks quotes"
_MEANT = {
    "mapping values are not allowed": "this line is indented too far, or a text with `: ` in it lacks quotes",
    "expected key": _MISFIT,
    "expected <block end>": _MISFIT,
    "expected '-' indicator": _MISFIT,
    "expected <document start>": _MISFIT,
    "expected '<document start>'": _MISFIT,
    "sequence entries are not allowed": "a list begins on a line of its own, or stands in [ ]",
    "could not find expected ':'": "this line has no `: ` after its key",
    "expected ',' or": _OPEN,
    "expected node content": "a value is missing here, or there is a bracket too many",
    "expected the node content": "a value is missing here, or there is a bracket too many",
    "cannot start any token": "a text that begins with this character needs quotes",
    "unexpected end of stream": "this quote is never closed",
    "unexpected document": "this quote is never closed",
    "found unexpected ':'": "a `:` stands between a key and its value, with a space after it",
    "escape c": 'in "double quotes" a \\ begins an escape: use single quotes, or write \\\\',
    "alphabetic or numeric character": "a text that begins with * or & needs quotes",
}

Place = tuple[int, int]


@dataclass(slots=True)
class Document:
    """Plain data, and where each value and each key of a mapping stands (line and column from 1).

    `written` has each number as it was written: as a word of a prompt, `1.10` must not become 1.1.
    `comments` has where a comment ends an unquoted text.
    `problems` is what is wrong with it as YAML, though it could be read on.
    """

    data: JSON
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    comments: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    doubts: Doubts = field(init=False)

    def __post_init__(self) -> None:
        self.doubts = Doubts(self.values)

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Return where a value (or its key) stands; for what is not there, where its parent does."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (1, 1))


def read(raw: bytes, name: str) -> Document:
    """Read one YAML document; `name` is the file as messages call it.

    Raises:
        ManifestError: it is not UTF-8, not YAML, too large, or uses what is refused.
    """
    document = read_on(raw, name)
    if document.problems:
        raise ManifestError(document.problems)
    return document


def read_on(raw: bytes, name: str) -> Document:
    """Read one YAML document past all that is refused: that is among its problems and its doubts.

    Raises:
        ManifestError: it is not UTF-8, not YAML or too large.
    """
    if len(raw) > SIZE_MAX:
        raise ManifestError([Problem(name, 1, 1, "", f"larger than {SIZE_MAX >> 20} MiB")])
    text = _decoded(raw, name)
    tabs = [
        Problem(name, *place_of(text, one.end() - 1), "", _TABBED)
        for one in islice(_TAB.finditer(text), PROBLEMS_MAX)
    ]
    if not tabs:
        return _Reader(name).read(text)
    try:  # where all lines have tabs, one space for each is as good
        document = _Reader(name).read(_INDENT.sub(lambda found: found[0].replace("\t", " "), text))
    except ManifestError as error:
        raise ManifestError(tabs) from error
    document.problems.extend(tabs)
    return document


def _decoded(raw: bytes, name: str) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ManifestError([Problem(name, 1, 1, "", "this is UTF-16: save it as UTF-8")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8")  # without the mark that Windows may set
        place = place_of(before, len(before))
        raise ManifestError([Problem(name, *place, "", "not UTF-8: save the file as UTF-8")]) from error
    problems = [
        Problem(name, *place_of(text, match.start()), "", _no_text(match.group()))
        for match in islice(NOT_TEXT.finditer(text), PROBLEMS_MAX)
    ]
    if problems:
        raise ManifestError(problems)
    return text


def _no_text(char: str) -> str:
    return f"the control character U+{ord(char):04X} does not belong here"


def place_of(text: str, index: int) -> Place:
    """Return line and column, both from 1, of a character in a text."""
    before = text[:index]
    return before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name
        self._document = Document(None)
        self._problems = self._document.problems
        self._nodes = 0

    def read(self, text: str) -> Document:
        self._document.lines = _BREAK.split(text)
        events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        try:
            self._documents(events)
        except yaml.MarkedYAMLError as error:
            problem = Problem(self._name, *_mark_of(error), "", _not_yaml(error))
            raise ManifestError([*self._problems, problem]) from error
        except yaml.YAMLError as error:
            problem = Problem(self._name, 1, 1, "", f"not YAML: {' '.join(str(error).split())}")
            raise ManifestError([*self._problems, problem]) from error
        return self._document

    def _documents(self, events: Iterator[Any]) -> None:
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._say(event, (), "a second document (`---`): one file, one manifest")
                    return
                self._document.data = self._node(next(events), events, ())

    def _node(self, event: Any, events: Iterator[Any], path: Path) -> JSON:
        self._nodes += 1
        if len(path) > DEPTH_MAX or self._nodes > NODES_MAX:
            what = f"nested deeper than {DEPTH_MAX} levels" if len(path) > DEPTH_MAX else "too many entries"
            raise ManifestError([*self._problems, self._problem(event, (), what)])
        self._document.values.setdefault(path, _begin(event))  # of a key that is there twice, the first
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, path, f"aliases (*{event.anchor}) are not read: write the value out")
            return None
        self._plain(event, path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._mapping(events, path)

    def _plain(self, event: Any, path: Path) -> None:
        if event.anchor is not None:
            self._say(event, path, f"anchors (&{event.anchor}) are not read: leave it out")
        if event.tag is not None:
            self._refuse(event, path, f"tags ({event.tag}) are not read: leave it out")

    def _sequence(self, events: Iterator[Any], path: Path) -> list[JSON]:
        items: list[JSON] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._node(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, JSON]:
        found: dict[str, JSON] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._say(event, path, "a key must be plain text")
                self._node(event, events, (*path, "?"))
                self._node(next(events), events, (*path, "?"))
                continue
            key, here = event.value, (*path, event.value)
            self._plain(event, here)
            if event.value == "<<" and event.implicit[0]:
                self._refuse(event, here, "merge keys (<<) are not read: write the values out")
                self._document.doubts.lacking(path)
            if key in found:
                line = self._document.keys[here][0]
                self._say(event, here, f'the key "{key}" is there twice (also in line {line})')
                self._document.doubts.other(here)
            self._document.keys.setdefault(here, _begin(event))
            value = self._node(next(events), events, here)
            found.setdefault(key, value)
        return found

    def _scalar(self, event: Any, path: Path) -> JSON:
        text: str = event.value
        if NO_CHARACTER.search(text):
            self._refuse(event, path, "holds an escape (such as \\0) that stands for no character")
        if not event.implicit[0]:
            return text
        if text in _NULLS:
            return None
        if text in _TRUES or text in _FALSES:
            return text in _TRUES
        if _FLOAT.fullmatch(text):
            return self._number(event, text, path)
        if _NOT_JSON.fullmatch(text):
            self._refuse(event, path, f"{text} is not a number that can be sent")
            return None
        self._comment(event.end_mark, path)
        return text

    def _comment(self, end: Any, path: Path) -> None:
        line = self._document.lines[end.line] if end.line < len(self._document.lines) else ""
        if "#" in line and _COMMENT.match(line, end.column):
            place = end.line + 1, line.index("#", end.column) + 1
            self._document.comments.setdefault(path, place)

    def _number(self, event: Any, text: str, path: Path) -> JSON:
        self._document.written.setdefault(path, text)
        if _LEADING_ZERO.fullmatch(text):
            plain = text.lstrip("+-").lstrip("0") or "0"
            self._refuse(
                event, path, f'{text} begins with a zero: write {plain}, or "{text}" if it is a text'
            )
            return text
        digits = text.lstrip("+-")
        whole = _INT.fullmatch(text) is not None
        too_long = whole and len(digits) > INT_DIGITS_MAX
        value = math.inf if too_long else int(text) if whole else float(text)
        if abs(value) > INT_MAX:
            shown = text if len(text) <= 40 else f"{text[:39]}…"
            self._refuse(event, path, f"{shown} is too large a number: put it in quotes if it is a text")
            return None
        # 5.0 is 5 (JSON Schema says so too): a number has one form here, else equal jobs would differ.
        return int(value) if value == int(value) else value

    def _refuse(self, event: Any, path: Path, message: str) -> None:
        """Report a value that stands for none: whatever it is, it is not looked at any more."""
        self._say(event, path, message)
        self._document.doubts.whole(path)

    def _say(self, event: Any, path: Path, message: str) -> None:
        self._problems.append(self._problem(event, path, message))
        if len(self._problems) >= PROBLEMS_MAX:
            raise ManifestError(self._problems)

    def _problem(self, event: Any, path: Path, message: str) -> Problem:
        return Problem(self._name, *_begin(event), path_text(path), message)


def _begin(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _mark_of(error: yaml.MarkedYAMLError) -> Place:
    # Where an open quote or a key without its colon is noticed tells nobody anything: where it begins does.
    began = any(words in (error.problem or "") for words in ("unexpected", "could not find expected ':'"))
    mark = error.context_mark if began else error.problem_mark
    mark = mark or error.problem_mark or error.context_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _not_yaml(error: yaml.MarkedYAMLError) -> str:
    said = error.problem or error.context or "it cannot be read"
    meant = next((meant for words, meant in _MEANT.items() if words in said), None)
    return f"not YAML: {meant or said}"


def path_text(path: Path) -> str:
    """Return a path as messages show it: `images[2].url`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
