"""Counts that the state table keeps of itself, so that nobody has to count a million rows.

`job_tallies` has the jobs by state, by whether the manifest has them, and by price; `attempt_tallies` the
attempts by state, with their money. Triggers keep them up with every change of state, in its own
transaction. New jobs come in bulk, where a trigger would double the time: whoever records counts anew
(`recount_jobs`). `differences` compares them with what is there.
"""

from __future__ import annotations

from typing import Any

from sqlite_utils import Database

from batchrunner.values import AttemptState, JobState, Totals

UNPRICED = -1  # stands for no price in `job_tallies`: a key may not be NULL

_OTHERS = ", ".join(f"'{state}'" for state in JobState if state is not JobState.PENDING)
# In three parts, each of which an index has: the pending jobs of the manifest are by far the most.
_BY_COVERAGE = "INDEXED BY jobs_by_coverage"
_COUNT_JOBS = f"""
    SELECT 'pending' AS state, 1 AS listed, coalesce(cost_usd_micros, {UNPRICED}) AS cost_usd_micros,
           count(*) AS jobs
    FROM jobs {_BY_COVERAGE} WHERE state = 'pending' AND position IS NOT NULL GROUP BY 3
    UNION ALL
    SELECT 'pending', 0, coalesce(cost_usd_micros, {UNPRICED}), count(*)
    FROM jobs WHERE state = 'pending' AND position IS NULL GROUP BY 3
    UNION ALL
    SELECT state, position IS NOT NULL, coalesce(cost_usd_micros, {UNPRICED}), count(*)
    FROM jobs WHERE state IN ({_OTHERS}) GROUP BY 1, 2, 3"""
_COUNT_ATTEMPTS = """
    SELECT state, count(*) AS attempts, coalesce(sum(cost_usd_micros), 0) AS spent_usd_micros,
           coalesce(sum(CASE WHEN cost_usd_micros IS NULL THEN reserved_usd_micros END), 0)
               AS reserved_usd_micros
    FROM attempts GROUP BY 1"""


def recount_jobs(db: Database) -> None:
    """Make `job_tallies` equal to the jobs, inside the caller's transaction."""
    db.execute("DELETE FROM job_tallies")
    db.execute(f"INSERT INTO job_tallies {_COUNT_JOBS}")


def recount_attempts(db: Database) -> None:
    """Make `attempt_tallies` equal to the attempts, inside the caller's transaction."""
    db.execute("DELETE FROM attempt_tallies")
    db.execute(f"INSERT INTO attempt_tallies {_COUNT_ATTEMPTS}")


def differences(db: Database) -> list[str]:
    """Return what the tallies have otherwise than it is, each as a sentence. Counts every row."""
    return [
        *_differing(db, "job_tallies", _COUNT_JOBS, 3),
        *_differing(db, "attempt_tallies", _COUNT_ATTEMPTS, 1),
    ]


def totals(db: Database) -> Totals:
    """Return jobs and attempts by state, and the money."""
    jobs = dict.fromkeys(JobState, 0)
    unlisted = 0
    for state, listed, count in _rows(db, "job_tallies", _COUNT_JOBS, "state, listed, jobs"):
        if listed:
            jobs[JobState(state)] += count
        else:
            unlisted += count
    counted = "state, attempts, spent_usd_micros, reserved_usd_micros"
    attempts = [row for row in _rows(db, "attempt_tallies", _COUNT_ATTEMPTS, counted) if row[1]]
    return Totals(
        jobs,
        {AttemptState(state): count for state, count, _spent, _reserved in attempts},
        sum(row[2] for row in attempts),
        sum(row[3] for row in attempts),
        unlisted,
    )


def pending(db: Database) -> tuple[int, int | None, int]:
    """Return how many listed jobs wait, what they cost at most (None: not known), and the dearest."""
    columns = "state, listed, cost_usd_micros, jobs"
    rows = [
        (cost, jobs)
        for state, listed, cost, jobs in _rows(db, "job_tallies", _COUNT_JOBS, columns)
        if state == JobState.PENDING and listed and jobs
    ]
    priced = all(cost != UNPRICED for cost, _jobs in rows)
    cost = sum(cost * jobs for cost, jobs in rows) if priced else None
    return sum(jobs for _cost, jobs in rows), cost, max((0, *(cost for cost, _jobs in rows)))


def _rows(db: Database, name: str, count: str, columns: str) -> list[tuple[Any, ...]]:
    """Return what is tallied; a table that an older version made, and that is only read, is counted."""
    (there,) = db.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", [name]).fetchone()
    source = name if there else f"({count.replace(_BY_COVERAGE, '')})"  # an old one lacks that index too
    return db.execute(f"SELECT {columns} FROM {source}").fetchall()


def _differing(db: Database, name: str, count: str, keys: int) -> list[str]:
    told = {row[:keys]: row[keys:] for row in db.execute(f"SELECT * FROM {name}").fetchall() if row[keys]}
    true = {row[:keys]: row[keys:] for row in db.execute(count).fetchall()}
    return [
        f"{name} has {told.get(key, (0,))} for {key}, and there are {true.get(key, (0,))}"
        for key in sorted(told.keys() | true.keys())
        if told.get(key) != true.get(key)
    ]
