"""Whether a state table is whole and agrees with itself: every page, every index, every count. Reads only.

Each question is a look of its own, so that a run at work can commit between two of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from batchrunner.errors import LocalError
from batchrunner.store import counters
from batchrunner.store.expected import check_schema
from batchrunner.store.filed import Filed
from batchrunner.store.schema import SCHEMA_VERSION

WORST = 20  # sentences of one kind
PAGE = 500  # jobs in one look


def damage(db: Database) -> Iterator[str]:
    """Yield what SQLite finds wrong in its own pages and indexes."""
    names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0").fetchall()
    for (name,) in names:
        quoted = name.replace("'", "''")
        for (told,) in db.execute(f"PRAGMA integrity_check('{quoted}')").fetchmany(WORST):
            if told != "ok":
                yield f"{name}: {told}"


def contradictions(db: Database, path: Path) -> Iterator[str]:
    """Yield where the table contradicts itself, or its own rules: keys, schema, the states of jobs."""
    for name, row, parent, _key in db.execute("PRAGMA foreign_key_check").fetchmany(WORST):
        yield f"row {row} of {name} belongs to a row of {parent} that is not there"
    if not is_old(db):
        try:
            check_schema(db, path)
        except LocalError as error:
            yield str(error).replace("; nothing was sent", "")
    unfiled = db.execute(
        """SELECT id FROM jobs WHERE state = 'done' AND (file IS NULL OR NOT EXISTS
           (SELECT 1 FROM attempts a WHERE a.job = jobs.id AND a.state = 'done')) LIMIT ?""",
        [WORST],
    ).fetchall()
    for (job,) in unfiled:
        yield f"{job} is done, and no file or no attempt of it is"


def miscounts(db: Database) -> list[str]:
    """Return where the counts that the table keeps are not what is there."""
    return [] if is_old(db) else counters.differences(db)


def is_old(db: Database) -> bool:
    """Tell whether an older version made the table, and no run has brought it up to date since."""
    return bool(db.execute("PRAGMA user_version").fetchone()[0] < SCHEMA_VERSION)


def published(db: Database) -> Iterator[list[Filed]]:
    """Yield the files of all finished jobs, some hundred at a time; nothing is held open between."""
    last = 0
    while True:
        rows = db.execute(
            """SELECT a.id, a.job, a.files, j.position IS NOT NULL FROM attempts a JOIN jobs j ON j.id = a.job
               WHERE a.state = 'done' AND a.id > ? ORDER BY a.id LIMIT ?""",
            [last, PAGE],
        ).fetchall()
        if not rows:
            return
        last = rows[-1][0]
        yield [
            Filed(job, file["path"], file["size"], file["sha256"], bool(listed))
            for _id, job, files, listed in rows
            for file in json.loads(files or "[]")
        ]
