"""Questions to the state table. They read, so they may be asked while a run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from batchrunner.clock import utc_text, utc_us
from batchrunner.rules.states import CLOSED, LIVE
from batchrunner.store import counters
from batchrunner.store.schema import UNUSUAL, table
from batchrunner.values import (
    UPLOAD,
    Attempt,
    AttemptState,
    HeldJob,
    JobState,
    MediaFile,
    Order,
    PendingJob,
    Reason,
    Totals,
    local_pictures,
)

CHUNK = 500  # values in one IN list: below every SQLite's limit on parameters


def campaign(db: Database) -> dict[str, Any] | None:
    """Return the campaign's row, or None where nothing was recorded yet."""
    if not table(db, "campaign").exists():
        return None
    return next(iter(table(db, "campaign").rows), None)


def totals(db: Database) -> Totals:
    """Return jobs and attempts by state, and the money."""
    return counters.totals(db)


def money(db: Database) -> tuple[int, int]:
    """Return what was spent and what is reserved for open attempts, in micro-dollars."""
    found = counters.totals(db)
    return found.spent_micros, found.reserved_micros


def held_jobs(db: Database) -> list[HeldJob]:
    """Return the jobs that wait for a person, in the manifest's order."""
    rows = db.execute(
        """SELECT j.id, coalesce(a.reason, j.reason, ''), coalesce(a.detail, j.detail, ''), a.request_id,
                  coalesce(a.cost_usd_micros, a.reserved_usd_micros, 0), a.id IS NOT NULL
           FROM jobs j LEFT JOIN attempts a INDEXED BY attempts_by_job ON a.job = j.id AND a.state = 'held'
           WHERE j.state = 'held' ORDER BY j.position IS NULL, j.position"""
    ).fetchall()
    return [
        HeldJob(job, reason, detail, request_id, at_stake, sent=bool(sent))
        for job, reason, detail, request_id, at_stake, sent in rows
    ]


def spared_jobs(db: Database) -> list[str]:
    """Return the jobs that are held without ever having been sent, because others like them were refused."""
    rows = db.execute(
        f"""SELECT id FROM jobs WHERE state = 'held' AND position IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM attempts a WHERE a.job = jobs.id AND a.state NOT IN ({texts(CLOSED)}))
            ORDER BY position"""
    ).fetchall()
    return [job for (job,) in rows]


def subject(db: Database, job: str) -> tuple[str, str]:
    """Return the image and the prompt of a job, by their ids in the manifest."""
    image, prompt = db.execute("SELECT image, prompt FROM jobs WHERE id = ?", [job]).fetchone()
    return image, prompt


def pending_like(db: Database, image: str | None, prompt: str | None) -> list[PendingJob]:
    """Return the pending jobs with an image, with a prompt, or with both; None stands for any."""
    asked = {"image": image, "prompt": prompt}
    given = " ".join(f"AND {name} = :{name}" for name, value in asked.items() if value is not None)
    rows = db.execute(
        f"SELECT {PENDING} FROM jobs WHERE state = 'pending' AND position IS NOT NULL {given}", asked
    ).fetchall()
    return [pending_job(row) for row in rows]


def failed_jobs(db: Database, limit: int) -> list[dict[str, Any]]:
    """Return the first failed jobs of the manifest with their reasons."""
    return list(
        table(db, "jobs").rows_where(
            "state = 'failed' AND position IS NOT NULL",
            select="id, reason, detail",
            order_by="position",
            limit=limit,
        )
    )


def jobs(db: Database, state: JobState | None, limit: int | None) -> Iterator[dict[str, Any]]:
    """Yield job rows in the manifest's order, each with its newest request id; gone ones come last."""
    rows = db.query(
        """SELECT j.*, a.request_id FROM jobs j LEFT JOIN attempts a ON a.job = j.id AND a.number = j.attempts
           WHERE :state IS NULL OR j.state = :state ORDER BY j.position IS NULL, j.position LIMIT :limit""",
        {"state": str(state) if state else None, "limit": -1 if limit is None else limit},
    )
    for row in rows:
        yield {**row, "payload": json.loads(row["payload"])}


