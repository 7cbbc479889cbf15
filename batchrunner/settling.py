"""A person's word on jobs: let failed ones try again, settle held ones. Needs the runner's lock.

Adopting never costs money. Submitting again may pay twice, and abandoning may lose what was paid: so each
is for one job, by name, and the events keep who said it and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from batchrunner.clock import Clock
from batchrunner.engine.lifecycle import interrupted
from batchrunner.engine.sweep import as_sent
from batchrunner.errors import UsageError
from batchrunner.rules.matching import Echo, compare, normal
from batchrunner.rules.states import LIVE, UNSENT, EventKind, move
from batchrunner.standing import state_path
from batchrunner.store import lost, reading
from batchrunner.store.changes import Change, Intended, JobRuled, Moved
from batchrunner.store.lock import runner_lock
from batchrunner.store.tables import Store
from batchrunner.values import Attempt, AttemptState, JobState, PendingJob, RemoteJob, fingerprint


class Verdict(StrEnum):
    """What a person says of a held job."""

    ADOPT = "adopt"
    RESUBMIT = "resubmit"
    ABANDON = "abandon"


def retry_failed(folder: Path, campaign: str, jobs: tuple[str, ...], clock: Clock, who: str) -> list[str]:
    """Make failed jobs, and those that were spared, pending again with a fresh count of failures.

    `jobs`: the ids to retry; empty means every one of the manifest, but for those that something was paid for
    already: to pay for them again, they must be named. Returns their ids.

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
        paid = lost.paid_jobs(store.db) if not jobs else set()
        chosen = [job for job in failed if (job in jobs if jobs else job not in paid)]
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
    ask: Callable[[str], RemoteJob | None] | None = None,
) -> Attempt:
    """Settle one job; return its attempt as it is then. Jobs that are not held can be adopted for only.

    That goes for those in doubt too: before one is given up, a run has looked for it in the provider's list.

    `ask` returns the provider's record of a request, or None where it knows none; without it an id is taken
    as it is.

    Raises:
        UsageError: the job is not held, the verdict lacks an id, or another job has that request.
        LocalError: there is no such state table.
        LockedError: a runner is at work.
    """
    with _opened(folder, campaign, clock) as store:
        now_us, evidence = clock.now_us(), {"who": who, "why": why}
        attempt, changes = _settleable(store, campaign, job, verdict, now_us)
        if request_id and reading.owned(store.db, attempt.account, [request_id]):
            raise UsageError(f"request {request_id} belongs to a job of {campaign} already")
        if verdict is Verdict.ADOPT and request_id and ask is not None:
            _check_adopted(attempt, request_id, ask(request_id))
        change = _settled(attempt, verdict, now_us, request_id, evidence)
        store.commit([*changes, change])
        return change.attempt


def _settleable(
    store: Store, campaign: str, job: str, verdict: Verdict, now_us: int
) -> tuple[Attempt, list[Change]]:
    """Return the attempt that a verdict is about, and what has to be written down before it.

    Raises:
        UsageError: the job waits for no such word; the text says what it waits for.
    """
    live = reading.attempts(store.db, {*LIVE, AttemptState.HELD})
    attempt = next((one for one in live if one.job == job), None)
    adopts = verdict is Verdict.ADOPT
    if attempt is None:
        waiting = lost.adoptable(store.db, job) if adopts else None
        if waiting is None:
            raise UsageError(f"{job} is not a held job of {campaign}")
        return _begun(store, waiting, now_us)
    if attempt.state is AttemptState.HELD or (attempt.state is AttemptState.UNKNOWN and adopts):
        return attempt, []
    if attempt.state is AttemptState.SUBMITTING and adopts:
        step = interrupted(attempt, now_us)
        return step.attempt, list(step.changes)
    raise UsageError(f"{job} is not a held job of {campaign}: {_waits_for(attempt)}")


def _waits_for(attempt: Attempt) -> str:
    """Say what goes on with a job that is under way."""
    if attempt.state in {AttemptState.SUBMITTING, AttemptState.UNKNOWN}:
        return (
            "its submission is in doubt. Run again: it is looked for in the provider's list, free, and held "
            "for you after recovery.give_up; or take it over with --adopt, where you have found it there"
        )
    return (
        f"it is request {attempt.request_id} at the provider, paid or about to be. Run again: it is fetched"
    )


def _check_adopted(attempt: Attempt, request_id: str, remote: RemoteJob | None) -> None:
    """See that a request can be a job's own; one without an echo can."""
    if remote is None:
        raise UsageError(f"the provider knows no request {request_id!r}; nothing was changed")
    sent = as_sent(attempt.payload, remote.payload or {})
    if remote.payload and compare(sent, remote.payload) is Echo.OTHER:
        keys = [key for key, value in sent.items() if normal(remote.payload.get(key)) != normal(value)]
        raise UsageError(
            f"request {request_id} was made with something else than {attempt.job} "
            f"({', '.join(keys)}): nothing was changed; --force takes it all the same"
        )


def _begun(store: Store, job: PendingJob, now_us: int) -> tuple[Attempt, list[Change]]:
    """Return an attempt for a request that somebody else made, as one whose answer is not known yet."""
    whose = lost.last_account(store.db)
    if whose is None:
        raise UsageError(
            "nothing was ever sent for this campaign, so whose requests it makes is not known yet"
        )
    account, origin = whose
    attempt = Attempt(
        id=reading.last_attempt_id(store.db) + 1,
        job=job.id,
        number=job.attempts + 1,
        name=job.name,
        failures=job.failures,
        state=AttemptState.SUBMITTING,
        model=job.model,
        account=account,
        origin=origin,
        payload=job.payload,
        fingerprint=fingerprint(job.model, job.payload),
        reserved_micros=job.cost_micros or 0,
        submitted_us=now_us,
    )
    unknown = _moved(attempt, EventKind.INTERRUPTED, now_us, JobState.ACTIVE, UNSENT, {})
    return unknown.attempt, [Intended(attempt, now_us, "a request was made by hand"), unknown]


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
    with runner_lock(path.with_suffix(".lock"), clock) as lock:
        store = Store(path, create=False, left=lock.left)
        try:
            store.take_over()
            yield store
        finally:
            store.close()
        lock.leave(path)
