"""What is recorded of a manifest's jobs: for a plan, which has many ids in its hands at a time."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from sqlite_utils import Database

from batchrunner.rules.expected import Shown
from batchrunner.store.reading import CHUNK, marks
from batchrunner.store.schema import table
from batchrunner.values import JobState, Manifest, Payload, canonical

STATES = {str(state): state for state in JobState}


def is_recorded(row: Mapping[str, Any], manifest: Manifest, card_sha256: str, version: str) -> bool:
    """Tell whether the campaign's row is of just this manifest, card and program: then its jobs are too."""
    known = (manifest.sha256, card_sha256, version)
    return known == tuple(row.get(key) for key in ("manifest_sha256", "card_sha256", "version"))


def job_states(db: Database, ids: Iterable[str]) -> dict[str, JobState]:
    """Return the states of those of `ids` that are recorded."""
    rows = db.execute(
        "SELECT id, state FROM jobs WHERE id IN (SELECT value FROM json_each(?))", [json.dumps(list(ids))]
    )
    return {id_: STATES[state] for id_, state in rows}


def jobs_of_places(db: Database, places: Iterable[str]) -> dict[str, dict[str, JobState]]:
    """Return the jobs that are recorded at some places (ids without their hashes), with their states."""
    rows = db.execute(
        """SELECT p.value, j.id, j.state FROM json_each(?) p JOIN jobs j
           ON j.id > p.value || '-' AND j.id < p.value || '-g'""",
        [json.dumps(list(places))],
    ).fetchall()
    found: dict[str, dict[str, JobState]] = {}
    for place, job, state in rows:
        found.setdefault(place, {})[job] = JobState(state)
    return found


def shown(db: Database) -> Shown:
    """Return what the jobs that ended have shown."""
    ended, failed, price = db.execute(
        """SELECT count(*), count(*) FILTER (WHERE state = 'failed'), coalesce(sum(cost_usd_micros), 0)
           FROM jobs WHERE state IN ('done', 'failed')"""
    ).fetchone()
    (paid,) = db.execute(
        """SELECT coalesce(sum(a.cost_usd_micros), 0) FROM attempts a JOIN jobs j ON j.id = a.job
           WHERE j.state IN ('done', 'failed')"""
    ).fetchone()
    return Shown(ended, failed, price, paid)


def payload_texts(db: Database, ids: Iterable[str]) -> dict[str, str]:
    """Return model and payload (as one text, byte for byte as recorded) of those of `ids` that are listed."""
    found: dict[str, str] = {}
    wanted = list(ids)
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        rows = db.execute(
            f"""SELECT id, model || ' ' || payload FROM jobs
                WHERE position IS NOT NULL AND id IN ({marks(chunk)})""",
            chunk,
        ).fetchall()
        found.update(rows)
    return found


class Row(NamedTuple):
    """A recorded job as an export needs it; `payload` is the text, byte for byte as recorded."""

    id: str
    image: str
    prompt: str
    take: int
    seed: int | None
    model: str
    payload: str
    name: str


ROW = ", ".join(Row._fields)


def listed(db: Database) -> Iterator[Row]:
    """Yield every job of the manifest, in its order."""
    rows = db.execute(f"SELECT {ROW} FROM jobs WHERE position IS NOT NULL ORDER BY position")
    yield from map(Row._make, rows)


def position_count(db: Database) -> int:
    """Count the jobs that are in the manifest as it was recorded."""
    (count,) = db.execute("SELECT count(*) FROM jobs WHERE position IS NOT NULL").fetchone()
    return int(count)


def first_not_in(db: Database, ids: Collection[str], limit: int) -> list[str]:
    """Return the first recorded jobs of the manifest that are not among `ids`."""
    rows = db.execute("SELECT id FROM jobs WHERE position IS NOT NULL ORDER BY position")
    return list(islice((job for (job,) in rows if job not in ids), limit))


def at_place(db: Database, place: str) -> list[tuple[str, str]]:
    """Return id and payload (as text) of the jobs of the recorded manifest at a place (id without hash)."""
    return db.execute(
        """SELECT id, payload FROM jobs
           WHERE position IS NOT NULL AND id > ? || '-' AND id < ? || '-g' ORDER BY position""",
        [place, place],
    ).fetchall()


def jobs_like(
    db: Database, job: str, model: str, payload: Payload, fingerprint: str
) -> Iterator[dict[str, Any]]:
    """Yield the jobs that sent a payload: the one with that id if it did, else all by their attempts."""
    if not table(db, "jobs").exists():
        return
    attempts = "SELECT job FROM attempts WHERE fingerprint = :fingerprint"
    told = {"id": job, "model": model, "payload": canonical(dict(payload)), "fingerprint": fingerprint}
    own = f"id = :id AND ((model = :model AND payload = :payload) OR id IN ({attempts} AND job = :id))"
    rows = list(db.query(f"SELECT * FROM jobs WHERE {own}", told))
    rows = rows or list(db.query(f"SELECT * FROM jobs WHERE id IN ({attempts})", told))
    yield from ({**row, "payload": json.loads(row["payload"])} for row in rows)
