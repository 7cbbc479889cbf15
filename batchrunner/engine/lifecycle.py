"""What an outcome means for its attempt: pure, one function an outcome.

Each returns a `Step`: what to write, the attempt as it is then, when to act on it again, and what it means
for the run as a whole. The loop writes first and acts later.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from batchrunner.errors import LocalError
from batchrunner.media.trouble import MediaError
from batchrunner.providers.base import ProviderError
from batchrunner.rules import retry
from batchrunner.rules.matching import Looked, Search
from batchrunner.rules.polling import Schedule, next_poll_s
from batchrunner.rules.states import JOB_STATE, EventKind, move
from batchrunner.store.changes import Change, Moved, Noted
from batchrunner.values import (
    JSON,
    Attempt,
    AttemptState,
    Evidence,
    JobState,
    MediaFile,
    Reason,
    Recovery,
    RemoteJob,
    RemotePhase,
    Reply,
)

MISSING_GRACE_S = 600.0  # a list or read replica may lag this far behind an acceptance
NO_MEDIA_POLLS = 5  # a success may be told before its address is
BAD_MEDIA_FETCHES = 3
FETCH_TROUBLES = 30
GONE_FETCHES = 3


class Stop(StrEnum):
    """Why a run ends before its work does."""

    CREDENTIALS = "credentials"
    CREDIT = "credit"
    BUDGET = "budget"
    OUTAGE = "outage"
    LOCAL = "local"
    SIGNAL = "signal"
    TAKEN_OVER = "taken over"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the manifest and the card lay down for every attempt of this run; times in seconds."""

    attempts: int
    schedule: Schedule
    queued_s: float
    wait_s: float
    submit_timeout_s: float
    recovery: Recovery


@dataclass(frozen=True, slots=True)
class Tries:
    """How often what has been tried on an attempt in its present state; not durable, starts anew."""

    polls: int = 0
    troubles: int = 0
    bad: int = 0
    gone: int = 0
    no_media: int = 0
    vanished: int = 0
    refetch: bool = False  # a fetched file has vanished from this disk: ask for its address again


@dataclass(frozen=True, slots=True)
class Step:
    """`next_s`: act again after that many seconds; None: nothing is left to do by itself."""

    attempt: Attempt
    changes: tuple[Change, ...] = ()
    next_s: float | None = None
    tries: Tries = Tries()
    urls: tuple[str, ...] = ()
    hold_off_s: float | None = None
    stop: Stop | None = None
    detail: str = ""


def after_submit(attempt: Attempt, reply: Reply, now_us: int, terms: Terms, rng: random.Random) -> Step:
    """The POST is over: refused, accepted, or its fate is unknown."""
    if reply.evidence is Evidence.ACCEPTED and reply.remote is not None:
        return _accepted(attempt, reply.remote, EventKind.ACCEPTED, now_us, terms, rng, _evidence(reply))
    if reply.evidence is Evidence.UNKNOWN:
        lost = replace(attempt, lost_us=now_us)
        return _go(
            lost, EventKind.UNCLEAR, now_us, Reason.UNCLEAR, reply.detail, _evidence(reply), next_s=0.0
        )
    kind = EventKind.NEVER_LEFT if reply.evidence is Evidence.NEVER_LEFT else EventKind.REFUSED
    reason = reply.reason or Reason.REQUEST
    step = _ended(
        attempt, kind, reason, reply.detail, now_us, terms, rng, _evidence(reply), reply.retry_after_s
    )
    if reason in {Reason.RATE, Reason.CAPACITY}:
        wait_s = retry.backoff_s(retry.RULES[reason], 1, rng, reply.retry_after_s)
        return replace(step, hold_off_s=wait_s)
    # A key that is refused here is checked by one free call before the run stops (engine/health.py).
    return replace(step, stop=Stop.CREDIT if reason is Reason.CREDIT else None, detail=reply.detail)


def interrupted(attempt: Attempt, now_us: int) -> Step:
    """The row says `submitting` and nobody is: the runner died or was stopped around the POST."""
    why = "stopped before the answer"
    return _go(attempt, EventKind.INTERRUPTED, now_us, Reason.INTERRUPTED, why, next_s=0.0, lost_us=now_us)


