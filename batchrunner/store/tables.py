"""Writing the state table: all changes of one tick in one transaction, or none of them.

One process writes (store/lock.py), one thread of it. Behind the lock stands a second line: every run
raises the campaign's epoch, and every transaction first checks that the epoch is still its own. A runner
that was taken over, whatever became of its lock, stops before its next write and so before its next POST.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from batchrunner.clock import utc_text
from batchrunner.errors import InvariantError, LockedError
from batchrunner.rules.states import CLOSED, EventKind, move
from batchrunner.store import reading
from batchrunner.store.changes import Change, Intended, JobRuled, Moved, Noted, Stored
from batchrunner.store.database import explained, immediate, open_database
from batchrunner.store.schema import table
from batchrunner.values import AttemptState, Job, JobState, Manifest, canonical

_INSERT_ATTEMPT = """
    INSERT INTO attempts (id, job, number, state, model, account, origin, payload, fingerprint,
                          reserved_usd_micros, submitted_at, epoch)
    VALUES (?, ?, ?, 'submitting', ?, ?, ?, ?, ?, ?, ?, ?)"""
_MOVE_ATTEMPT = """
    UPDATE attempts SET state = ?, reason = ?, detail = ?, request_id = ?, accepted_at = ?, lost_at = ?,
        cost_usd_micros = ?, ready_at = coalesce(?, ready_at),
        fetched_at = coalesce(?, fetched_at), closed_at = ?, files = coalesce(?, files)
    WHERE id = ? AND state = ?"""
_INSERT_EVENT = """
    INSERT INTO events (at, job, attempt, kind, from_state, to_state, reason, detail, evidence, epoch)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_UPDATE_JOB = """
    UPDATE jobs SET state = ?, attempts = ?, failures = ?, due_at = ?, reason = ?, detail = ?,
        file = coalesce(?, file), updated_at = ?
    WHERE id = ?"""


