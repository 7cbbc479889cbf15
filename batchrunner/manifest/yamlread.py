"""YAML read as JSON-shaped data, with the line and column of every key and value.

YAML 1.1 has traps that cost money overnight: `no` is false, `1:30` is ninety, `012` is ten, a key given twice
silently wins, an alias can unfold to gigabytes. So only the parser's events are used here, and scalars
are read by the rules of YAML 1.2's core schema, narrowed to JSON. Aliases, anchors and tags are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import yaml

from batchrunner.errors import ManifestError, Problem
from batchrunner.manifest import misread, scalars
from batchrunner.manifest.characters import (
    NO_CHARACTER,
    PROBLEMS_MAX,
    Place,
    decoded,
    indented,
    invisible,
    visible,
)
from batchrunner.manifest.document import Document, path_text
from batchrunner.manifest.doubts import Path
from batchrunner.manifest.slips import Stop
from batchrunner.values import JSON

SIZE_MAX = 4 << 20
DEPTH_MAX = 32
NODES_MAX = 1_000_000
MENDS_MAX = 20  # texts without quotes that are read past,
AGAIN_MAX = 8 << 20  # by reading once more: characters in all

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # what the parser counts as the end of a line
_AFTER_COLON = re.compile(r"([\w-]+):[\xa0\u202f]")

Mended: TypeAlias = tuple[int, int, int]  # from where to where in a line (from 0), how much longer it is


def read(raw: bytes, name: str) -> Document:
    """Read one YAML document; `name` is the file as messages call it.

    Raises:
        ManifestError: it is not UTF-8, not YAML, too large, or uses what is refused.
    """
    document = read_on(raw, name)
    if document.problems:
        raise ManifestError(document.problems)
    return document


def read_on(raw: bytes, name: str, twice: Mapping[Path, int] = MappingProxyType({})) -> Document:
    """Read one YAML document past all that is refused: that is among its problems and its doubts.

    Of a key that is there more than once the first value stands; with `twice` of what was so read, the last.

    Raises:
        ManifestError: it is not UTF-8, not YAML or too large.
    """
    if len(raw) > SIZE_MAX:
        raise ManifestError([Problem(name, 1, 1, "", f"larger than {SIZE_MAX >> 20} MiB")])
    text, odd = indented(decoded(raw, name), name)
    try:
        document = _read_past(text, name, twice)
    except ManifestError as error:
        raise ManifestError(odd or error.problems) from error
    document.problems.extend(odd)
    return document


def _read_past(text: str, name: str, twice: Mapping[Path, int]) -> Document:
    """Read a text past those parts that plainly lack quotes: each gets them, is told, and is read on.

    Raises:
        ManifestError: it is no YAML in another way.
    """
    mended: dict[int, list[Mended]] = {}
    told: list[Problem] = []
    written: list[str] = []
    while True:
        reader = _Reader(name, mended, twice)
        try:
            document = reader.read(text)
        except yaml.MarkedYAMLError as error:
            lines, problems = reader.document.lines, [*reader.document.problems, *told]
            written = written or [*lines]
            stop = _stop(error, lines)
            number, mend = stop.line, stop.mend
            if _is_made(stop, mended):
                raise ManifestError(problems) from error
            before = mended.setdefault(number, [])
            column = stop.column - sum(added for start, _end, added in before if stop.column > start)
            problem = Problem(name, number + 1, column + 1, "", stop.message)
            if mend is None or len(told) >= MENDS_MAX or len(told) * len(text) > AGAIN_MAX:
                raise ManifestError([*problems, problem]) from error
            told.append(problem)
            line = lines[number]
            lines[number] = line[: mend.start] + mend.quoted + line[mend.end :]
            added = len(mend.quoted) - (mend.end - mend.start)
            before.append((mend.start, mend.start + len(mend.quoted), added))
            text = "\n".join(lines)
        else:
            document.lines = written or document.lines
            document.problems.extend(told)
            return document


def _is_made(stop: Stop, mended: Mapping[int, Sequence[Mended]]) -> bool:
    """Tell whether a parser may well have stopped at what was made of a line, and not at what was written."""
    if stop.mend is None:
        return stop.line in mended or stop.line - 1 in mended
    return any(stop.mend.start < end for _start, end, _added in mended.get(stop.line, ()))


def _stop(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> Stop:
    """Return where a parser stopped and what was most likely meant."""
    said, mark, context = (
        error.problem or error.context or "it cannot be read",
        error.problem_mark,
        error.context_mark,
    )
    if mark is not None and mark.line < len(lines):
        begun = context.line if context is not None and "flow" in (error.context or "") else mark.line
        around = context if context is not None and context.line < len(lines) else mark
        places = (mark.line, mark.column), (around.line, around.column)
        if (found := misread.stopped(said, lines, *places, begun)) is not None:
            return found
    # Where an open quote or a key without its colon is noticed tells nobody anything: where it begins does.
    began = any(words in said for words in ("unexpected", "could not find expected ':'"))
    place = (context if began else mark) or mark or context
    return Stop(place.line if place else 0, place.column if place else 0, misread.meaning(said))


class _Reader:
    """Reads events. `mended`: by line, what was mended in it.

    `twice`: how many copies of a key's value are read past before the one that is kept.
    """

    def __init__(self, name: str, mended: Mapping[int, Sequence[Mended]], twice: Mapping[Path, int]) -> None:
        self._name = name
        self._twice = twice
        self._mended = mended
        self.document = Document(None)
        self._problems = self.document.problems
        self._nodes = 0

    def read(self, text: str) -> Document:
        """Read a text.

        Raises:
            ManifestError: it is no YAML.
            yaml.MarkedYAMLError: the same, and where.
        """
        self.document.lines = _BREAK.split(text)
        events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        try:
            self._documents(events)
        except yaml.MarkedYAMLError:
            raise
        except yaml.YAMLError as error:
            problem = Problem(self._name, 1, 1, "", f"not YAML: {' '.join(str(error).split())}")
            raise ManifestError([*self.document.problems, problem]) from error
        return self.document

    def _documents(self, events: Iterator[Any]) -> None:
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._say(event, (), "a second document (`---`): one file, one manifest")
                    return
                self.document.data = self._node(next(events), events, ())

    def _node(self, event: Any, events: Iterator[Any], path: Path) -> JSON:
        self._nodes += 1
        if len(path) > DEPTH_MAX or self._nodes > NODES_MAX:
            what = f"nested deeper than {DEPTH_MAX} levels" if len(path) > DEPTH_MAX else "too many entries"
            raise ManifestError([*self._problems, self._problem(event, (), what)])
        self.document.values.setdefault(path, self._begin(event))  # of a key that is there twice, the first
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
        if event.anchor is None and event.tag is None:
            return
        words = path[-1:] == ("text",) or (path[:1] == ("prompts",) and len(path) == 2)
        words = words and isinstance(event, yaml.ScalarEvent) and bool(event.value)
        hint = ", or put the text in quotes" if words else ""
        if event.anchor is not None:
            self._say(event, path, f"anchors (&{event.anchor}) are not read: leave it out{hint}")
        if event.tag is not None:
            tell = self._refuse if path else self._say  # else all there is would be in doubt
            tell(event, path, f"tags ({event.tag}) are not read: leave it out{hint}")

    def _sequence(self, events: Iterator[Any], path: Path) -> list[JSON]:
        items: list[JSON] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._node(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, JSON]:
        found: dict[str, JSON] = {}
        passed: dict[str, int] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._say(event, path, "a key must be plain text")
                self._node(event, events, (*path, "?"))
                self._node(next(events), events, (*path, "?"))
                continue
            key = self._key(event, path)
            here = (*path, key)
            self._plain(event, here)
            if key == "<<" and event.implicit[0]:
                self._refuse(event, here, "merge keys (<<) are not read: write the values out")
                self.document.doubts.lacking(path)
            if key in found:
                line = self.document.keys[here][0]
                self._say(event, here, f'the key "{key}" is there twice (also in line {line})')
                self.document.doubts.other(here)
                self.document.twice[here] = self.document.twice.get(here, 0) + 1
                self._aside(events, here)
                continue
            self.document.keys.setdefault(here, self._begin(event))
            if passed.setdefault(key, 0) < self._twice.get(here, 0):
                passed[key] += 1
                self._aside(events, here)
                continue
            found[key] = self._node(next(events), events, here)
            if passed[key]:
                self.document.doubts.other(here)
        return found

    def _aside(self, events: Iterator[Any], path: Path) -> None:
        """Read a copy of a value past: what is wrong with it as YAML is told, and nothing of it is kept."""
        kept, self.document = self.document, Document(None, lines=self.document.lines)
        self._node(next(events), events, path)
        self.document = kept

    def _key(self, event: Any, path: Path) -> str:
        """Return a key without what nobody sees in it, which is told."""
        key: str = event.value
        if (hidden := invisible(key)) is None:
            return key
        if told := _AFTER_COLON.match(key):
            self._refuse(
                event, (*path, told[1]), f"{hidden[1]} stands behind `{told[1]}:`: write a plain space"
            )
            return told[1]
        plain = visible(key)
        self._say(event, (*path, plain), f"{hidden[1]} is in this key: write `{plain}` anew")
        return plain

    def _scalar(self, event: Any, path: Path) -> JSON:
        text: str = event.value
        if NO_CHARACTER.search(text):
            self._refuse(event, path, "holds an escape (such as \\0) that stands for no character")
        if not event.implicit[0]:
            return text
        found = scalars.scalar(text)
        if found.number:
            self.document.written.setdefault(path, text)
        if found.wrong is not None:
            self._say(event, path, found.wrong)
            (self.document.doubts.whole if found.lost else self.document.doubts.told)(path)
        elif found.value is text:
            self._comment(event.end_mark, path)
        return found.value

    def _comment(self, end: Any, path: Path) -> None:
        line = self.document.lines[end.line] if end.line < len(self.document.lines) else ""
        if "#" in line and misread.COMMENT.match(line, end.column):
            self.document.comments.setdefault(path, self._place(end.line, line.index("#", end.column)))

    def _refuse(self, event: Any, path: Path, message: str) -> None:
        """Report a value that stands for none: whatever it is, it is not looked at any more."""
        self._say(event, path, message)
        self.document.doubts.whole(path)

    def _say(self, event: Any, path: Path, message: str) -> None:
        self._problems.append(self._problem(event, path, message))
        if len(self._problems) >= PROBLEMS_MAX:
            raise ManifestError(self._problems)

    def _problem(self, event: Any, path: Path, message: str) -> Problem:
        return Problem(self._name, *self._begin(event), path_text(path), message)

    def _begin(self, event: Any) -> Place:
        return self._place(event.start_mark.line, event.start_mark.column)

    def _place(self, line: int, column: int) -> Place:
        """Return a place, both from 0, as it was before anything was mended, both from 1."""
        if line in self._mended:
            column -= sum(added for start, _end, added in self._mended[line] if column > start)
        return line + 1, column + 1
