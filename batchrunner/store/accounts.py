"""Questions of one who holds the books: every attempt, every job's payload, one job's whole story.

They only read. `snapshot` makes several of them one look, so that a run at work cannot commit in between.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from batchrunner.store import reading
from batchrunner.store.schema import UNUSUAL
from batchrunner.values import Attempt, AttemptState, Payload

PREFIXES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job as the books need it: what it sends (before uploads) and what one try costs at most."""

    id: str
    model: str
    payload: Payload
    cost_micros: int


@contextlib.contextmanager
def snapshot(db: Database) -> Iterator[None]:
    """Let every question inside see one and the same commit. A runner's next commit waits for the end."""
    db.conn.execute("BEGIN")
    try:
        yield
    finally:
        db.conn.execute("ROLLBACK")


def models(db: Database) -> list[str]:
    """Return every model that a job or an attempt names."""
    rows = db.execute("SELECT model FROM attempts UNION SELECT model FROM jobs ORDER BY 1").fetchall()
    return [model for (model,) in rows]


def attempts(db: Database) -> list[Attempt]:
    """Return every attempt, oldest first."""
    return reading.attempts(db, AttemptState)


def wanted(db: Database) -> list[Wanted]:
    """Return every job, those that are no longer in the manifest included, in the manifest's order."""
    rows = db.execute(
        """SELECT id, model, payload, coalesce(cost_usd_micros, 0) FROM jobs
           ORDER BY position IS NULL, position, id"""
    ).fetchall()
    return [Wanted(id_, model, json.loads(payload), cost) for id_, model, payload, cost in rows]


def upload_urls(db: Database, account: str) -> Mapping[str, list[str]]:
    """Return the public URLs that each local picture, by content hash, has had in one account."""
    found: dict[str, list[str]] = defaultdict(list)
    rows = db.execute("SELECT sha256, public_url FROM uploads WHERE account = ?", [account]).fetchall()
    for sha256, url in rows:
        found[sha256].append(url)
    return found


def adopted(db: Database) -> set[int]:
    """Return the ids of the attempts whose lost request was found again, by search or by a person."""
    rows = db.execute(
        f"SELECT DISTINCT attempt FROM events WHERE kind = 'found' AND {UNUSUAL} AND attempt IS NOT NULL"
    )
    return {attempt for (attempt,) in rows.fetchall()}


def job_ids(db: Database, prefix: str) -> list[str]:
    """Return the job of exactly this id, else the first few ids that begin with it (one more than shown)."""
    rows = db.execute(
        """SELECT id FROM jobs WHERE substr(id, 1, length(:prefix)) = :prefix
           ORDER BY id <> :prefix, position IS NULL, position LIMIT :limit""",
        {"prefix": prefix, "limit": PREFIXES_SHOWN + 1},
    ).fetchall()
    found = [id_ for (id_,) in rows]
    return found[:1] if found[:1] == [prefix] else found


def job(db: Database, job_id: str) -> dict[str, Any]:
    """Return one job's row; it must be there."""
    return next(db.query("SELECT * FROM jobs WHERE id = ?", [job_id]))


def job_attempts(db: Database, job_id: str) -> list[dict[str, Any]]:
    """Return the rows of one job's attempts, oldest first."""
    return list(db.query("SELECT * FROM attempts WHERE job = ? ORDER BY number", [job_id]))


def job_events(db: Database, job_id: str) -> list[dict[str, Any]]:
    """Return the rows of one job's events in the order they were written, the evidence read from its JSON."""
    rows = db.query("SELECT * FROM events WHERE job = ? ORDER BY id", [job_id])
    return [{**row, "evidence": json.loads(row["evidence"] or "{}")} for row in rows]
