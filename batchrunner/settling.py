"""A person's word on jobs: let failed ones try again, settle held ones. Needs the runner's lock.

Adopting never costs money. Submitting again may pay twice, and abandoning may lose what was paid: so each
is for one job, by name, and the events keep who said it and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from batchrunner.clock import Clock, utc_text
from batchrunner.errors import UsageError
from batchrunner.rules.states import EventKind, move
from batchrunner.standing import state_path
from batchrunner.store import reading
from batchrunner.store.changes import JobRuled, Moved
from batchrunner.store.lock import runner_lock
from batchrunner.store.tables import Store
from batchrunner.values import Attempt, AttemptState, JobState


class Verdict(StrEnum):
    """What a person says of a held job."""

    ADOPT = "adopt"
    RESUBMIT = "resubmit"
    ABANDON = "abandon"


def retry_failed(folder: Path, campaign: str, jobs: tuple[str, ...], clock: Clock, who: str) -> list[str]:
    """Make failed jobs, and those that were spared, pending again with a fresh count of failures.

    `jobs`: the ids to retry; empty means every one of the manifest. Returns their ids.

    Raises:
        UsageError: a named job is not there or has not failed.
        LocalError: there is no such state table.
        LockedError: a runner is at work.
    """
    with _opened(folder, campaign, clock) as store:
        failed = [row["id"] for row in reading.jobs(store.db, JobState.FAILED, None)]
        failed += reading.spared_jobs(store.db)
        for wanted in jobs:
            if wanted not in failed:
                raise UsageError(f"{wanted} is not a failed job of {campaign}")
        chosen = [job for job in failed if not jobs or job in jobs]
        now_us = clock.now_us()
        store.commit(
            [
                JobRuled(job, JobState.PENDING, now_us, "retry", failures=0, evidence={"who": who})
                for job in chosen
            ]
        )
        return chosen


def settle(
    folder: Path,
    campaign: str,
    job: str,
    verdict: Verdict,
    clock: Clock,
    *,
    request_id: str | None = None,
    who: str,
    why: str,
) -> Attempt:
    """Settle one held job; return its attempt as it is then.

    Raises:
        UsageError: the job is not held, or the verdict lacks or must not have an id.
        LocalError: there is no such state table.
        LockedError: a runner is at work.
    """
    with _opened(folder, campaign, clock) as store:
        held = [one for one in reading.attempts(store.db, [AttemptState.HELD]) if one.job == job]
        if not held:
            raise UsageError(f"{job} is not a held job of {campaign}")
        change = _settled(held[0], verdict, clock.now_us(), request_id, {"who": who, "why": why})
        store.commit([change])
        return change.attempt


def _settled(
    attempt: Attempt, verdict: Verdict, now_us: int, request_id: str | None, evidence: dict[str, str]
) -> Moved:
    match verdict:
        case Verdict.ADOPT:
            if not request_id:
                raise UsageError("--adopt needs the provider's request id")
            found = replace(attempt, request_id=request_id, accepted_us=now_us)
            return _moved(found, EventKind.FOUND, now_us, JobState.ACTIVE, "adopted by a person", evidence)
        case Verdict.RESUBMIT:
            waived = replace(attempt, cost_micros=attempt.reserved_micros)
            detail = "given up by a person, who lets the job be submitted again"
            return _moved(waived, EventKind.WAIVED, now_us, JobState.PENDING, detail, evidence)
        case Verdict.ABANDON:
            gone = replace(attempt, cost_micros=attempt.reserved_micros)
            return _moved(
                gone, EventKind.ABANDONED, now_us, JobState.FAILED, "abandoned by a person", evidence
            )


def _moved(
    attempt: Attempt, kind: EventKind, now_us: int, job: JobState, detail: str, evidence: dict[str, str]
) -> Moved:
    after = replace(attempt, state=move(attempt.state, kind))
    return Moved(after, attempt.state, kind, now_us, job, detail, evidence)


@contextmanager
def _opened(folder: Path, campaign: str, clock: Clock) -> Iterator[Store]:
    path = state_path(folder, campaign)
    if not path.is_file():
        raise UsageError(f"there is no state table {path}")
    with runner_lock(path.with_suffix(".lock"), utc_text(clock.now_us())):
        store = Store(path, create=False)
        try:
            store.take_over()
            yield store
        finally:
            store.close()
