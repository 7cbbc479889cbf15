"""Counts that the state table keeps of itself, so that nobody has to count a million rows.

`job_tallies` has the jobs by state, by whether the manifest has them, and by price; `attempt_tallies` the
attempts by state, with their money. Triggers keep them up with every change of state, in its own
transaction. New jobs come in bulk, where a trigger would double the time: whoever records counts anew
(`recount_jobs`). `differences` compares them with what is there.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlite_utils import Database

from batchrunner.rules.expected import Shown
from batchrunner.rules.states import CLOSED
from batchrunner.values import AttemptState, JobState, Order, Totals

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


def states(db: Database) -> dict[JobState, int]:
    """Return how many jobs are recorded in each state, those no longer in the manifest included."""
    found = dict.fromkeys(JobState, 0)
    for state, count in _rows(db, "job_tallies", _COUNT_JOBS, "state, jobs"):
        found[JobState(state)] += count
    return found


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


def pending_in_order(db: Database, order: Order) -> list[tuple[int, int]]:
    """Return price and number of the listed jobs that wait, in the order in which they start.

    As written, settings take turns: then what one costs on average stands for all. Jobs without a price are
    left out.
    """
    if order == "written":
        jobs, cost, _dearest = pending(db)
        return [(-(-cost // jobs), jobs)] if jobs and cost is not None else []
    return db.execute(
        f"""SELECT cost_usd_micros, count(*) FROM jobs {_BY_COVERAGE}
            WHERE state = 'pending' AND position IS NOT NULL AND cost_usd_micros IS NOT NULL
            GROUP BY take, cost_usd_micros ORDER BY take, cost_usd_micros"""
    ).fetchall()


def shown(db: Database) -> Shown:
    """Return what the jobs that ended have shown, as far as it need not be added up row by row."""
    jobs: Counter[str] = Counter()
    price = 0
    for state, cost, count in _rows(db, "job_tallies", _COUNT_JOBS, "state, cost_usd_micros, jobs"):
        if state in {JobState.DONE, JobState.FAILED}:
            jobs[state] += count
            price += count * max(0, cost)
    columns = "state, spent_usd_micros"
    spent = dict(_rows(db, "attempt_tallies", _COUNT_ATTEMPTS, columns))
    paid = sum(spent.get(state, 0) for state in (AttemptState.DONE, *CLOSED))
    return Shown(jobs[JobState.DONE] + jobs[JobState.FAILED], jobs[JobState.FAILED], price, paid)


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
