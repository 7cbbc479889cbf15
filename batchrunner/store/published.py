"""What a state table says of the files that were published, and whether it is whole itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlite_utils import Database

from batchrunner.values import MediaFile


def published(db: Database) -> Iterator[tuple[str, MediaFile]]:
    """Yield job and file of everything that was published, also for jobs that are no longer listed."""
    rows = db.execute("SELECT job, files FROM attempts WHERE state = 'done' ORDER BY id")
    for job, files in rows:
        yield from ((job, MediaFile(**file)) for file in json.loads(files or "[]"))


def damage(db: Database) -> list[str]:
    """Return what is wrong with the table's pages, keys and counts, in words."""
    found = [text for (text,) in db.execute("PRAGMA integrity_check(20)") if text != "ok"]
    found += [
        f"a row of {table} refers to one of {parent} that is not there"
        for table, _row, parent, _key in db.execute("PRAGMA foreign_key_check")
    ]
    alone = db.execute(
        """SELECT id FROM jobs WHERE state = 'done' AND NOT EXISTS
           (SELECT 1 FROM attempts WHERE job = jobs.id AND state = 'done') LIMIT 20"""
    )
    return found + [f"{job} counts as done, and no attempt of it is" for (job,) in alone]