def after_poll(
    attempt: Attempt, tries: Tries, remote: RemoteJob, now_us: int, terms: Terms, rng: random.Random
) -> Step:
    """The provider told how an accepted request stands."""
    match remote.phase:
        case RemotePhase.SUCCESS if remote.media:
            return _ready(attempt, tries, remote, now_us)
        case RemotePhase.SUCCESS:
            return _no_media(attempt, tries, now_us, rng)
        case RemotePhase.FAILED:
            return _remote_failed(attempt, remote, now_us, terms, rng)
        case RemotePhase.CANCELLED:
            detail = "cancelled at the provider, not by this program"
            return _ended(attempt, EventKind.CANCELLED, Reason.CANCELLED, detail, now_us, terms, rng)
    waited_s = (now_us - (attempt.accepted_us or now_us)) / 1e6
    limit_s = terms.queued_s if remote.status in {"created", "queued"} else terms.wait_s
    if waited_s > limit_s:
        detail = f"still '{remote.status}' after {waited_s / 60:.0f} minutes; it may be billed when it runs"
        return _go(attempt, EventKind.GAVE_UP, now_us, Reason.STUCK, detail)
    polls = tries.polls + 1
    return Step(attempt, next_s=next_poll_s(terms.schedule, polls, rng), tries=Tries(polls=polls))


def after_poll_trouble(
    attempt: Attempt, tries: Tries, error: ProviderError, now_us: int, rng: random.Random
) -> Step:
    """No answer to a poll. That says nothing about the job: ask again, more and more rarely."""
    troubled = replace(tries, troubles=tries.troubles + 1)
    waited_s = (now_us - (attempt.accepted_us or now_us)) / 1e6
    if error.reason is Reason.MISSING and waited_s > MISSING_GRACE_S and attempt.request_id:
        detail = f"the provider does not know request {attempt.request_id} any more"
        return _give_up(attempt, now_us, Reason.MISSING, detail)
    if error.reason is Reason.CREDENTIALS:  # nothing more to ask for in this run
        return Step(attempt, tries=troubled, stop=Stop.CREDENTIALS, detail=error.detail)
    wait_s = retry.trouble_s(troubled.troubles, rng, error.retry_after_s)
    return Step(attempt, next_s=wait_s, tries=troubled, urls=(), detail=error.detail)


def after_look(
    attempt: Attempt,
    looked: Looked,
    search: Search,
    now_us: int,
    now_s: float,
    terms: Terms,
    rng: random.Random,
    *,
    may_gamble: bool,
) -> Step:
    """The list was searched for an attempt of unknown fate (`search` has this look included)."""
    if looked.match is not None:
        found = {"request_id": looked.match.request_id, "created": looked.match.created_s}
        return _accepted(attempt, looked.match, EventKind.FOUND, now_us, terms, rng, found)
    recovery = terms.recovery
    evidence: dict[str, JSON] = {
        "looks": search.looks,
        "unreadable": list(looked.vague),
        "complete": looked.complete,
    }
    if search.absent(now_s, recovery.grace_s):
        if may_gamble and recovery.on_absent == "resubmit":
            return _waived(attempt, now_us, evidence)
        detail = f"not in the provider's list after {search.looks} looks; it may still have been accepted"
        return _go(attempt, EventKind.GAVE_UP, now_us, attempt.reason, detail, evidence)
    if now_s - search.since_s >= recovery.give_up_s:
        why = f"; it may be one of {', '.join(looked.vague)}" if looked.vague else ""
        detail = f"could not be found in the provider's list{why}"
        return _go(attempt, EventKind.GAVE_UP, now_us, attempt.reason, detail, evidence)
    return Step(attempt, next_s=search.next_s(now_s, recovery.grace_s, recovery.give_up_s) - now_s)


def give_up_search(attempt: Attempt, now_us: int, detail: str) -> Step:
    """The list could not be read until patience ran out, or cannot answer for this account."""
    return _go(attempt, EventKind.GAVE_UP, now_us, attempt.reason, detail)


def reopened(attempt: Attempt, now_us: int) -> Step:
    """A held attempt with a request id is looked at again in every run: it is paid for."""
    return _go(attempt, EventKind.REOPENED, now_us, None, "looked at again", next_s=0.0)