PENDING = "id, name, model, payload, attempts, failures, cost_usd_micros, seed, reason"


def pending(db: Database, now_us: int, limit: int, order: Order = "written") -> list[PendingJob]:
    """Return the next jobs that may start now: as written, or each shot once before any twice."""
    # Named, since SQLite would else take the index that suits the conditions, and sort all that wait.
    index, columns = {
        "written": ("jobs_by_state", "position"),
        "coverage": ("jobs_by_coverage", "take, cost_usd_micros, position"),
    }[order]
    rows = db.execute(
        f"""SELECT {PENDING} FROM jobs INDEXED BY {index}
           WHERE state = 'pending' AND position IS NOT NULL AND (due_at IS NULL OR due_at <= ?)
           ORDER BY {columns} LIMIT ?""",
        [utc_text(now_us), limit],
    ).fetchall()
    return [pending_job(row) for row in rows]


def next_due_us(db: Database, now_us: int) -> int | None:
    """Return when the next job that waits for a retry may start, or None when none waits."""
    (due,) = db.execute(
        """SELECT min(due_at) FROM jobs INDEXED BY jobs_waiting
           WHERE state = 'pending' AND due_at IS NOT NULL AND position IS NOT NULL AND due_at > ?""",
        [utc_text(now_us)],
    ).fetchone()
    return utc_us(due) if due else None


ATTEMPT = "a.*, j.name, j.failures, j.position, j.payload AS planned"


def attempts(db: Database, states: Iterable[AttemptState]) -> list[Attempt]:
    """Return all attempts in some states, oldest first."""
    rows = db.query(
        f"""SELECT {ATTEMPT} FROM attempts a JOIN jobs j ON j.id = a.job
            WHERE a.state IN ({texts(states)}) ORDER BY a.id"""
    )
    return [_attempt(row) for row in rows]


def done_attempts(db: Database, jobs: Iterable[str]) -> Iterator[Attempt]:
    """Yield the attempts that finished some jobs."""
    wanted = list(jobs)
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        rows = db.query(
            f"""SELECT {ATTEMPT} FROM attempts a JOIN jobs j ON j.id = a.job
                WHERE a.state = 'done' AND a.job IN ({marks(chunk)})""",
            chunk,
        )
        yield from map(_attempt, rows)


def live_attempts(db: Database) -> list[Attempt]:
    """Return the attempts in which the program has something left to do."""
    return attempts(db, LIVE)


def owned(db: Database, account: str, request_ids: Iterable[str]) -> set[str]:
    """Return those of some request ids that an attempt of this account already has."""
    found: set[str] = set()
    wanted = list(request_ids)
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        rows = db.execute(
            f"SELECT request_id FROM attempts WHERE account = ? AND request_id IN ({marks(chunk)})",
            [account, *chunk],
        ).fetchall()
        found.update(row[0] for row in rows)
    return found


def lost_span_us(db: Database, fingerprint: str) -> tuple[int, int] | None:
    """Return when the first of equal submissions whose answer was lost was sent, and the last given up."""
    sent, lost = db.execute(
        "SELECT min(submitted_at), max(lost_at) FROM attempts WHERE fingerprint = ? AND lost_at IS NOT NULL",
        [fingerprint],
    ).fetchone()
    return (utc_us(sent), utc_us(lost)) if sent else None


def submissions(db: Database, since_us: int) -> list[tuple[int, int | None, int | None, Reason | None]]:
    """Return the submissions since a time: when sent, accepted, and over at the provider; why it failed."""
    rows = db.execute(
        """SELECT submitted_at, accepted_at, coalesce(ready_at, closed_at), reason
           FROM attempts WHERE submitted_at >= ? ORDER BY submitted_at""",
        [utc_text(since_us)],
    ).fetchall()
    return [
        (
            utc_us(sent),
            utc_us(accepted) if accepted else None,
            utc_us(over) if over else None,
            Reason(reason) if reason else None,
        )
        for sent, accepted, over, reason in rows
    ]


