"""One character too many or too few at which a parser stops, if that is plain: a blank, a comma, a quote.

What stood there is told with what to write, and is read on as that, as texts without quotes are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from batchrunner.manifest.characters import Place

ESCAPE = 'in "double quotes" a \\ begins an escape: use single quotes, or write \\\\'

_NO_ESCAPE = ("escape c", "hexdecimal", "hexadecimal")  # libyaml's words, its own slip among them
_TEXT_END = re.compile(r'"(?=[ ]*(?:$|#|[,\]}]))')
_HALVES = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_WINDOWS = re.compile(r"[A-Za-z]:\\|[\w .-]+\\[\w .-]+(?:\\|$)")
_NO_BLANK = re.compile(r"[ ]*(?:-[ ]+)*([a-z_]+):(?=[^\s/])")
_DASH = re.compile(r"[ ]*-(?=[A-Za-z]\w*:[ ])")
_OPENER = re.compile(r'(?:^[ ]*-|[:,\[{])[ ]*"[ ]*$')
_CLOSES = {"{": "}", "[": "]"}
_ENTRY = re.compile(r"[ ]*(?:-[ ]|[a-z_]+:(?:[ ]|$))")
_KEY_ALONE = re.compile(r"[ ]*[a-z_]*")
_DASH_WORD = re.compile(r"[ ]*-(?=[^ -])")
_BEFORE_WORDS = re.compile(r"[ ]*(?:-[ ]+)*(?:text|prompt):[ ]+")


@dataclass(frozen=True, slots=True)
class Mend:
    """What to put into a line instead of a part of it (from 0), and what to say."""

    start: int
    end: int
    quoted: str
    message: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a parser stopped (from 0), what was most likely meant, and how to read on."""

    line: int
    column: int
    message: str
    mend: Mend | None = None


def slip(said: str, lines: Sequence[str], place: Place, context: Place) -> Stop | None:
    """Return the character that was plainly too many or too few.

    `place`, `context`: where the parser stopped, and where that began which it was in (from 0).
    """
    number, column = place
    stays = _open_quote(said, lines, place, context) or _open_bracket(said, lines, place, context)
    if stays is not None:
        return stays
    if any(words in said for words in _NO_ESCAPE):
        return _escape(lines[number], number, column, context[1]) if context[0] == number else None
    if "could not find expected ':'" in said and (found := _NO_BLANK.match(lines[context[0]])):
        return _put(context[0], found.end(), " ", f"a blank is missing after `{found[1]}:`", found.start(1))
    if "mapping values are not allowed" in said and number and (found := _DASH.match(lines[number - 1])):
        return _put(number - 1, found.end(), " ", "a blank is missing after the dash", found.end() - 1)
    if "could not find expected ':'" in said and (found := _DASH_WORD.match(lines[context[0]])):
        return _put(context[0], found.end(), " ", "a blank is missing after the dash", found.end() - 1)
    rest = lines[number][column:].strip()
    if said.endswith(("expected key", "expected '-' indicator")) and rest in {",", ";"}:
        mend = Mend(column, column + 1, "", "")
        return Stop(number, column, f"a line does not end with {rest} here: leave it out", mend)
    words = _BEFORE_WORDS.fullmatch(lines[number], 0, column)
    if "sequence entries are not allowed" in said and words and '"' not in rest and "\\" not in rest:
        message = f'a text that begins with - needs quotes: write "{rest}"'
        return Stop(number, column, message, Mend(column, column + len(rest), f'"{rest}"', ""))
    return None


def _open_quote(said: str, lines: Sequence[str], place: Place, context: Place) -> Stop | None:
    """Return where a double quote is never closed: at the end of the file, or at the next quote below."""
    number, column = place
    line = lines[number]
    if "unexpected end of stream" in said or "unexpected document" in said:
        number, begin = context
        quote = lines[number][begin : begin + 1]
        return _closed(lines[number], number, begin, quote) if quote in {"'", '"'} else None
    # A quote that opens here was read as the end of one above.
    opens = not _quotes(line) % 2 or _OPENER.search(line[:column])
    if not opens or not _quotes(line[:column]) % 2:
        return None
    above = next((at for at in range(number - 1, -1, -1) if _quotes(lines[at])), None)
    if above is None or not _quotes(lines[above]) % 2:
        return None
    return _closed(lines[above], above, lines[above].rindex('"'), '"')


def _quotes(line: str) -> int:
    return line.replace("\\\\", "").replace('\\"', "").count('"')


def _closed(line: str, number: int, begin: int, quote: str) -> Stop:
    """Return an open quote, and that it is closed at the end of its line, before all that closes brackets."""
    end = len(line[begin:].rstrip().rstrip("}],").rstrip()) + begin
    return Stop(number, begin, "this quote is never closed", Mend(end, end, quote, ""))


def _open_bracket(said: str, lines: Sequence[str], place: Place, context: Place) -> Stop | None:
    """Return a bracket that is still open where the next line begins a key or an entry as if it were not."""
    number, column = place
    begun, begin = context
    line, opened = lines[begun], lines[begun][begin : begin + 1]
    if "expected ',' or" not in said or begun != number - 1 or opened not in _CLOSES:
        return None
    if (
        not _KEY_ALONE.fullmatch(lines[number], 0, column)
        or not _ENTRY.match(lines[number])
        or not line[begin + 1 :].strip()
    ):
        return None
    end = len(line.rstrip())
    message = f"this {opened} is never closed"
    return Stop(begun, begin, message, Mend(end, end, _CLOSES[opened], ""))


def _put(number: int, at: int, what: str, message: str, shown: int) -> Stop:
    return Stop(number, shown, message, Mend(at, at, what, ""))


def _escape(line: str, number: int, column: int, begin: int) -> Stop | None:
    """Return how a text in double quotes was meant that has a backslash for itself."""
    if halves := list(_HALVES.finditer(line)):  # JSON's way; all of the line, for it is read on only once
        first, last = halves[0], halves[-1]
        whole = _HALVES.sub(lambda one: _joined(one[0]), line[first.start() : last.end()])
        message = f"{first[0]} are two halves of a character, which only JSON has: write {_joined(first[0])}"
        return Stop(number, first.start(), message, Mend(first.start(), last.end(), whole, ""))
    end = _TEXT_END.search(line, column)
    if end is None or line[begin : begin + 1] != '"':
        return None
    inner = line[begin + 1 : end.start()]
    single = "'" + inner.replace("'", "''") + "'"
    unescaped = inner.replace("\\'", "'")
    if "\\" not in unescaped:
        single = f'"{unescaped}"'
    elif not _WINDOWS.match(inner):
        return Stop(number, column, f"not YAML: {ESCAPE}", Mend(begin, end.end(), single, ""))
    message = f'in "double quotes" a \\ begins an escape: write {single}'
    return Stop(number, begin, message, Mend(begin, end.end(), single, ""))


def _joined(halves: str) -> str:
    """Return the character that two halves stand for."""
    code = bytes.fromhex(halves.replace("\\u", ""))
    return code.decode("utf-16-be")
