"""The text files that a manifest takes rows from: read once, whole, and refused where they are no text.

Spreadsheets are saved in many ways; a letter that was read wrongly would end up in a paid prompt.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from batchrunner.errors import Problem
from batchrunner.manifest import leaks, nearby
from batchrunner.manifest.characters import NOT_TEXT, place_of

SIZE_MAX = 64 << 20  # some 100,000 rows of long prompts; beyond it somebody named the wrong file
ROWS_MAX = 1_000_000
WRONG_MAX = 1_000  # rows that are all wrong alike: reading on would take its time, and say nothing new

HEAD = 1 << 12  # bytes that are looked at for tabs
PICTURE = "a picture"
JSON = "JSON"
_KINDS = {
    b"PK\x03\x04": "a spreadsheet (.xlsx, .ods, .numbers) or an archive",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "a document of old Office programs (.xls, .doc)",
    b"%PDF-": "a PDF",
    b"{\\rtf": "a formatted text (.rtf)",
    b"\x89PNG\r\n": PICTURE,
    b"\xff\xd8\xff": PICTURE,
    b"GIF8": PICTURE,
}
_LINE_END = re.compile(r"\r\n|\r|\n")
# UTF-8 that was read as Windows-1252 and written again, as mail and old databases do, and what stands for a
# letter that was lost: both would be sent, and paid for, as they are.
_GARBLED_BEGIN = ("\ufffd", "\u00c3", "\u00c2", "\u00e2\u20ac")
# What follows then; without what may end a word in capitals: \u00bb, \u2026, \u203a.
_HIGH = (
    "\u00a1-\u00ba\u00bc-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc"
    "\u2020-\u2022\u2030\u2039\u20ac\u2122"
)
_GARBLED = re.compile(f"\ufffd|[\u00c3\u00c2][{_HIGH}]|\u00e2\u20ac.")
_PLAIN = bytes([*b"\t\n\r", *range(0x20, 0x7F)])  # letters that NOT_TEXT lets pass, as most of a file


class SourceError(Exception):
    """A file that cannot be used, in words: what the manifest's line that names it is told."""


class ContentError(Exception):
    """A file whose content is wrong; `problem` is in the file itself."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True)
class TextFile:
    """A source's text, its name in messages, and the hash of its bytes."""

    name: str
    text: str
    sha256: str

    @cached_property
    def lines(self) -> Sequence[str]:
        """Its lines: only a problem inside a text asks for them."""
        return _LINE_END.split(self.text)


def read_text(path: Path, told: str) -> TextFile:
    """Return a file's text; a mark at its beginning, as Excel sets it, is no part of it.

    Raises:
        SourceError: it is missing, no file, unreadable or too large.
        ContentError: it is not UTF-8, holds what no text holds, or what looks like a key.
    """
    raw = _bytes(path)
    name = str(path)
    if (kind := _other_kind(raw, told)) is not None:
        raise SourceError(f"{path} is {kind}: {_instead(kind, told)}")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw[:2]:
        kind = "csv" if b"\t\0" in raw[:HEAD] or b"\0\t" in raw[:HEAD] else told  # Excel's "Unicode text"
        raise ContentError(Problem(name, 1, 1, "", f"this is UTF-16: {_advice(kind)}"))
    try:
        text = raw.decode("utf-8-sig").lstrip("\ufeff")  # some programs add a second mark
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8")
        place = place_of(before, len(before))
        raise ContentError(Problem(name, *place, "", f"not UTF-8: {_advice(told)}")) from error
    # Both are looked for in two steps: the second takes many times as long.
    foreign = raw.translate(None, _PLAIN)
    if foreign and (match := NOT_TEXT.search(text)) is not None:
        what = f"the control character U+{ord(match.group()):04X} does not belong here"
        raise ContentError(Problem(name, *place_of(text, match.start()), "", what))
    if (
        foreign
        and any(one in text for one in _GARBLED_BEGIN)
        and (match := _GARBLED.search(text)) is not None
    ):
        raise ContentError(Problem(name, *place_of(text, match.start()), "", _garbled(match.group())))
    if (leak := leaks.in_table(text, name)) is not None:
        raise ContentError(leak)
    return TextFile(name, text, hashlib.sha256(raw).hexdigest())


def _garbled(found: str) -> str:
    """Return what happened to letters that nobody wrote, in words."""
    if found == "\ufffd":
        return (
            "a letter was lost here when the file was saved (\ufffd stands for it): export it anew, as UTF-8"
        )
    return f'"{found}" is a letter that was read wrongly when the file was made: export it anew, as UTF-8'


def _other_kind(raw: bytes, told: str) -> str | None:
    """Return what a file is that is no text, or a text for another program, by its first bytes."""
    begin = raw[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if begin.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    found = next((kind for first, kind in _KINDS.items() if raw.startswith(first)), None)
    return JSON if found is None and told == "csv" and begin.startswith((b"{", b"[{")) else found


def _instead(kind: str, told: str) -> str:
    if kind == JSON:
        return "rows of JSON, an object a line, go under `jsonl:`"
    if kind == PICTURE:
        return "name a table" if told == "csv" else "name a text"
    return "save the sheet as CSV UTF-8" if told == "csv" else "save it as plain text, UTF-8"


def _bytes(path: Path) -> bytes:
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise SourceError(f"{path} is not a file")
        with path.open("rb") as file:
            raw = file.read(SIZE_MAX + 1)
    except FileNotFoundError as error:
        raise SourceError(f"there is no file {path}{nearby.hint(path)}") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(raw) > SIZE_MAX:
        raise SourceError(f"{path} is larger than {SIZE_MAX >> 20} MiB")
    return raw


def _advice(told: str) -> str:
    if told == "csv":
        return 'in Excel choose "Save as", type "CSV UTF-8"; elsewhere save it as UTF-8'
    return "save it as UTF-8"
