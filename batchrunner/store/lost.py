"""What to hold against the provider's list, where the state table may have forgotten something."""

from __future__ import annotations

import json
from collections.abc import Iterable

from sqlite_utils import Database

from batchrunner.clock import utc_text
from batchrunner.rules.states import CLOSED
from batchrunner.store.reading import PENDING, attempts, pending_job, texts
from batchrunner.store.schema import UNUSUAL
from batchrunner.values import Attempt, AttemptState, Payload, PendingJob

LOOKS_PAID = "looks paid"  # a job is held unsent, since a request may be its own already
CONTROLS = 3  # requests before, and after, an attempt in doubt that a list is measured by
CONTROLS_US = 86_400_000_000  # how old they may be: nobody says how long the provider keeps its records
_CONTROLS = """SELECT request_id, payload FROM attempts
    WHERE id {} :id AND account = :account AND model = :model AND request_id IS NOT NULL
    AND submitted_at BETWEEN :from AND :to ORDER BY id {} LIMIT :most"""
DUPLICATE = "duplicate"  # kind of the event: a request that was given up turned up after all


def pending_models(db: Database) -> list[str]:
    """Return the model of the pending jobs if they have seeds; a manifest has one, for all of its jobs."""
    rows = db.execute(
        """SELECT model FROM jobs INDEXED BY jobs_by_state
           WHERE state = 'pending' AND position IS NOT NULL AND seed IS NOT NULL ORDER BY position LIMIT 1"""
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


def adoptable(db: Database, job: str) -> PendingJob | None:
    """Return a job of the manifest that has no open attempt and is not done, or None."""
    row = db.execute(
        f"""SELECT {PENDING} FROM jobs WHERE id = ? AND position IS NOT NULL AND state <> 'done'
            AND NOT EXISTS (SELECT 1 FROM attempts
                            WHERE job = jobs.id AND attempts.state NOT IN ({texts(CLOSED)}))""",
        [job],
    ).fetchone()
    return pending_job(row) if row else None


def paid_jobs(db: Database) -> set[str]:
    """Return the jobs that an attempt counts as paid for, although they are not done."""
    rows = db.execute(
        """SELECT DISTINCT a.job FROM attempts a JOIN jobs j ON j.id = a.job
           WHERE a.cost_usd_micros > 0 AND j.state <> 'done'"""
    ).fetchall()
    return {job for (job,) in rows}


def last_account(db: Database) -> tuple[str, str] | None:
    """Return account and origin of the newest attempt, or None where nothing was ever sent."""
    row = db.execute("SELECT account, origin FROM attempts ORDER BY id DESC LIMIT 1").fetchone()
    return (row[0], row[1]) if row else None


def controls_near(db: Database, attempt: Attempt) -> list[tuple[str, Payload]]:
    """Return the requests that the list should show if it shows all from when an attempt was sent.

    They are the nearest ones sent before and after it that were accepted, within a day, each with what was
    sent.
    """
    rows = db.execute(
        f"""SELECT * FROM ({_CONTROLS.format("<", "DESC")})
            UNION ALL SELECT * FROM ({_CONTROLS.format(">", "ASC")})""",
        {
            "id": attempt.id,
            "account": attempt.account,
            "model": attempt.model,
            "from": utc_text(attempt.submitted_us - CONTROLS_US),
            "to": utc_text(attempt.submitted_us + CONTROLS_US),
            "most": CONTROLS,
        },
    ).fetchall()
    return [(request_id, json.loads(payload)) for request_id, payload in rows]


def watched(db: Database, since_us: int) -> list[Attempt]:
    """Return the attempts sent since a time that were given up, and have not turned up yet."""
    turned_up = {
        attempt
        for (attempt,) in db.execute(f"SELECT attempt FROM events WHERE kind = ? AND {UNUSUAL}", [DUPLICATE])
    }
    waived = attempts(db, [AttemptState.WAIVED])
    recent = (one for one in waived if one.submitted_us >= since_us and not one.request_id)
    return [one for one in recent if one.id not in turned_up]


def has_duplicate(db: Database) -> bool:
    """Tell whether a request that was given up has turned up after all, ever."""
    asked = f"SELECT EXISTS (SELECT 1 FROM events WHERE kind = ? AND {UNUSUAL})"
    return bool(db.execute(asked, [DUPLICATE]).fetchone()[0])


def is_watching(db: Database, since_us: int) -> bool:
    """Tell whether attempts sent since a time were given up."""
    row = db.execute(
        "SELECT EXISTS (SELECT 1 FROM attempts WHERE state = 'waived' AND submitted_at >= ?)",
        [utc_text(since_us)],
    ).fetchone()
    return bool(row[0])
