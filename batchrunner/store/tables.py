"""Writing the state table: all changes of one tick in one transaction, or none of them.

One process writes (store/lock.py), one thread of it. Behind the lock stands a second line: every run
raises the campaign's epoch, and every transaction first checks that the epoch is still its own. A runner
that was taken over, whatever became of its lock, stops before its next write and so before its next POST.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from batchrunner.clock import utc_text
from batchrunner.errors import InvariantError, LockedError
from batchrunner.rules.states import CLOSED, EventKind, move
from batchrunner.store import bulk, filed, reading, recorded
from batchrunner.store.changes import Change, Intended, JobRuled, Moved, Noted, Stored
from batchrunner.store.counters import recount_attempts, recount_jobs
from batchrunner.store.database import explained, immediate, open_database
from batchrunner.store.filed import Mark
from batchrunner.store.left import Left
from batchrunner.store.puts import PUT_CAMPAIGN, PUT_UPLOAD
from batchrunner.values import JSON, Attempt, AttemptState, Job, JobRow, JobState, Manifest, canonical


def _rows(count: int) -> str:
    """Return a subquery over one JSON array of rows, with columns c0, c1, …

    All rows of a tick go in as one parameter of one statement. Given one by one, each would hand the
    interpreter's lock to the worker threads and wait for it to come back, which takes longer than the write.
    """
    columns = ", ".join(f"json_extract(value, '$[{n}]') AS c{n}" for n in range(count))
    return f"(SELECT {columns} FROM json_each(?))"


_INSERT_ATTEMPTS = f"""
    INSERT INTO attempts (id, job, number, model, account, origin, payload, fingerprint,
                          reserved_usd_micros, submitted_at, epoch, state)
    SELECT *, 'submitting' FROM {_rows(11)}"""
_ACTIVATE_JOBS = f"""
    UPDATE jobs SET state = 'active', attempts = c0, due_at = NULL, updated_at = c1
    FROM {_rows(3)} WHERE id = c2"""
_MOVE_ATTEMPTS = f"""
    UPDATE attempts SET state = c2, reason = c3, detail = c4, request_id = c5, accepted_at = c6, lost_at = c7,
        cost_usd_micros = c8, ready_at = coalesce(c9, ready_at), fetched_at = coalesce(c10, fetched_at),
        closed_at = c11, files = coalesce(c12, files)
    FROM {_rows(13)} WHERE id = c0 AND state = c1"""
_UPDATE_JOBS = f"""
    UPDATE jobs SET state = c1, attempts = c2, failures = c3, due_at = c4, reason = c5, detail = c6,
        file = coalesce(c7, file), updated_at = c8
    FROM {_rows(9)} WHERE id = c0"""
_INSERT_EVENTS = f"""
    INSERT INTO events (at, job, attempt, kind, from_state, to_state, reason, detail, evidence, epoch)
    SELECT * FROM {_rows(10)}"""


class Store:
    """The state table, open for the one runner. Methods raise `LocalError` for whatever the disk does."""

    def __init__(self, path: Path, *, create: bool = True, left: Left | None = None) -> None:
        self.path = path
        self.db: Database = open_database(path, create=create, left=left)
        self.epoch = 0
        self.as_recorded = False  # this run found its manifest, card and version recorded already

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self.db.close()

    # --- the campaign ---------------------------------------------------------------------------------

    def record(
        self,
        manifest: Manifest,
        card_sha256: str,
        jobs: Callable[[], Iterable[Job | JobRow]],
        *,
        output_folder: Path,
        version: str,
        now_us: int,
        card_text: str = "",
        kind: str = "run",
        budget_micros: int | None = None,
    ) -> None:
        """Take over the campaign: raise the epoch, and write down its jobs where the manifest is new.

        Jobs that are already there keep their state; jobs that the manifest no longer has lose their
        position and stay. `budget_micros`: what the run may spend in all, for whoever asks how it stands.
        """
        with explained(self.path), immediate(self.db):
            row = reading.campaign(self.db) or {"epoch": 0, "created_at": utc_text(now_us)}
            self.epoch = row["epoch"] + 1
            same = recorded.is_recorded(row, manifest, card_sha256, version)
            self.as_recorded = same
            count = row["jobs_recorded"] if same else self._record_jobs(jobs())
            self.db.conn.execute(
                PUT_CAMPAIGN,
                {
                    "slug": manifest.campaign,
                    "manifest_path": str(manifest.path),
                    "manifest_sha256": manifest.sha256,
                    "manifest_text": manifest.text,
                    "card_sha256": card_sha256,
                    "model": manifest.model,
                    "provider": manifest.provider,
                    "seed": manifest.seed,
                    "output_folder": str(output_folder),
                    "version": version,
                    "epoch": self.epoch,
                    "jobs_recorded": count,
                    "created_at": row["created_at"],
                    "recorded_at": row["recorded_at"] if same else utc_text(now_us),
                    "card_text": card_text or None,
                },
            )
            evidence: dict[str, JSON] = {"version": version, "manifest": manifest.sha256, "jobs": count}
            evidence |= {"order": manifest.order, "budget_usd_micros": budget_micros}
            evidence |= {"window": manifest.limits.window}
            self._many(_INSERT_EVENTS, [(*_event(Noted(kind, now_us, evidence=evidence)), self.epoch)])

    def _record_jobs(self, jobs: Iterable[Job | JobRow]) -> int:
        self.db.execute("UPDATE jobs SET position = NULL WHERE position IS NOT NULL")
        count = bulk.record(self.db, (job.row if isinstance(job, Job) else job for job in jobs))
        recount_jobs(self.db)
        return count

    def take_over(self) -> None:
        """Raise the epoch without touching the jobs: for a person's word between runs."""
        with explained(self.path), immediate(self.db):
            self.db.execute("UPDATE campaign SET epoch = epoch + 1")
            (self.epoch,) = self.db.execute("SELECT max(epoch) FROM campaign").fetchone()

    def note_files(self, marks: Iterable[tuple[str, Mark | None]], up_to: str) -> None:
        """Write down which folders' files were seen whole, and up to which path files were looked at.

        Raises:
            LockedError: another run has taken the campaign over.
        """
        with explained(self.path), immediate(self.db):
            self._check_epoch()
            filed.note(self.db, marks, up_to)

    def recount(self) -> None:
        """Count jobs and attempts anew: the table's own counts are then right."""
        with explained(self.path), immediate(self.db):
            recount_jobs(self.db)
            recount_attempts(self.db)

    # --- a tick ---------------------------------------------------------------------------------------

    def commit(self, changes: Sequence[Change]) -> None:
        """Write all of `changes`, durably, or nothing.

        Raises:
            LockedError: another run has taken the campaign over.
            InvariantError: a change is not legal: a bug, nothing was written.
        """
        with explained(self.path), immediate(self.db):
            self._check_epoch()
            intended = [change for change in changes if isinstance(change, Intended)]
            moved = [change for change in changes if isinstance(change, Moved)]
            # Moves go first, since one of them may close the attempt that a job's next one comes after.
            new = {change.attempt.id for change in intended}
            self._moved([change for change in moved if change.attempt.id not in new])
            self._intended(intended)
            self._moved([change for change in moved if change.attempt.id in new])
            for change in changes:
                if isinstance(change, JobRuled):
                    self._job_ruled(change)
                elif isinstance(change, Stored):
                    self._stored(change)
            self._many(_INSERT_EVENTS, [(*_event(change), self.epoch) for change in changes])

    def _check_epoch(self) -> None:
        (epoch,) = self.db.execute("SELECT max(epoch) FROM campaign").fetchone()
        if epoch != self.epoch:
            raise LockedError("another runner has taken this campaign over; this one stops without writing")

    def _many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run one statement over many rows and return how many it changed."""
        return self.db.conn.execute(statement, [json.dumps(rows)]).rowcount if rows else 0

    def _intended(self, changes: Sequence[Intended]) -> None:
        self._many(_INSERT_ATTEMPTS, [(*_new_attempt(change.attempt), self.epoch) for change in changes])
        rows = [(change.attempt.number, utc_text(change.at_us), change.attempt.job) for change in changes]
        self._many(_ACTIVATE_JOBS, rows)

    def _moved(self, changes: Sequence[Moved]) -> None:
        for change in changes:
            if move(change.source, change.kind) != change.attempt.state:
                raise InvariantError(f"'{change.kind}' does not lead to '{change.attempt.state}'")
        for wave in _waves(changes):
            if self._many(_MOVE_ATTEMPTS, [_moved_attempt(change) for change in wave]) != len(wave):
                raise InvariantError("an attempt is not in the state any more that a move begins in")
            self._many(_UPDATE_JOBS, [_moved_job(change) for change in wave if _concerns_job(change)])

    def _job_ruled(self, change: JobRuled) -> None:
        self.db.execute(
            """UPDATE jobs SET state = ?, reason = ?, detail = ?, due_at = NULL,
               failures = coalesce(?, failures), updated_at = ? WHERE id = ?""",
            [change.state, change.reason, change.detail, change.failures, utc_text(change.at_us), change.job],
        )

    def _stored(self, change: Stored) -> None:
        self.db.conn.execute(
            PUT_UPLOAD,
            {
                "origin": change.origin,
                "account": change.account,
                "sha256": change.sha256,
                "public_url": change.public_url,
                "uploaded_at": utc_text(change.at_us),
            },
        )


def _new_attempt(one: Attempt) -> tuple[Any, ...]:
    return (
        one.id,
        one.job,
        one.number,
        one.model,
        one.account,
        one.origin,
        canonical(dict(one.payload)),
        one.fingerprint,
        one.reserved_micros,
        utc_text(one.submitted_us),
    )


def _waves(changes: Sequence[Moved]) -> list[list[Moved]]:
    """Split moves so that each wave moves an attempt once: a tick may move one twice, in order."""
    waves: list[list[Moved]] = []
    seen: Counter[int] = Counter()
    for change in changes:
        number = seen[change.attempt.id]
        seen[change.attempt.id] += 1
        if number == len(waves):
            waves.append([])
        waves[number].append(change)
    return waves


def _moved_attempt(change: Moved) -> tuple[Any, ...]:
    one, at = change.attempt, utc_text(change.at_us)
    closes = one.state in CLOSED or one.state is AttemptState.DONE
    return (
        one.id,
        change.source,
        one.state,
        one.reason,
        change.detail or None,
        one.request_id,
        utc_text(one.accepted_us) if one.accepted_us else None,
        utc_text(one.lost_us) if one.lost_us else None,
        one.cost_micros,
        at if one.state is AttemptState.READY else None,
        at if one.state is AttemptState.FETCHED else None,
        at if closes else None,
        reading.files_text(one.files) if one.files else None,
    )


def _concerns_job(change: Moved) -> bool:
    """Tell whether a move changes its job's row: from one live state to another it does not."""
    return change.job is not JobState.ACTIVE or change.source is AttemptState.HELD


