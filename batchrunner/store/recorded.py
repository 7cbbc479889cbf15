"""What is recorded of a manifest's jobs: for a plan, which has many ids in its hands at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sqlite_utils import Database

from batchrunner.store.reading import CHUNK, marks
from batchrunner.store.schema import table
from batchrunner.values import JobState


def job_states(db: Database, ids: Iterable[str]) -> dict[str, JobState]:
    """Return the states of those of `ids` that are recorded."""
    found: dict[str, JobState] = {}
    wanted = list(ids)
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        rows = table(db, "jobs").rows_where(f"id IN ({marks(chunk)})", chunk, select="id, state")
        found.update((row["id"], JobState(row["state"])) for row in rows)
    return found


def states_of_places(db: Database, places: Sequence[str]) -> dict[str, set[JobState]]:
    """Return in which states jobs are recorded at some places (ids without their hashes)."""
    rows = db.execute(
        """SELECT p.value, j.state FROM json_each(?) p JOIN jobs j
           ON j.id > p.value || '-' AND j.id < p.value || '-g'""",
        [json.dumps(list(places))],
    ).fetchall()
    found: dict[str, set[JobState]] = {}
    for place, state in rows:
        found.setdefault(place, set()).add(JobState(state))
    return found


def count_jobs(db: Database) -> int:
    """Count all recorded jobs, those no longer in the manifest included."""
    return table(db, "jobs").count
