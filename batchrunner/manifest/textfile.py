"""The text files that a manifest takes rows from: read once, whole, and refused where they are no text.

Spreadsheets are saved in many ways; a letter that was read wrongly would end up in a paid prompt.
"""

from __future__ import annotations

import hashlib
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from batchrunner.errors import Problem
from batchrunner.manifest import nearby
from batchrunner.manifest.characters import NOT_TEXT, place_of

SIZE_MAX = 64 << 20  # some 100,000 rows of long prompts; beyond it somebody named the wrong file
ROWS_MAX = 1_000_000

KEY_FOUND = "this looks like an API key: keys belong into the environment, not into a manifest"
# As in a manifest, and at the beginning of a cell; inside a signed address it may stand.
_KEY_LIKE = re.compile(r"(?<![^\s\"',;])eyJ[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}")
_PLAIN = bytes([*b"\t\n\r", *range(0x20, 0x7F)])  # letters that NOT_TEXT lets pass, as most of a file


class SourceError(Exception):
    """A file that cannot be used, in words: what the manifest's line that names it is told."""


class ContentError(Exception):
    """A file whose content is wrong; `problem` is in the file itself."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class TextFile:
    """A source's text, its name in messages, and the hash of its bytes."""

    name: str
    text: str
    sha256: str


def read_text(path: Path, told: str) -> TextFile:
    """Return a file's text; a mark at its beginning, as Excel sets it, is no part of it.

    Raises:
        SourceError: it is missing, no file, unreadable or too large.
        ContentError: it is not UTF-8, holds what no text holds, or what looks like a key.
    """
    raw = _bytes(path)
    name = str(path)
    if raw.startswith(b"PK\x03\x04"):
        raise SourceError(f"{path} is a spreadsheet (.xlsx, .ods) or an archive: save the sheet as CSV UTF-8")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ContentError(Problem(name, 1, 1, "", f"this is UTF-16: {_advice(told)}"))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8")
        place = place_of(before, len(before))
        raise ContentError(Problem(name, *place, "", f"not UTF-8: {_advice(told)}")) from error
    # Both are looked for in two steps: the second takes many times as long.
    if raw.translate(None, _PLAIN) and (match := NOT_TEXT.search(text)) is not None:
        what = f"the control character U+{ord(match.group()):04X} does not belong here"
        raise ContentError(Problem(name, *place_of(text, match.start()), "", what))
    if "eyJ" in text and (match := _KEY_LIKE.search(text)) is not None:
        raise ContentError(Problem(name, *place_of(text, match.start()), "", KEY_FOUND))
    return TextFile(name, text, hashlib.sha256(raw).hexdigest())


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
