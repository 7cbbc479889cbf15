"""A million jobs into the table, for little more than a plain insert of the same rows takes.

Where the table is empty, the indexes that every new job is in are built once all rows are there: to sort
them once is cheaper than to keep them sorted. All of it is the caller's transaction: none sees it half made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from sqlite_utils import Database

from batchrunner.store.puts import put_jobs
from batchrunner.values import JobRow

# A statement costs some microseconds beside its rows; more than these gain little. SQLite takes 999 values.
TOGETHER = 50
_BUILT_LAST = ("jobs_by_state", "jobs_by_coverage", "jobs_by_image")


def record(db: Database, jobs: Iterable[JobRow]) -> int:
    """Add the jobs, or overwrite those that are there, numbered as they come; return how many there are."""
    with _indexed_last(db):
        return _put(db, jobs)


def _put(db: Database, jobs: Iterable[JobRow]) -> int:
    some, one, count = put_jobs(TOGETHER), put_jobs(1), 0
    rows = iter(jobs)
    while chunk := list(islice(rows, TOGETHER)):
        numbered = [(*row, position) for position, row in enumerate(chunk, count + 1)]
        if len(chunk) == TOGETHER:
            db.conn.execute(some, list(chain.from_iterable(numbered)))
        else:
            db.conn.executemany(one, numbered)
        count += len(chunk)
    return count


@contextlib.contextmanager
def _indexed_last(db: Database) -> Iterator[None]:
    if db.execute("SELECT 1 FROM jobs LIMIT 1").fetchone():
        yield
        return
    marks = ", ".join("?" * len(_BUILT_LAST))
    found = db.execute(f"SELECT name, sql FROM sqlite_master WHERE name IN ({marks})", _BUILT_LAST).fetchall()
    for name, _sql in found:
        db.execute(f"DROP INDEX {name}")
    yield
    for _name, sql in found:
        db.execute(sql)
