"""How a campaign stands, from its state table alone; may be asked while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from batchrunner.errors import LocalError
from batchrunner.store import reading
from batchrunner.store.database import explained, open_readonly
from batchrunner.values import AttemptState, HeldJob, JobState, Totals


def state_path(folder: Path, campaign: str) -> Path:
    """Return the path of a campaign's state table."""
    return folder / f"{campaign}.db"


@dataclass(frozen=True, slots=True)
class Status:
    """Counts, money in micro-dollars, and what waits for a person. `finish_s` counts from now."""

    campaign: str
    totals: Totals
    held: tuple[HeldJob, ...]
    failed: tuple[dict[str, Any], ...]
    estimate_micros: int | None  # of the whole campaign once all is done
    finish_s: float | None  # None: nothing to learn from yet, or nothing left
    state: Path
    output: Path

    @property
    def total(self) -> int:
        """All jobs of the manifest."""
        return sum(self.totals.jobs.values())

    def as_json(self) -> dict[str, Any]:
        """Return the stable shape of schemas/status.schema.json; money in dollars, times in seconds."""
        jobs = self.totals.jobs
        return {
            "campaign": self.campaign,
            "jobs": {"total": self.total, **{str(state): jobs[state] for state in JobState}},
            "attempts": {str(state): self.totals.attempts.get(state, 0) for state in AttemptState},
            "spent": dollars(self.totals.spent_micros),
            "reserved": dollars(self.totals.reserved_micros),
            "estimate": {"cost": dollars(self.estimate_micros), "finish": self.finish_s},
            "held": [held_json(self.campaign, one) for one in self.held],
            "unlisted": self.totals.unlisted,
            "state": str(self.state),
            "output": str(self.output),
        }


def read_status(folder: Path, campaign: str) -> Status:
    """Read how a campaign stands.

    Raises:
        LocalError: there is no such state table, or it cannot be read.
    """
    path = state_path(folder, campaign)
    with explained(path):
        db = open_readonly(path)
        try:
            return _status(db, path)
        finally:
            db.close()


def read_jobs(
    folder: Path, campaign: str, state: JobState | None, limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a campaign's jobs as rows of the state table, in the manifest's order.

    Raises:
        LocalError: there is no such state table, or it cannot be read.
    """
    path = state_path(folder, campaign)
    with explained(path):
        db = open_readonly(path)
        try:
            yield from reading.jobs(db, state, limit)
        finally:
            db.close()


def settle_command(campaign: str, held: HeldJob) -> str:
    """Return the command that settles a held job."""
    if not held.sent:
        return f"mend it, or let it try all the same: batchrunner retry {campaign} {held.job}"
    if held.request_id:
        again = "run again: it is asked for again, free"
        return f"{again}; or give it up: batchrunner resolve {campaign} {held.job} --abandon"
    return f"batchrunner resolve {campaign} {held.job} --adopt REQUEST_ID | --resubmit | --abandon"


def held_json(campaign: str, held: HeldJob) -> dict[str, Any]:
    """Return one held job as `status --json` shows it."""
    return {
        "job": held.job,
        "reason": f"{held.reason}: {held.detail}" if held.detail else held.reason,
        "at_stake": dollars(held.at_stake_micros),
        "settle": settle_command(campaign, held),
    }


def dollars(micros: int | None) -> float | None:
    """Return micro-dollars as dollars."""
    return None if micros is None else micros / 1e6


def _status(db: Database, path: Path) -> Status:
    row = reading.campaign(db)
    if row is None:
        raise LocalError(f"{path} is not a state table of batchrunner")
    totals = reading.totals(db)
    return Status(
        campaign=row["slug"],
        totals=totals,
        held=tuple(reading.held_jobs(db)),
        failed=tuple(reading.failed_jobs(db, limit=5)),
        estimate_micros=_estimate(db, totals),
        finish_s=_finish_s(db, totals),
        state=path,
        output=Path(row["output_folder"]),
    )


def _estimate(db: Database, totals: Totals) -> int | None:
    waiting = reading.pending_cost(db)
    return None if waiting is None else totals.spent_micros + totals.reserved_micros + waiting


def _finish_s(db: Database, totals: Totals) -> float | None:
    left = totals.jobs[JobState.PENDING] + totals.jobs[JobState.ACTIVE]
    per_job_s = reading.recent_job_s(db)
    return None if per_job_s is None or not left else round(left * per_job_s, 1)
