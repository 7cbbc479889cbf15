"""What the provider's word means for its attempt: pure, one function an outcome.

Each returns a `Step`: what to write, the attempt as it is then, when to act on it again, and what it means
for the run as a whole. The loop writes first and acts later.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from batchrunner.engine.steps import Step, Stop, Terms, Tries, ended, give_up, go, not_ready_yet
from batchrunner.providers.base import ProviderError
from batchrunner.rules import retry
from batchrunner.rules.durations import setting
from batchrunner.rules.matching import Looked, Search
from batchrunner.rules.polling import next_poll_s
from batchrunner.rules.states import EventKind, move
from batchrunner.store.changes import Moved
from batchrunner.store.learned import TOOK
from batchrunner.values import (
    JSON,
    Attempt,
    Evidence,
    JobState,
    Reason,
    RemoteJob,
    RemotePhase,
    Reply,
)

MISSING_GRACE_S = 600.0  # a list or read replica may lag this far behind an acceptance
EARLY_POLLS = 4  # to see soon that a request was taken only to fail
TOLD_S = 1.0  # the provider tells times in whole seconds
NO_MEDIA_POLLS = 5  # a success may be told before its address is


def after_submit(attempt: Attempt, reply: Reply, now_us: int, terms: Terms, rng: random.Random) -> Step:
    """The POST is over: refused, accepted, or its fate is unknown."""
    if reply.evidence is Evidence.ACCEPTED and reply.remote is not None:
        return _accepted(attempt, reply.remote, EventKind.ACCEPTED, now_us, terms, rng, _evidence(reply))
    if reply.evidence is Evidence.UNKNOWN:
        lost = replace(attempt, lost_us=now_us)
        return go(lost, EventKind.UNCLEAR, now_us, Reason.UNCLEAR, reply.detail, _evidence(reply), next_s=0.0)
    kind = EventKind.NEVER_LEFT if reply.evidence is Evidence.NEVER_LEFT else EventKind.REFUSED
    reason = reply.reason or Reason.REQUEST
    step = ended(
        attempt, kind, reason, reply.detail, now_us, terms, rng, _evidence(reply), reply.retry_after_s
    )
    if reason is Reason.RATE:  # how long to wait without a word of the provider's is for the pace to say
        return replace(step, hold_off_s=reply.retry_after_s)
    if reason is Reason.CAPACITY:
        wait_s = retry.backoff_s(retry.RULES[reason], 1, rng, reply.retry_after_s)
        return replace(step, hold_off_s=wait_s)
    # A key that is refused here is checked by one free call before the run stops (engine/health.py).
    return replace(step, stop=Stop.CREDIT if reason is Reason.CREDIT else None, detail=reply.detail)


def interrupted(attempt: Attempt, now_us: int, why: str = "stopped before the answer") -> Step:
    """The row says `submitting` and nobody is: the runner died or was stopped around the POST."""
    return go(attempt, EventKind.INTERRUPTED, now_us, Reason.INTERRUPTED, why, next_s=0.0, lost_us=now_us)


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
            return ended(attempt, EventKind.CANCELLED, Reason.CANCELLED, detail, now_us, terms, rng)
    waited_s = _age_s(attempt, now_us)
    limit_s = terms.queued_s if remote.status in {"created", "queued"} else terms.wait_s
    if waited_s > limit_s:
        detail = f"still '{remote.status}' after {waited_s / 60:.0f} minutes; it may be billed when it runs"
        return go(attempt, EventKind.GAVE_UP, now_us, Reason.STUCK, detail)
    polls = tries.polls + 1
    wait_s = _next_poll_s(attempt, polls, now_us, terms, rng)
    return Step(attempt, next_s=wait_s, tries=Tries(polls=polls, running_s=waited_s))


def after_poll_trouble(
    attempt: Attempt, tries: Tries, error: ProviderError, now_us: int, rng: random.Random
) -> Step:
    """No answer to a poll. That says nothing about the job: ask again, more and more rarely."""
    troubled = replace(tries, troubles=tries.troubles + 1)
    waited_s = _age_s(attempt, now_us)
    if error.reason is Reason.MISSING and waited_s > MISSING_GRACE_S and attempt.request_id:
        detail = f"the provider does not know request {attempt.request_id} any more"
        return give_up(attempt, now_us, Reason.MISSING, detail)
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
        "not shown": list(looked.hidden),
    }
    if search.absent(now_s, recovery.grace_s):
        if may_gamble and recovery.on_absent == "resubmit":
            return _waived(attempt, now_us, evidence)
        detail = f"not in the provider's list after {search.looks} looks; it may still have been accepted"
        return go(attempt, EventKind.GAVE_UP, now_us, attempt.reason, detail, evidence)
    if now_s - search.since_s >= recovery.give_up_s:
        why = f"; it may be one of {', '.join(looked.vague)}" if looked.vague else ""
        detail = f"could not be found in the provider's list{why}"
        return go(attempt, EventKind.GAVE_UP, now_us, attempt.reason, detail, evidence)
    return Step(attempt, next_s=search.next_s(now_s, recovery.grace_s, recovery.give_up_s) - now_s)


def swept(attempt: Attempt, remote: RemoteJob, now_us: int, terms: Terms, rng: random.Random) -> Step:
    """A request of an earlier run, whose record is lost, is this job's: it is taken over."""
    found = {"request_id": remote.request_id, "created": remote.created_s, "sweep": True}
    return _accepted(attempt, remote, EventKind.FOUND, now_us, terms, rng, found)


