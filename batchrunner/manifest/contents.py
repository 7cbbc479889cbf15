"""What a table says, whatever its bytes: whether it was only saved anew, or its rows stand in another order.

Asked for when a plan is saved, and where one holds no more: loading a manifest need not wait for it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchrunner.manifest.csvread import plain_rows
from batchrunner.manifest.textfile import ContentError, SourceError, TextFile, read_text
from batchrunner.values import canonical


class Bag:
    """A hash over things in whatever order: the sum of theirs."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, digest: bytes) -> None:
        """Add a thing by its SHA-256."""
        self._sum += int.from_bytes(digest, "big")

    @property
    def sha256(self) -> str:
        """The hash over all that was added so far; nothing where that is nothing."""
        return f"{self._sum % (1 << 256):064x}" if self._sum else ""


@dataclass(frozen=True, slots=True)
class Contents:
    """Hashes of a table: of its bytes, of its rows as they follow each other, and of these in any order."""

    sha256: str
    rows: str
    any_order: str


def contents(path: Path, kind: str) -> Contents | None:
    """Return the hashes of a `csv`, `jsonl` or `lines` file; None: it cannot be read any more."""
    whole, bag = hashlib.sha256(), Bag()
    try:
        file = read_text(path, kind)
        for row in _rows(file, kind):
            digest = hashlib.sha256(row.encode()).digest()
            whole.update(digest)
            bag.add(digest)
    except (SourceError, ContentError, ValueError, RecursionError):
        return None
    return Contents(file.sha256, whole.hexdigest(), bag.sha256)


def _rows(file: TextFile, kind: str) -> Iterator[str]:
    if kind == "csv":
        yield from map(canonical, plain_rows(file))
        return
    texts = (text.strip() for text in io.StringIO(file.text, newline=None))
    yield from (text if kind == "lines" else canonical(json.loads(text)) for text in texts if text)
