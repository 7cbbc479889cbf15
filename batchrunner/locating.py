"""Where files with some content are: at the paths that are known of them, or else somewhere near.

A path may be old; only the content tells. What is looked through is bounded: a manifest may lie in a home.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path

from batchrunner.manifest.pictures import FILE_MAX, VIDEO_MAX

NEAR_MAX = 10_000  # files that are looked at, of all kinds
SPELLINGS = {"jpeg": ("jpg", "jpeg"), "jpg": ("jpg", "jpeg")}
SIZE_MAX = max(FILE_MAX, VIDEO_MAX)


def hash_of(path: Path) -> str | None:
    """Return a file's SHA-256 (hex); None: it is none, cannot be read, or is larger than what is uploaded."""
    try:
        if not path.is_file() or path.stat().st_size > SIZE_MAX:
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def locate(
    wanted: Mapping[str, str], likely: Iterable[Path], folders: Iterable[Path] = (), *, deep: bool = False
) -> dict[str, Path]:
    """Return where files are, by content hash: first the likely paths are looked at, then folders.

    `wanted`: hashes, and the extensions that such files have; `deep`: the folders below the folders too.
    """
    left, found = set(wanted), dict[str, Path]()
    kinds = {f".{one}" for kind in wanted.values() for one in SPELLINGS.get(kind, (kind,))}
    near = (path for folder in dict.fromkeys(folders) for path in _in(folder, deep=deep))
    some = (path for path in islice(near, NEAR_MAX) if path.suffix.lower() in kinds)
    for path in chain(likely, some):
        if not left:
            break
        if (sha256 := hash_of(path)) in left:
            left.discard(sha256)
            found[sha256] = path
    return found


def _in(folder: Path, *, deep: bool) -> Iterator[Path]:
    """Yield a folder's files in the order of their names, without hidden ones and hidden folders."""
    for here, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith(".")) if deep else []
        yield from (Path(here, name) for name in sorted(names) if not name.startswith("."))
