"""Questions of the report page: every job, every try at it, and the stories that did not go plainly.

They only read; ask them inside `accounts.snapshot`, so that all of them see one commit.
"""

from __future__ import annotations

import json
from typing import Any

from sqlite_utils import Database

from batchrunner.store.runs import BEGAN, ENDED
from batchrunner.store.schema import UNUSUAL


def jobs(db: Database) -> list[dict[str, Any]]:
    """Return every job's row in the manifest's order; those that are no longer in it come last."""
    return list(db.query("SELECT * FROM jobs ORDER BY position IS NULL, position, id"))


def attempts(db: Database) -> list[dict[str, Any]]:
    """Return the row of every attempt, oldest first, its files read from their JSON."""
    rows = db.query("SELECT * FROM attempts ORDER BY id")
    return [{**row, "files": json.loads(row["files"] or "[]")} for row in rows]


def stories(db: Database) -> list[dict[str, Any]]:
    """Return all events of the jobs that something out of the ordinary happened to, in order."""
    rows = db.query(
        f"""SELECT * FROM events WHERE job IN
            (SELECT job FROM events WHERE job IS NOT NULL AND {UNUSUAL}) ORDER BY id"""
    )
    return [{**row, "evidence": json.loads(row["evidence"] or "{}")} for row in rows]


def last_word(db: Database) -> str | None:
    """Return when something last happened, in UTC: how old what the table says is."""
    row = db.execute("SELECT at FROM events ORDER BY id DESC LIMIT 1").fetchone()
    return row[0] if row else None


def last_change(db: Database) -> str | None:
    """Return when anything but the start or the end of a run last happened, in UTC."""
    row = db.execute(
        f"SELECT at FROM events WHERE kind NOT IN ('{BEGAN}', '{ENDED}') ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return row[0] if row else None
