"""What the pure decisions about an attempt speak in: a Step says what to write, and what comes next."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from batchrunner.rules import retry
from batchrunner.rules.durations import UNKNOWN, Durations, Setting
from batchrunner.rules.polling import Schedule, Timetable
from batchrunner.rules.states import JOB_STATE, EventKind, move
from batchrunner.store.changes import Change, Moved
from batchrunner.values import JSON, Attempt, AttemptState, JobState, Order, Reason, Recovery


class Stop(StrEnum):
    """Why a run ends before its work does."""

    CREDENTIALS = "credentials"
    CREDIT = "credit"
    BUDGET = "budget"
    OUTAGE = "outage"
    MODEL = "model"
    DEADLINE = "deadline"
    ENOUGH = "enough"  # as many new submissions as were asked for
    FOLDER = "folder"  # clips cannot be filed where they belong; what is paid for is finished
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
    seed_field: str | None = None  # of the model's payload
    timetables: Mapping[Setting, Timetable] = field(default_factory=dict)  # when to poll, where it is learned
    fails_early: bool = False  # a request that is too much is taken and fails at once: look soon
    crowd: int = 1  # attempts in flight: the more, the dearer is a poll
    order: Order = "coverage"
    prior: Durations = UNKNOWN  # how long requests take, before anything was learned


@dataclass(frozen=True, slots=True)
class Tries:
    """How often what has been tried on an attempt in its present state; not durable, starts anew."""

    polls: int = 0
    listed: int = 0  # times in a row that only the list, and no poll, has said that it runs
    running_s: float = 0.0  # how old the request was when it was last known to run
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


def go(
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


def ended(
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


def not_ready_yet(attempt: Attempt) -> bool:
    """Tell whether the attempt has yet to become ready (it may be asked again for its address)."""
    return attempt.state is AttemptState.ACCEPTED


def give_up(attempt: Attempt, now_us: int, reason: Reason, detail: str) -> Step:
    """Hold a paid attempt for a person: there is nothing more to try in this run."""
    kind = EventKind.GAVE_UP if not_ready_yet(attempt) else EventKind.UNFETCHABLE
    if attempt.state is AttemptState.FETCHED:
        # Paid, fetched and lost on this disk: only the disk's owner can tell why.
        vanished = f"{attempt.job}: the fetched file vanished, and {detail}"
        return Step(attempt, stop=Stop.LOCAL, detail=vanished)
    return go(attempt, kind, now_us, reason, detail)
