"""What is no YAML, and what was most likely meant: mostly a text that lacks its quotes.

A parser stops at the first such place, and so would hide all that is wrong behind it. So a text that plainly
lacks its quotes gets them, is told, and is read on. Nothing guessed is ever sent, for it is told as wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from batchrunner.manifest.characters import Place, invisible
from batchrunner.manifest.slips import ESCAPE, Mend, Stop, slip

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
    "escape c": ESCAPE,
    "hexdecimal number": ESCAPE,
    "hexadecimal": ESCAPE,
    "alphabetic or numeric character": "a text that begins with * or & needs quotes",
    "expected comment or a line break": "a text that begins with | or > needs quotes",
    "expected comment or line break": "a text that begins with | or > needs quotes",
}

_KEY = r"""(?:[\w.<>-]+|"[^"]*"|'[^']*')"""
_START = re.compile(rf"[ ]*(?:-[ ]+)*(?:(?<=- )(?=[A-Z])|(?:{_KEY}[ ]*:[ ]+)?)")  # no key is a Word: a text
_FLOW_KEY = re.compile(rf"[ ]*(?:{_KEY}[ ]*:[ ]+)?")
_NEXT_KEY = re.compile(rf",[ ]*{_KEY}[ ]*:(?:[ ]|$)")
_HOLE = re.compile(r"\{[\w.-]+\}")
COMMENT = re.compile(r"(?<![ \t])[ \t]+#")  # from the first blank on, else a line of blanks takes minutes
_ENDS = re.compile(r"[ ]*(?:$|#|[,\]}])")  # what follows a quote that closes a text
_ENDS_THERE = {
    "'": "a ' inside 'single quotes' ends the text there, unless it is doubled",
    '"': 'a " inside "double quotes" ends the text there, unless it is written \\"',
}
_IN_FLOW = "expected ',' or"
# What may stand before a colon in brackets where the comma before it was forgotten, and no text was meant.
_KEY_BEFORE = re.compile(
    r"[\w\"'}\];] +(id|url|file|glob|csv|jsonl|lines|frames|text|image|prompt|takes?|vars|parameters)$"
)
_SPECIAL = frozenset("{[@`%*&!|>")
SHOWN_MAX = 60
LINE_MAX = 10_000  # longer ones are not looked through


def meaning(said: str) -> str:
    """Return what a parser's words mean for people."""
    return f"not YAML: {next((meant for words, meant in _MEANT.items() if words in said), said)}"


def stopped(said: str, lines: Sequence[str], place: Place, context: Place, begun: int) -> Stop | None:
    """Return what was meant where a parser stopped, if that is plain.

    `place`, `context`: where that was, and where what it was in began (from 0); `begun`: the line in which
    the bracket was opened, if it was in one.
    """
    number, column = place
    line = lines[number]
    if len(line) > LINE_MAX:
        return None
    above = (number - 1, lines[number - 1]) if number else (0, "")
    for at, text in ((number, line[: column + 1]), above):
        if (hidden := invisible(text)) is not None:
            where = hidden[0]
            message = f"not YAML: {hidden[1]} stands here: write a plain space"
            return Stop(at, where, message, Mend(where, where + 1, " ", ""))
    if (one := slip(said, lines, place, context)) is not None:
        return one
    if (key := no_comma(line, column)) is not None:
        begins = column - len(key)
        end = len(line[:begins].rstrip())
        return Stop(number, begins, f"a comma is missing before `{key}:`", Mend(end, end, ",", ""))
    if (found := mend(line, column, said)) is not None:
        return Stop(number, found.start, found.message, found)
    for at in {begun, number - 1} - {number, -1}:
        if (sign := comment(lines[at])) is not None and _left_open(lines[at], sign):
            what = "a # begins a comment here, and the bracket before it stays open: put the text into quotes"
            return Stop(at, sign, f"not YAML: {what}")
    return None


def _left_open(line: str, sign: int) -> bool:
    """Tell whether a comment hides the bracket that closes another one."""
    before = sum(line.count(one, 0, sign) for one in "{[") - sum(line.count(one, 0, sign) for one in "}]")
    return before > 0 and any(one in line[sign:] for one in "}]")


def mend(line: str, column: int, said: str) -> Mend | None:
    """Return how a line was meant in which the parser stopped at a column (from 0), where that is plain."""
    for start, end in reversed([one for one in _texts(line, in_flow=_IN_FLOW in said) if one[0] <= column]):
        text = line[start:end]
        if column > end + 1:
            return None
        if (what := _lacks(text) or _name_in_flow(text, said)) is not None:
            quoted = quotes(_inner(text))
            rest = " (the # behind it begins a comment)" if COMMENT.match(line, end) else ""
            return Mend(start, end, quoted, f"{what}: write {_cut(quoted)}{rest}")
    return None


