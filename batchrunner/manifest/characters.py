"""From bytes to text: UTF-8 alone, without what no text holds, and where in it something stands."""

from __future__ import annotations

import re
from itertools import islice
from typing import TypeAlias

from batchrunner.errors import ManifestError, Problem

PROBLEMS_MAX = 100  # told at once; a hostile file of 4 MiB could hold a million
Place: TypeAlias = tuple[int, int]

NOT_TEXT = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NO_CHARACTER = re.compile(r"[\0\ud800-\udfff]")  # what only an escape can bring in

# Characters that nobody sees, but not those that join letters and emojis in many languages.
_INVISIBLE = re.compile("[\xa0\xad\u200b\u200e\u200f\u2028-\u202f\u2060\u2066-\u2069\ufeff]")
_NO_BREAK = frozenset("\xa0\u202f")
_INDENT = re.compile("^[ \t\xa0]*[\t\xa0][ \t\xa0]*", re.MULTILINE)
_CONTROL = "the control character"
_ODD = re.compile("[\t\xa0]")


def decoded(raw: bytes, name: str) -> str:
    """Return the text of a file; `name` is what messages call it.

    Raises:
        ManifestError: it is not UTF-8, or holds what no text holds.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ManifestError([Problem(name, 1, 1, "", "this is UTF-16: save it as UTF-8")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8")  # without the mark that Windows may set
        place = place_of(before, len(before))
        raise ManifestError([Problem(name, *place, "", "not UTF-8: save the file as UTF-8")]) from error
    problems = [
        Problem(name, *place_of(text, one.start()), "", f"{_CONTROL} {code(one[0])} does not belong here")
        for one in islice(NOT_TEXT.finditer(text), PROBLEMS_MAX)
    ]
    if problems:
        raise ManifestError(problems)
    return text


def indented(text: str, name: str) -> tuple[str, list[Problem]]:
    """Return a text that is indented by spaces alone, and each line that was not.

    Where all lines have tabs, one space for each is as good.
    """
    found = list(islice(_INDENT.finditer(text), PROBLEMS_MAX))
    problems = []
    for one in found:
        odd = _ODD.search(one[0])
        at = one.start() + (odd.start() if odd else 0)
        kind = "a tab" if text[at] == "\t" else f"the no-break space {code(text[at])}"
        problems.append(Problem(name, *place_of(text, at), "", f"{kind} in the indentation: use spaces"))
    return _INDENT.sub(lambda one: _ODD.sub(" ", one[0]), text) if found else text, problems


def place_of(text: str, index: int) -> Place:
    """Return line and column, both from 1, of a character in a text."""
    before = text[:index]
    return before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1


def invisible(text: str) -> tuple[int, str] | None:
    """Return where a text holds a character that nobody sees (from 0), and which, if it does."""
    found = _INVISIBLE.search(text)
    if found is None:
        return None
    kind = "the no-break space" if found[0] in _NO_BREAK else "the invisible character"
    return found.start(), f"{kind} {code(found[0])}"


def visible(text: str) -> str:
    """Return a text without the characters that nobody sees."""
    return _INVISIBLE.sub("", text).strip()


def code(char: str) -> str:
    """Return a character's number as people look it up."""
    return f"U+{ord(char):04X}"