def after_download(
    attempt: Attempt,
    tries: Tries,
    urls: tuple[str, ...],
    files: tuple[MediaFile, ...],
    error: MediaError | LocalError | None,
    now_us: int,
    rng: random.Random,
) -> Step:
    """The files are on the disk as part files, or are not."""
    if error is None and attempt.state is AttemptState.FETCHED:
        again = Noted("fetched again", now_us, attempt.job, attempt.id)
        return Step(replace(attempt, files=files), (again,), next_s=0.0, tries=replace(tries, refetch=False))
    if error is None:
        evidence: dict[str, JSON] = {"files": [file.sha256 for file in files]}
        return _go(attempt, EventKind.FETCHED, now_us, None, "", evidence, next_s=0.0, files=files)
    if isinstance(error, LocalError):
        return Step(attempt, urls=urls, tries=tries, stop=Stop.LOCAL, detail=str(error))
    return _fetch_again(attempt, tries, urls, error, now_us, rng)


def after_publish(
    attempt: Attempt,
    tries: Tries,
    files: tuple[MediaFile, ...],
    error: MediaError | LocalError | None,
    now_us: int,
    rng: random.Random,
) -> Step:
    """The files have their final names, or the disk said no. A vanished part file is fetched again."""
    if error is None:
        return _go(attempt, EventKind.PUBLISHED, now_us, None, files=files)
    if isinstance(error, MediaError):
        vanished = tries.vanished + 1
        if vanished >= GONE_FETCHES:
            return Step(attempt, stop=Stop.LOCAL, detail=f"{attempt.job}: {error.detail}, again and again")
        note = Noted("part vanished", now_us, attempt.job, attempt.id, detail=error.detail)
        wait_s = retry.trouble_s(vanished, rng)
        return Step(attempt, (note,), next_s=wait_s, tries=Tries(vanished=vanished, refetch=True))
    return Step(attempt, stop=Stop.LOCAL, detail=str(error))


# --- the parts ----------------------------------------------------------------------------------------


def _go(
    attempt: Attempt,
    kind: EventKind,
    now_us: int,
    reason: Reason | None,
    detail: str = "",
    evidence: Mapping[str, JSON] | None = None,
    *,
    next_s: float | None = None,
    urls: tuple[str, ...] = (),
    **learnt: Any,
) -> Step:
    """Make one move that leaves no choice about the job; `learnt` are further fields of the attempt."""
    moved = replace(attempt, state=move(attempt.state, kind), reason=reason, **learnt)
    change = Moved(moved, attempt.state, kind, now_us, JOB_STATE[moved.state], detail, evidence or {})
    return Step(moved, (change,), next_s, urls=urls)


def _ended(
    attempt: Attempt,
    kind: EventKind,
    reason: Reason,
    detail: str,
    now_us: int,
    terms: Terms,
    rng: random.Random,
    evidence: Mapping[str, JSON] | None = None,
    retry_after_s: float | None = None,
) -> Step:
    """Close the attempt; the retry rules say whether and when its job may try again."""
    counted = retry.RULES.get(reason, retry.FINAL).counted
    failures = attempt.failures + counted
    wait_s = retry.next_try_s(
        reason,
        attempts=attempt.number,
        failures=failures,
        attempts_limit=terms.attempts,
        rng=rng,
        retry_after_s=retry_after_s,
    )
    if reason is Reason.CREDIT:
        wait_s = 0.0  # the run stops here; once there is credit again, nothing is to be waited for
    closed = replace(
        attempt, state=move(attempt.state, kind), reason=reason, failures=failures, cost_micros=0
    )
    job = JobState.FAILED if wait_s is None else JobState.PENDING
    due_us = None if wait_s is None else now_us + int(wait_s * 1e6)
    change = Moved(closed, attempt.state, kind, now_us, job, detail, evidence or {}, due_us)
    return Step(closed, (change,))


def _waived(attempt: Attempt, now_us: int, evidence: Mapping[str, JSON]) -> Step:
    """The manifest lets this job gamble: its money counts as spent, and the job may try again."""
    waived = replace(
        attempt, state=move(attempt.state, EventKind.WAIVED), cost_micros=attempt.reserved_micros
    )
    detail = "absent from the provider's list; recovery.on_absent allows another try"
    change = Moved(waived, attempt.state, EventKind.WAIVED, now_us, JobState.PENDING, detail, evidence)
    return Step(waived, (change,))


