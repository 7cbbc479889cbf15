"""What to hold against the provider's list, where the state table may have forgotten something."""

from __future__ import annotations

import json
from collections.abc import Iterable

from sqlite_utils import Database

from batchrunner.clock import utc_text
from batchrunner.store.reading import PENDING, attempts, pending_job
from batchrunner.values import Attempt, AttemptState, PendingJob

DUPLICATE = "duplicate"  # kind of the event: a request that was given up turned up after all


def pending_models(db: Database) -> list[str]:
    """Return the models of the pending jobs that have a seed."""
    rows = db.execute(
        """SELECT DISTINCT model FROM jobs
           WHERE state = 'pending' AND position IS NOT NULL AND seed IS NOT NULL"""
    ).fetchall()
    return [model for (model,) in rows]


def pending_with_seeds(db: Database, model: str, seeds: Iterable[int]) -> list[tuple[int, PendingJob]]:
    """Return the pending jobs of a model that have one of some seeds, each with its seed."""
    rows = db.execute(
        f"""SELECT seed, {PENDING} FROM jobs WHERE state = 'pending' AND position IS NOT NULL AND model = ?
            AND seed IN (SELECT value FROM json_each(?)) ORDER BY position""",
        [model, json.dumps(list(seeds))],
    ).fetchall()
    return [(seed, pending_job(row)) for seed, *row in rows]


def watched(db: Database, since_us: int) -> list[Attempt]:
    """Return the attempts sent since a time that were given up, and have not turned up yet."""
    turned_up = {
        attempt for (attempt,) in db.execute("SELECT attempt FROM events WHERE kind = ?", [DUPLICATE])
    }
    waived = attempts(db, [AttemptState.WAIVED])
    recent = (one for one in waived if one.submitted_us >= since_us and not one.request_id)
    return [one for one in recent if one.id not in turned_up]


def has_duplicate(db: Database) -> bool:
    """Tell whether a request that was given up has turned up after all, ever."""
    return bool(db.execute("SELECT EXISTS (SELECT 1 FROM events WHERE kind = ?)", [DUPLICATE]).fetchone()[0])


def is_watching(db: Database, since_us: int) -> bool:
    """Tell whether attempts sent since a time were given up."""
    row = db.execute(
        "SELECT EXISTS (SELECT 1 FROM attempts WHERE state = 'waived' AND submitted_at >= ?)",
        [utc_text(since_us)],
    ).fetchone()
    return bool(row[0])
