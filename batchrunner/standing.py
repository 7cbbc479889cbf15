"""How a campaign stands, from its state table alone; may be asked while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from batchrunner.clock import utc_text
from batchrunner.errors import LocalError
from batchrunner.rules.budget import reach
from batchrunner.store import counters, reading
from batchrunner.store.database import explained, maybe_readonly, open_readonly
from batchrunner.store.lock import is_at_work
from batchrunner.store.runs import BROKE_OFF, PastRun, last_run, last_terms
from batchrunner.values import AttemptState, HeldJob, JobState, Order, Totals

# How a run ended that nothing stopped, by its exit code.
ENDS = {
    0: "every job was done",
    3: "nothing was left but jobs that failed",
    4: "nothing was left but jobs that are held",
    8: "finished clips were not where they had been put",
}


def state_path(folder: Path, campaign: str) -> Path:
    """Return the path of a campaign's state table."""
    return folder / f"{campaign}.db"


@dataclass(frozen=True, slots=True)
class Status:
    """Counts, money in micro-dollars, and what waits for a person. `finish_s` counts from now.

    `within`: so many of the jobs that wait fit into the budget, and then it ends the run; None: all do.
    """

    campaign: str
    totals: Totals
    held: tuple[HeldJob, ...]
    failed: tuple[dict[str, Any], ...]
    estimate_micros: int | None  # of the whole campaign once all is done
    finish_s: float | None  # None: nothing to learn from yet, or nothing left
    state: Path
    output: Path
    manifest: Path = Path()  # as the last run was given it
    last_run: PastRun | None = None  # None: there was none yet
    at_work: bool = False  # that run goes on
    budget_micros: int | None = None  # the last run's
    within: int | None = None
    window: str | None = None  # the hours in which that run may submit; None: all of them

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
            "budget": dollars(self.budget_micros),
            "estimate": {
                "cost": dollars(self.estimate_micros),
                "finish": self.finish_s,
                "within": self.within,
            },
            "held": [held_json(self.campaign, one) for one in self.held],
            "unlisted": self.totals.unlisted,
            "last_run": self.last_run and run_json(self.last_run, at_work=self.at_work),
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


def is_recorded(folder: Path, campaign: str) -> bool:
    """Tell whether there is a state table with a campaign in it: a first run makes one.

    Raises:
        LocalError: it cannot be read.
    """
    with maybe_readonly(state_path(folder, campaign)) as db:
        return db is not None and reading.campaign(db) is not None


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


def run_json(run: PastRun, *, at_work: bool) -> dict[str, Any]:
    """Return a run as `status --json` shows it; times in UTC."""
    return {
        "began": utc_text(run.began_us),
        "ended": utc_text(run.ended_us) if run.ended_us else None,
        "at_work": at_work,
        "stop": run.stop,
        "detail": run.detail,
        "exit_code": run.exit_code,
    }


def end_words(run: PastRun) -> str:
    """Say why a run that left word of its end ended."""
    detail = f": {run.detail}" if run.detail else ""
    if run.stop == BROKE_OFF:
        return f"ended with an error{detail}"
    if run.stop is not None:
        return f"stopped: {run.stop}{detail}"
    return ENDS.get(run.exit_code or 0, "ended")


def dollars(micros: int | None) -> float | None:
    """Return micro-dollars as dollars."""
    return None if micros is None else micros / 1e6


def _status(db: Database, path: Path) -> Status:
    row = reading.campaign(db)
    if row is None:
        raise LocalError(f"{path} is not a state table of batchrunner")
    totals, run = reading.totals(db), last_run(db)
    budget, order, hours = last_terms(db)
    within = _within(db, totals, budget, order)
    return Status(
        campaign=row["slug"],
        totals=totals,
        held=tuple(reading.held_jobs(db)),
        failed=tuple(reading.failed_jobs(db, limit=5)),
        estimate_micros=_estimate(db, totals),
        finish_s=_finish_s(db, totals, within),
        state=path,
        output=Path(row["output_folder"]),
        manifest=Path(row["manifest_path"]),
        last_run=run,
        # Asked only where it makes a difference: the question holds the lock for a moment itself.
        at_work=run is not None and run.ended_us is None and is_at_work(path.with_suffix(".lock")),
        budget_micros=budget,
        within=within,
        window=hours,
    )


def _estimate(db: Database, totals: Totals) -> int | None:
    waiting = reading.pending_cost(db)
    return None if waiting is None else totals.spent_micros + totals.reserved_micros + waiting


def _within(db: Database, totals: Totals, budget_micros: int | None, order: Order) -> int | None:
    """Return after how many more jobs the budget ends a run; None: after all of them."""
    waiting, used = reading.pending_cost(db), totals.spent_micros + totals.reserved_micros
    if budget_micros is None or waiting is None or used + waiting <= budget_micros:
        return None
    return reach(counters.pending_in_order(db, order), max(0, budget_micros - used))


def _finish_s(db: Database, totals: Totals, within: int | None) -> float | None:
    starts = totals.jobs[JobState.PENDING] if within is None else within
    left = starts + totals.jobs[JobState.ACTIVE]
    per_job_s = reading.recent_job_s(db)
    return None if per_job_s is None or not left else round(left * per_job_s, 1)
