"""Names that are safe in job ids and on every file system."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from pathlib import PurePosixPath

ID_MAX = 64
WORDS_ID_MAX = 48
ID = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{ID_MAX - 1}}}")
RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
)
SEGMENT_BYTES_MAX = 120
# What `slug` and `segment` give back as it is: nearly all that a large table holds.
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_SEGMENT = rf"(?!(?i:{'|'.join(RESERVED)})(?:[./]|\Z))" r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,118}[A-Za-z0-9_])?"
_MADE_UP = re.compile("x[0-9a-f]{8}")
_PATH = re.compile(f"{_SEGMENT}(?:/{_SEGMENT})*")


def slug(text: str) -> str:
    """Return a text as an id: lower case, plain letters, dashes. What has none gets a name of its hash."""
    if _SLUG.fullmatch(text) and "--" not in text:
        return text
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:ID_MAX].strip("-._")
    return found or f"x{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def stem(path: str) -> str:
    """Return the name of a file without its suffix: ids come of it, so it is the same in every Python.

    (pathlib takes a dot at the end for a suffix since 3.14, and did not before.)
    """
    name = path.rpartition("/")[2]
    if name in {"", "."}:
        name = PurePosixPath(path).name
    bare, _dot, suffix = name.rpartition(".")
    return bare if bare and suffix else name


def first_words(text: str) -> str:
    """Return the id of a prompt that is written in the manifest without one."""
    return slug(" ".join(re.sub(r"[{}]", "", text).split()[:5]))


def words_id(text: str) -> str:
    """Return an id from nothing but the words: other rows, and their order, do not matter to it."""
    head = first_words(text)[:WORDS_ID_MAX].strip("-._")
    return f"{head}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def is_made_up(name: str) -> bool:
    """Tell whether `slug` had nothing to make a name of."""
    return _MADE_UP.fullmatch(name) is not None


def is_reserved(name: str) -> bool:
    """Tell whether Windows keeps a name for itself, with whatever suffix."""
    return name.partition(".")[0].lower() in RESERVED


def is_path(text: str) -> bool:
    """Tell whether every file system takes each part of a path as it is."""
    return _PATH.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def segment(text: str) -> str:
    """Return one part of a path as every file system takes it; see `is_path`."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-") or "x"
    safe = safe if len(safe) <= SEGMENT_BYTES_MAX else _cut(safe)
    return f"{safe}_" if is_reserved(safe) else safe


def _cut(text: str) -> str:
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: SEGMENT_BYTES_MAX - 9]}-{mark}"