def _accepted(
    attempt: Attempt,
    remote: RemoteJob,
    kind: EventKind,
    now_us: int,
    terms: Terms,
    rng: random.Random,
    evidence: Mapping[str, JSON],
) -> Step:
    """The provider has the request; its first answer may already be the verdict."""
    first = _go(
        attempt,
        kind,
        now_us,
        None,
        "",
        {**evidence, "status": remote.status},
        next_s=next_poll_s(terms.schedule, 0, rng),
        request_id=remote.request_id,
        accepted_us=now_us,
    )
    if remote.phase is RemotePhase.RUNNING:
        return first
    then = after_poll(first.attempt, Tries(), remote, now_us, terms, rng)
    return replace(then, changes=first.changes + then.changes)


def _ready(attempt: Attempt, tries: Tries, remote: RemoteJob, now_us: int) -> Step:
    if not _not_ready_yet(attempt):  # asked again for its address; how often it was gone still counts
        return Step(attempt, urls=remote.media, next_s=0.0, tries=tries)
    return _go(
        attempt,
        EventKind.READY,
        now_us,
        None,
        "",
        {"files": len(remote.media)},
        next_s=0.0,
        urls=remote.media,
        cost_micros=attempt.reserved_micros,
    )


def _not_ready_yet(attempt: Attempt) -> bool:
    """Tell whether the attempt has yet to become ready (it may be asked again for its address)."""
    return attempt.state is AttemptState.ACCEPTED


def _no_media(attempt: Attempt, tries: Tries, now_us: int, rng: random.Random) -> Step:
    again = replace(tries, no_media=tries.no_media + 1)
    if again.no_media < NO_MEDIA_POLLS:
        return Step(attempt, next_s=retry.trouble_s(again.no_media + 2, rng), tries=again)
    return _give_up(attempt, now_us, Reason.NO_MEDIA, "finished at the provider, but it names no file")


def _remote_failed(
    attempt: Attempt, remote: RemoteJob, now_us: int, terms: Terms, rng: random.Random
) -> Step:
    reason = remote.failure or Reason.RENDER
    evidence = {"status": remote.status}
    step = _ended(attempt, EventKind.FAILED, reason, remote.error, now_us, terms, rng, evidence)
    if reason is Reason.RATE:
        return replace(step, hold_off_s=retry.RULES[Reason.RATE].floor_s)
    return replace(step, stop=Stop.CREDIT if reason is Reason.CREDIT else None, detail=remote.error)


def _give_up(attempt: Attempt, now_us: int, reason: Reason, detail: str) -> Step:
    kind = EventKind.GAVE_UP if _not_ready_yet(attempt) else EventKind.UNFETCHABLE
    if (
        attempt.state is AttemptState.FETCHED
    ):  # paid, fetched and lost on this disk: only the disk's owner can tell why
        return Step(
            attempt, stop=Stop.LOCAL, detail=f"{attempt.job}: the fetched file vanished, and {detail}"
        )
    return _go(attempt, kind, now_us, reason, detail)


def _fetch_again(
    attempt: Attempt, tries: Tries, urls: tuple[str, ...], error: MediaError, now_us: int, rng: random.Random
) -> Step:
    if error.gone:
        again = replace(tries, gone=tries.gone + 1)
        if again.gone >= GONE_FETCHES:
            return _give_up(attempt, now_us, Reason.NO_MEDIA, error.detail)
        return Step(attempt, next_s=retry.trouble_s(again.gone, rng), tries=again)  # no urls: ask for them
    if error.bad:
        again = replace(tries, bad=tries.bad + 1)
        if again.bad >= BAD_MEDIA_FETCHES:
            return _give_up(attempt, now_us, Reason.BAD_MEDIA, error.detail)
    else:
        again = replace(tries, troubles=tries.troubles + 1)
        if again.troubles >= FETCH_TROUBLES:
            return _give_up(attempt, now_us, Reason.UNCLEAR, error.detail)
    wait_s = retry.trouble_s(again.bad + again.troubles, rng)
    return Step(attempt, next_s=wait_s, tries=again, urls=urls, detail=error.detail)


def _evidence(reply: Reply) -> dict[str, JSON]:
    return {"proves": str(reply.evidence), "http_status": reply.status}