class Store:
    """The state table, open for the one runner. Methods raise `LocalError` for whatever the disk does."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        self.db: Database = open_database(path, create=create)
        self.epoch = 0

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self.db.close()

    # --- the campaign ---------------------------------------------------------------------------------

    def record(
        self,
        manifest: Manifest,
        card_sha256: str,
        jobs: Callable[[], Iterable[Job]],
        *,
        output_folder: Path,
        version: str,
        now_us: int,
    ) -> None:
        """Take over the campaign: raise the epoch, and write down its jobs where the manifest is new.

        Jobs that are already there keep their state; jobs that the manifest no longer has lose their
        position and stay.
        """
        with explained(self.path), immediate(self.db):
            row = reading.campaign(self.db) or {"epoch": 0, "created_at": utc_text(now_us)}
            self.epoch = row["epoch"] + 1
            known = (manifest.sha256, card_sha256, version)
            same = known == tuple(row.get(key) for key in ("manifest_sha256", "card_sha256", "version"))
            count = row["jobs_recorded"] if same else self._record_jobs(jobs())
            table(self.db, "campaign").upsert(
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
                },
                pk="slug",
            )
            self._event(
                Noted(
                    "run", now_us, evidence={"version": version, "manifest": manifest.sha256, "jobs": count}
                )
            )

    def _record_jobs(self, jobs: Iterable[Job]) -> int:
        self.db.execute("UPDATE jobs SET position = NULL WHERE position IS NOT NULL")
        count = 0

        def rows() -> Iterable[dict[str, Any]]:
            nonlocal count
            for job in jobs:
                count += 1
                yield {
                    "id": job.id,
                    "position": count,
                    "image": job.image,
                    "prompt": job.prompt,
                    "take": job.take,
                    "seed": job.seed,
                    "model": job.model,
                    "payload": canonical(dict(job.payload)),
                    "name": job.name,
                    "cost_usd_micros": job.cost_micros,
                }

        table(self.db, "jobs").upsert_all(rows(), pk="id")
        return count

    def take_over(self) -> None:
        """Raise the epoch without touching the jobs: for a person's word between runs."""
        with explained(self.path), immediate(self.db):
            self.db.execute("UPDATE campaign SET epoch = epoch + 1")
            (self.epoch,) = self.db.execute("SELECT max(epoch) FROM campaign").fetchone()

    # --- a tick ---------------------------------------------------------------------------------------

    def commit(self, changes: Sequence[Change]) -> None:
        """Write all of `changes`, durably, or nothing.

        Raises:
            LockedError: another run has taken the campaign over.
            InvariantError: a change is not legal: a bug, nothing was written.
        """
        with explained(self.path), immediate(self.db):
            self._check_epoch()
            for change in changes:
                self._apply(change)

    def _check_epoch(self) -> None:
        (epoch,) = self.db.execute("SELECT max(epoch) FROM campaign").fetchone()
        if epoch != self.epoch:
            raise LockedError("another runner has taken this campaign over; this one stops without writing")

    def _apply(self, change: Change) -> None:
        match change:
            case Moved():
                self._moved(change)
            case Intended():
                self._intended(change)
            case JobRuled():
                self._job_ruled(change)
            case Stored():
                self._stored(change)
            case Noted():
                self._event(change)

    def _intended(self, change: Intended) -> None:
        one, at = change.attempt, utc_text(change.at_us)
        payload = canonical(dict(one.payload))
        row = (one.id, one.job, one.number, one.model, one.account, one.origin, payload)
        self.db.execute(
            _INSERT_ATTEMPT,
            [*row, one.fingerprint, one.reserved_micros, utc_text(one.submitted_us), self.epoch],
        )
        self.db.execute(
            "UPDATE jobs SET state = 'active', attempts = ?, due_at = NULL, updated_at = ? WHERE id = ?",
            [one.number, at, one.job],
        )
        self._write_event(at, one.job, one.id, EventKind.INTENT, None, one.state, None, "", {})

    def _moved(self, change: Moved) -> None:
        one, at = change.attempt, utc_text(change.at_us)
        if move(change.source, change.kind) != one.state:
            raise InvariantError(f"'{change.kind}' does not lead from '{change.source}' to '{one.state}'")
        closes = one.state in CLOSED or one.state is AttemptState.DONE
        cursor = self.db.execute(
            _MOVE_ATTEMPT,
            [
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
                one.id,
                change.source,
            ],
        )
        if cursor.rowcount != 1:
            raise InvariantError(f"attempt {one.id} is not in state '{change.source}' any more")
        self._write_event(
            at,
            one.job,
            one.id,
            change.kind,
            change.source,
            one.state,
            one.reason,
            change.detail,
            change.evidence,
        )
        if change.job is not JobState.ACTIVE or change.source is AttemptState.HELD:
            self._job_follows(change, at)

    def _job_follows(self, change: Moved, at: str) -> None:
        one = change.attempt
        done = change.job is JobState.DONE
        self.db.execute(
            _UPDATE_JOB,
            [
                change.job,
                one.number,
                one.failures,
                utc_text(change.due_us) if change.due_us else None,
                None if done else one.reason,
                None if done else change.detail or None,
                one.files[0].path if done and one.files else None,
                at,
                one.job,
            ],
        )

    def _job_ruled(self, change: JobRuled) -> None:
        self.db.execute(
            """UPDATE jobs SET state = ?, reason = ?, detail = ?, due_at = NULL,
               failures = coalesce(?, failures), updated_at = ? WHERE id = ?""",
            [change.state, change.reason, change.detail, change.failures, utc_text(change.at_us), change.job],
        )
        self._event(
            Noted(change.kind, change.at_us, change.job, None, change.reason, change.detail, change.evidence)
        )

    def _stored(self, change: Stored) -> None:
        table(self.db, "uploads").upsert(
            {
                "origin": change.origin,
                "account": change.account,
                "sha256": change.sha256,
                "public_url": change.public_url,
                "uploaded_at": utc_text(change.at_us),
            },
            pk=("origin", "account", "sha256"),
        )
        self._event(Noted("uploaded", change.at_us, evidence={"sha256": change.sha256}))

    def _event(self, note: Noted) -> None:
        self._write_event(
            utc_text(note.at_us),
            note.job,
            note.attempt_id,
            note.kind,
            None,
            None,
            note.reason,
            note.detail,
            note.evidence,
        )

    def _write_event(self, *values: Any) -> None:
        *columns, evidence = values
        text = json.dumps(dict(evidence), sort_keys=True) if evidence else None
        self.db.execute(_INSERT_EVENT, [*columns, text, self.epoch])