def _moved_job(change: Moved) -> tuple[Any, ...]:
    one, done = change.attempt, change.job is JobState.DONE
    return (
        one.job,
        change.job,
        one.number,
        one.failures,
        utc_text(change.due_us) if change.due_us else None,
        None if done else one.reason,
        None if done else change.detail or None,
        one.files[0].path if done and one.files else None,
        utc_text(change.at_us),
    )


def _event(change: Change) -> tuple[Any, ...]:
    """Return the row of the events table that tells of a change."""
    at = utc_text(change.at_us)
    match change:
        case Moved(attempt=one):
            states = (change.kind, change.source, one.state, one.reason, change.detail)
            return (at, one.job, one.id, *states, _evidence(change.evidence))
        case Intended(attempt=one):
            return (at, one.job, one.id, EventKind.INTENT, None, one.state, None, change.detail, None)
        case JobRuled():
            ruled = (change.kind, None, change.state, change.reason, change.detail)
            return (at, change.job, None, *ruled, _evidence(change.evidence))
        case Stored():
            return (at, None, None, "uploaded", None, None, None, "", _evidence({"sha256": change.sha256}))
        case Noted():
            told = (change.kind, None, None, change.reason, change.detail)
            return (at, change.job, change.attempt_id, *told, _evidence(change.evidence))


def _evidence(evidence: Mapping[str, Any]) -> str | None:
    return json.dumps(dict(evidence), sort_keys=True) if evidence else None