def upload_url(db: Database, origin: str, account: str, sha256: str) -> str | None:
    """Return the public URL that a local picture already has."""
    row = db.execute(
        "SELECT public_url FROM uploads WHERE origin = ? AND account = ? AND sha256 = ?",
        [origin, account, sha256],
    ).fetchone()
    return row[0] if row else None


def recent_job_s(db: Database) -> float | None:
    """Return the mean time between finished clips, in seconds, over the newest 200 of the newest run.

    For how long the machine was asleep, or the provider did not answer, does not count.
    """
    count, first, last, epoch = db.execute(
        """SELECT count(*), min(submitted_at), max(closed_at), epoch FROM
           (SELECT closed_at, submitted_at, epoch FROM attempts
            WHERE state = 'done' ORDER BY id DESC LIMIT 200)
           WHERE epoch = (SELECT max(epoch) FROM campaign)"""
    ).fetchone()
    if not count:
        return None
    (lost_s,) = db.execute(
        f"""SELECT sum(coalesce(json_extract(evidence, '$.asleep_s'), json_extract(evidence, '$.silent_s')))
            FROM events
            WHERE kind IN ('suspend', 'outage') AND {UNUSUAL} AND epoch = ? AND at BETWEEN ? AND ?""",
        [epoch, first, last],
    ).fetchone()
    return max(0.0, (utc_us(last) - utc_us(first)) / 1e6 - float(lost_s or 0)) / int(count)


def pending_cost(db: Database) -> int | None:
    """Return what the pending jobs will cost at most, in micro-dollars, or None when a price is missing."""
    _jobs, cost, _dearest = counters.pending(db)
    return cost


def has_work(db: Database) -> bool:
    """Tell whether a run would have anything to do: held jobs are looked at again in every run."""
    (work,) = db.execute(
        f"""SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'pending' AND position IS NOT NULL)
               OR EXISTS (SELECT 1 FROM attempts WHERE state IN ({texts((*LIVE, AttemptState.HELD))}))"""
    ).fetchone()
    return bool(work)


def last_attempt_id(db: Database) -> int:
    """Return the highest attempt id in use, 0 when there is none."""
    (highest,) = db.execute("SELECT coalesce(max(id), 0) FROM attempts").fetchone()
    return int(highest)


def files_text(files: Iterable[MediaFile]) -> str:
    """Write downloaded files as the JSON that the table keeps."""
    return json.dumps([file.as_json() for file in files])


def pending_job(row: Sequence[Any]) -> PendingJob:
    """Read a row of the columns `PENDING`."""
    id_, name, model, payload, attempts, failures, cost, seed, reason = row
    last = Reason(reason) if reason else None
    return PendingJob(id_, name, model, json.loads(payload), attempts, failures, cost, seed, last)


def _attempt(row: Mapping[str, Any]) -> Attempt:
    return Attempt(
        id=row["id"],
        job=row["job"],
        number=row["number"],
        name=row["name"],
        failures=row["failures"],
        state=AttemptState(row["state"]),
        model=row["model"],
        account=row["account"],
        origin=row["origin"],
        payload=json.loads(row["payload"]),
        fingerprint=row["fingerprint"],
        reserved_micros=row["reserved_usd_micros"] or 0,
        submitted_us=utc_us(row["submitted_at"]),
        request_id=row["request_id"],
        accepted_us=utc_us(row["accepted_at"]) if row["accepted_at"] else None,
        lost_us=utc_us(row["lost_at"]) if row["lost_at"] else None,
        reason=Reason(row["reason"]) if row["reason"] else None,
        cost_micros=row["cost_usd_micros"],
        files=tuple(MediaFile(**file) for file in json.loads(row["files"] or "[]")),
        listed=row["position"] is not None,
        pictures=local_pictures(json.loads(row["planned"])) if UPLOAD in row["planned"] else {},
    )


def texts(states: Iterable[AttemptState]) -> str:
    """Return states as a list of SQL texts."""
    return ", ".join(f"'{state}'" for state in sorted(states))


def marks(values: list[str]) -> str:
    """Return as many question marks as there are values."""
    return ", ".join("?" * len(values))