def give_up_search(attempt: Attempt, now_us: int, detail: str) -> Step:
    """The list could not be read until patience ran out, or cannot answer for this account."""
    return go(attempt, EventKind.GAVE_UP, now_us, attempt.reason, detail)


def reopened(attempt: Attempt, now_us: int) -> Step:
    """A held attempt with a request id is looked at again in every run: it is paid for."""
    return go(attempt, EventKind.REOPENED, now_us, None, "looked at again", next_s=0.0)


# --- the parts ----------------------------------------------------------------------------------------


def _age_s(attempt: Attempt, now_us: int) -> float:
    return (now_us - (attempt.accepted_us or now_us)) / 1e6


def _next_poll_s(attempt: Attempt, polls: int, now_us: int, terms: Terms, rng: random.Random) -> float:
    age_s = max(0.0, _age_s(attempt, now_us))
    if not terms.timetables or (terms.fails_early and polls < EARLY_POLLS):
        return next_poll_s(terms.schedule, polls, rng, age_s)
    learned = terms.timetables.get(setting(attempt.model, attempt.payload))
    price_s = learned.price_s(terms.crowd) if learned else 0.0
    return next_poll_s(terms.schedule, polls, rng, age_s, learned, price_s)


def _took_s(attempt: Attempt, tries: Tries, remote: RemoteJob, now_us: int) -> list[float]:
    """Return between which ages the request ended: by our polls, and closer where the provider tells.

    Its word counts only within what we saw: some answers have no times, or copies of the first one.
    """
    low_s, high_s = tries.running_s, max(tries.running_s, _age_s(attempt, now_us))
    if remote.created_s is not None and remote.updated_s is not None:
        told_s = remote.updated_s - remote.created_s
        if low_s <= told_s + TOLD_S and told_s - TOLD_S <= high_s and told_s > 0:
            low_s, high_s = max(low_s, told_s - TOLD_S), min(high_s, told_s + TOLD_S)
    return [round(low_s, 3), round(high_s, 3)]


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
    first = go(
        attempt,
        kind,
        now_us,
        None,
        "",
        {**evidence, "status": remote.status},
        next_s=_next_poll_s(replace(attempt, accepted_us=now_us), 0, now_us, terms, rng),
        request_id=remote.request_id,
        accepted_us=now_us,
    )
    if remote.phase is RemotePhase.RUNNING:
        return first
    then = after_poll(first.attempt, Tries(), remote, now_us, terms, rng)
    return replace(then, changes=first.changes + then.changes)


def _ready(attempt: Attempt, tries: Tries, remote: RemoteJob, now_us: int) -> Step:
    if not not_ready_yet(attempt):  # asked again for its address; how often it was gone still counts
        return Step(attempt, urls=remote.media, next_s=0.0, tries=tries)
    return go(
        attempt,
        EventKind.READY,
        now_us,
        None,
        "",
        {"files": len(remote.media), TOOK: _took_s(attempt, tries, remote, now_us)},
        next_s=0.0,
        urls=remote.media,
        cost_micros=attempt.reserved_micros,
    )


def _no_media(attempt: Attempt, tries: Tries, now_us: int, rng: random.Random) -> Step:
    again = replace(tries, no_media=tries.no_media + 1)
    if again.no_media < NO_MEDIA_POLLS:
        return Step(attempt, next_s=retry.trouble_s(again.no_media + 2, rng), tries=again)
    return give_up(attempt, now_us, Reason.NO_MEDIA, "finished at the provider, but it names no file")


def _remote_failed(
    attempt: Attempt, remote: RemoteJob, now_us: int, terms: Terms, rng: random.Random
) -> Step:
    reason = remote.failure or Reason.RENDER
    evidence = {"status": remote.status}
    step = ended(attempt, EventKind.FAILED, reason, remote.error, now_us, terms, rng, evidence)
    return replace(step, stop=Stop.CREDIT if reason is Reason.CREDIT else None, detail=remote.error)


def _evidence(reply: Reply) -> dict[str, JSON]:
    return {"proves": str(reply.evidence), "http_status": reply.status}
