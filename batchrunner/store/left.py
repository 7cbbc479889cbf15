"""How a run left the state table behind, so that the next one knows whether it must look for damage.

Looking through a whole table takes a second for every half gigabyte. A run that ended in peace therefore
leaves word of the file as it was then; where it is still that file, nobody has written to it since, and
damage can only be the disk's own, in a page that no question has read yet. SQLite checks each page it reads.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

COUNTER_AT = 24  # of SQLite's file change counter, four bytes; in every transaction it grows by one


@dataclass(frozen=True, slots=True)
class Left:
    """A state table at rest: length in bytes, SQLite's change counter, inode, and when it last changed."""

    size: int
    counter: int
    inode: int
    changed_ns: int

    def as_json(self) -> dict[str, int]:
        """Return the fields as the lock file keeps them."""
        return asdict(self)


def left(path: Path) -> Left | None:
    """Return a state table as it lies there; None: it is not at rest, or cannot be read."""
    try:
        if os.path.lexists(f"{path}-journal"):
            return None
        with path.open("rb") as file:
            info, head = os.fstat(file.fileno()), file.read(COUNTER_AT + 4)
    except OSError:
        return None
    return Left(info.st_size, int.from_bytes(head[COUNTER_AT:], "big"), info.st_ino, info.st_mtime_ns)


def told(value: Any) -> Left | None:
    """Read what `as_json` wrote; None: it is not there, or is something else."""
    match value:
        case {"size": int(size), "counter": int(counter), "inode": int(inode), "changed_ns": int(changed_ns)}:
            return Left(size, counter, inode, changed_ns)
    return None
