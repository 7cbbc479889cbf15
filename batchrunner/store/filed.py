"""Which finished files are where, by folder, and how each folder was when its files were last seen whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlite_utils import Database


@dataclass(frozen=True, slots=True)
class Mark:
    """A folder as it was when everything in it was whole. `looked_ns`: when that was seen, wall time."""

    inode: int
    changed_ns: int
    looked_ns: int


@dataclass(frozen=True, slots=True)
class Filed:
    """A file of a finished job; `path` is below the output folder. `listed`: still in the manifest."""

    job: str
    path: str
    size: int
    sha256: str
    listed: bool


def folders(db: Database) -> Iterator[tuple[str, Mark | None]]:
    """Yield every folder that files were published into, with its last slash; the output folder is empty."""
    for path, *mark in db.execute("SELECT path, inode, changed_ns, looked_ns FROM folders").fetchall():
        yield path, None if None in mark else Mark(*mark)


def below(db: Database, folder: str) -> Iterator[Filed]:
    """Yield the files of one folder and of those below it, in the order of their paths."""
    if not folder:
        return _filed(db, "true", [])
    after = folder.removesuffix("/") + "0"  # comes next after "/"
    return _filed(db, "j.file > ? AND j.file < ?", [folder, after])


def since(db: Database, path: str, jobs: int) -> Iterator[Filed]:
    """Yield the files of the next so many jobs after a path, in the order of their paths."""
    return _filed(db, "j.file > ?", [path], jobs)


def looked_to(db: Database) -> str:
    """Return the path up to which files were looked at one by one, the last time."""
    row = db.execute("SELECT looked_to FROM campaign").fetchone()
    return (row[0] if row else None) or ""


def note(db: Database, marks: Iterable[tuple[str, Mark | None]], up_to: str) -> None:
    """Write down what was seen, inside the caller's transaction."""
    rows = [
        (path, mark.inode, mark.changed_ns, mark.looked_ns) if mark else (path, None, None, None)
        for path, mark in marks
    ]
    db.conn.executemany(
        """INSERT INTO folders (path, inode, changed_ns, looked_ns) VALUES (?, ?, ?, ?)
           ON CONFLICT (path) DO UPDATE SET inode = excluded.inode, changed_ns = excluded.changed_ns,
               looked_ns = excluded.looked_ns""",
        rows,
    )
    db.execute("UPDATE campaign SET looked_to = ?", [up_to])


def _filed(db: Database, where: str, values: list[str], jobs: int = -1) -> Iterator[Filed]:
    rows = db.execute(
        f"""SELECT j.id, a.files, j.position IS NOT NULL
            FROM (SELECT id, file, position FROM jobs j WHERE file IS NOT NULL AND {where}
                  ORDER BY file LIMIT ?) j
            JOIN attempts a INDEXED BY attempts_by_job ON a.job = j.id AND a.state = 'done'
            ORDER BY j.file""",
        [*values, jobs],
    )
    for job, files, listed in rows:
        for file in json.loads(files or "[]"):
            yield Filed(job, file["path"], file["size"], file["sha256"], bool(listed))