def comment(line: str) -> int | None:
    """Return where a comment begins in a line (from 0), if one plainly does."""
    found = COMMENT.search(line)
    return found.end() - 1 if found and not {"'", '"'} & {*line[: found.start()]} else None


def no_comma(line: str, column: int) -> str | None:
    """Return the key before which a comma is missing, if the parser stopped at its colon."""
    found = _KEY_BEFORE.search(line, 0, column)
    return found[1] if found and line[column : column + 1] == ":" else None


def _lacks(text: str) -> str | None:
    """Return what is wrong with a text as it is written; None: it needs no quotes."""
    first = text[:1]
    if first in {"'", '"'}:
        if len(text) > 2 and text.endswith(first) and first in text[1:-1].replace(2 * first, ""):
            return _ENDS_THERE[first]
        closed = first in text[1:] and not text.endswith(first)
        return (
            "a text that begins with a quote and goes on behind it needs quotes around it" if closed else None
        )
    if first in _SPECIAL:
        return f"a text that begins with {first} needs quotes"
    return "a text with `: ` in it needs quotes" if ": " in text else None


def _name_in_flow(text: str, said: str) -> str | None:
    """Return what is wrong with a text that is right by itself, but in brackets needs quotes."""
    named = _IN_FLOW in said and _HOLE.search(text)
    return "a text with { in it needs quotes where it stands in brackets" if named else None


def _inner(text: str) -> str:
    """Return the words of a text that may stand in quotes of its own."""
    first = text[:1]
    whole = first in {"'", '"'} and text.endswith(first)
    return text[1:-1].replace(2 * "'", "'") if whole else text


def quotes(text: str) -> str:
    """Return a text in quotes, so that YAML reads just it."""
    plain = '"' not in text and "\\" not in text
    return f'"{text}"' if plain else "'" + text.replace("'", "''") + "'"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 1]}…"


def _texts(line: str, *, in_flow: bool) -> Iterator[tuple[int, int]]:
    """Yield where each value of a line begins and ends; `in_flow`: the line may go on in brackets."""
    at = _START.match(line)
    place = at.end() if at else 0
    if not line[place:].strip():
        return
    if line[place] in "{[" and _opens(line, place):
        yield from _flow(line, place)
        return
    end = _block_end(line, place)
    if in_flow:
        end = min(end, _flow_end(line, place, in_list=False))
        end -= line[end - 1] == ","
    yield place, end


def _opens(line: str, place: int) -> bool:
    """Tell whether a bracket at a place opens a mapping or list: else a text begins with it."""
    rest = line[place + 1 :]
    if line[place] == "{":
        return re.match(rf"[ ]*(?:$|}}[ ]*(?:$|[,\]}}])|{_KEY}[ ]*:(?:[ ]|$)|{_KEY}:)", rest) is not None
    closed = rest.find("]")
    return closed < 0 or _ENDS.match(rest, closed + 1) is not None


def _block_end(line: str, place: int) -> int:
    comment = None if line[place] in "'\"" else COMMENT.search(line, place)
    return comment.start() if comment else len(line.rstrip())


def _flow(line: str, place: int) -> Iterator[tuple[int, int]]:
    """Yield the values of what is in brackets."""
    open_: list[str] = []
    while place < len(line):
        char = line[place]
        if char in "{[" and _opens(line, place):
            open_.append(char)
            place += 1
        elif char in "}]":
            open_ = open_[:-1]
            place += 1
            continue
        elif not open_:
            return
        elif char == ",":
            place += 1
        at = _FLOW_KEY.match(line, place)
        place = at.end() if at and open_[-1] == "{" else len(line) - len(line[place:].lstrip())
        if place >= len(line) or (line[place] in "{[" and _opens(line, place)) or line[place] in "}],":
            continue
        end = _flow_end(line, place, in_list=open_[-1] == "[")
        if end <= place:
            return
        yield place, len(line[:end].rstrip())
        place = end


def _flow_end(line: str, place: int, *, in_list: bool) -> int:
    """Return where a text in brackets ends: at a comma before the next key, or at a bracket that closes."""
    first = line[place]
    if first in "'\"":
        for end in range(place + 1, len(line)):
            if line[end] == first and _ENDS.match(line, end + 1):
                return end + 1
    while place < len(line):
        if hole := _HOLE.match(line, place):
            place = hole.end()
        elif line[place] in "}]" or (line[place] == "," and (in_list or _NEXT_KEY.match(line, place))):
            return place
        else:
            place += 1
    return place
