"""Mutants of what keeps the paid work: accepted requests, policy, money, files, and the table itself."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from batchrunner.engine import actions, deciding, fetching, lifecycle, loop
from batchrunner.engine.intake import Intake
from batchrunner.engine.steps import Step
from batchrunner.media import verdicts
from batchrunner.rehearsal.table import Table
from batchrunner.rules import budget, retry, states
from batchrunner.rules.states import EventKind
from batchrunner.store import database, tables
from batchrunner.store.changes import Moved
from batchrunner.values import Attempt, AttemptState, JobState, Reason, RemoteJob, RemotePhase
from tests.simulation.breaking import Patch, again, mutant

# --- policy -------------------------------------------------------------------------------------------


def _look(policy: dict[str, Any] | None = None, *, always: bool = False) -> list[Patch]:
    real: Any = lifecycle.after_look

    def look(*given: Any, may_gamble: bool) -> Step:
        *first, terms, rng = given
        terms = replace(terms, recovery=replace(terms.recovery, **(policy or {})))
        step: Step = real(*first, terms, rng, may_gamble=may_gamble or always)
        return step

    return [(lifecycle, "after_look", look)]


@mutant
def absent_is_always_sent_again() -> list[Patch]:
    """`hold` means that a person decides."""
    return _look({"on_absent": "resubmit"})


@mutant
def gambles_beyond_the_risk() -> list[Patch]:
    """`risk` jobs and no more."""
    return _look(always=True)


@mutant
def what_is_not_found_in_time_is_sent_again() -> list[Patch]:
    """The end of patience is not a proof."""
    real = lifecycle.after_look

    def impatient(attempt: Attempt, looked: Any, search: Any, now_us: int, *rest: Any, **more: Any) -> Step:
        step = real(attempt, looked, search, now_us, *rest, **more)
        if step.attempt.state is not AttemptState.HELD:
            return step
        waived = replace(attempt, state=AttemptState.WAIVED, cost_micros=attempt.reserved_micros)
        change = Moved(waived, attempt.state, EventKind.WAIVED, now_us, JobState.PENDING)
        return Step(waived, (change,))

    return [(lifecycle, "after_look", impatient)]


@mutant
def held_jobs_made_pending() -> list[Patch]:
    """A held job waits for a person."""
    return [(states.JOB_STATE, AttemptState.HELD, JobState.PENDING)]


@mutant
def held_jobs_reported_failed() -> list[Patch]:
    """A request whose fate is not known has not failed."""
    return [(states.JOB_STATE, AttemptState.HELD, JobState.FAILED)]


@mutant
def moderation_tried_again() -> list[Patch]:
    """The provider's final no is final."""
    return [(retry.RULES, Reason.MODERATION, retry.RULES[Reason.RENDER])]


# --- accepted requests --------------------------------------------------------------------------------


@mutant
def accepted_and_not_known_yet_sent_again() -> list[Patch]:
    """A 404 for an accepted id: a replica lags."""
    real = lifecycle.after_poll_trouble

    def hasty(attempt: Attempt, tries: Any, error: Any, now_us: int, rng: Any) -> Step:
        if error.reason is Reason.MISSING and attempt.state is AttemptState.ACCEPTED:
            return again(attempt, now_us, EventKind.FAILED)
        return real(attempt, tries, error, now_us, rng)

    return [(lifecycle, "after_poll_trouble", hasty)]


def _poll(when: Callable[[RemoteJob, Step], bool]) -> list[Patch]:
    real = lifecycle.after_poll

    def poll(attempt: Attempt, tries: Any, remote: RemoteJob, now_us: int, *rest: Any) -> Step:
        step = real(attempt, tries, remote, now_us, *rest)
        return again(attempt, now_us, EventKind.FAILED) if when(remote, step) else step

    return [(lifecycle, "after_poll", poll)]


@mutant
def stuck_requests_sent_again() -> list[Patch]:
    """What waits in the queue may yet run, and be billed."""
    return _poll(lambda remote, step: remote.phase is RemotePhase.RUNNING and step.next_s is None)


@mutant
def success_without_a_file_sent_again() -> list[Patch]:
    """It is paid; its address comes later or a person asks for it."""
    return _poll(lambda remote, _step: remote.phase is RemotePhase.SUCCESS and not remote.media)


@mutant
def bad_media_sent_again() -> list[Patch]:
    """It is paid; another one would be paid too."""
    real = fetching.after_download

    def wasteful(
        attempt: Attempt, tries: Any, urls: Any, files: Any, error: Any, now_us: int, rng: Any
    ) -> Step:
        if error is not None and attempt.state is AttemptState.READY:
            return again(attempt, now_us, EventKind.FAILED)
        return real(attempt, tries, urls, files, error, now_us, rng)

    return [(deciding, "after_download", wasteful)]


# --- money --------------------------------------------------------------------------------------------


@mutant
def budget_without_what_is_reserved() -> list[Patch]:
    """Open attempts may all be billed."""
    real = budget.fits
    return [(budget, "fits", lambda cost, **given: real(cost, **{**given, "reserved_micros": 0}))]


@mutant
def unknown_counts_as_free() -> list[Patch]:
    """A submission of unknown fate counts as paid."""
    real = Attempt.open_micros

    def free(self: Attempt) -> int:
        return 0 if self.state in {AttemptState.UNKNOWN, AttemptState.HELD} else real.__get__(self)

    return [(Attempt, "open_micros", property(free))]


@mutant
def finished_clips_count_as_free() -> list[Patch]:
    """What is ready is billed."""
    real = lifecycle._ready

    def free(*given: Any) -> Step:
        step = real(*given)
        attempt = replace(step.attempt, cost_micros=0)
        moves = tuple(
            replace(change, attempt=attempt) if isinstance(change, Moved) else change
            for change in step.changes
        )
        return replace(step, attempt=attempt, changes=moves)

    return [(lifecycle, "_ready", free)]


@mutant
def gambles_count_as_free() -> list[Patch]:
    """What was given up may have been billed."""
    real = lifecycle._waived

    def free(attempt: Attempt, *rest: Any) -> Step:
        return real(replace(attempt, reserved_micros=0), *rest)

    return [(lifecycle, "_waived", free)]


# --- files --------------------------------------------------------------------------------------------


@mutant
def published_before_the_hash_is_committed() -> list[Patch]:
    """A file under its final name is known to be ours."""
    real = actions.perform

    def early(action: Any, provider: Any, clips: Any) -> Any:
        outcome = real(action, provider, clips)
        if isinstance(action, actions.Download) and isinstance(outcome, actions.Downloaded):
            for attempt, done in zip(action.attempts, outcome.results, strict=True):
                if done.files:
                    clips.publish([dataclasses.replace(attempt, files=done.files)])
        return outcome

    return [(loop, "perform", early)]


@mutant
def names_not_synced() -> list[Patch]:
    """A rename that was not synced is gone after a power cut."""

    def unsynced(attempts: Any, name: Any, _settle: Any) -> Any:
        return tuple(verdicts._ruled(functools.partial(name, attempt)) for attempt in attempts)

    return [(verdicts, "publish_all", unsynced)]


# --- two runners, and the table -----------------------------------------------------------------------


@mutant
def epoch_not_checked() -> list[Patch]:
    """A runner that was taken over must not write, and so not submit."""
    return [(tables.Store, "_check_epoch", lambda _self: None)]


@mutant
def epoch_not_raised() -> list[Patch]:
    """Each run has an epoch of its own."""
    real = tables.Store.record

    def humble(self: Any, *given: Any, **more: Any) -> None:
        real(self, *given, **more)
        self.db.execute("UPDATE campaign SET epoch = 1")
        self.epoch = 1

    return [(tables.Store, "record", humble)]


def _table_without(statement: str) -> list[Patch]:
    real = Table.__init__

    def opened(self: Any, *given: Any) -> None:
        real(self, *given)
        self.db.execute(statement)

    # A table that was changed is refused when it is opened again: here the index itself is on trial.
    return [(Table, "__init__", opened), (database, "check_schema", lambda _db, _path: None)]


@mutant
def index_of_open_attempts_dropped() -> list[Patch]:
    """The table refuses a second open attempt of a job by itself."""
    return _table_without("DROP INDEX IF EXISTS one_open_attempt")


@mutant
def index_of_owners_dropped() -> list[Patch]:
    """And a request with two owners."""
    return _table_without("DROP INDEX IF EXISTS one_owner")


@mutant
def trigger_of_moves_dropped() -> list[Patch]:
    """And a move that the rules do not have."""
    return _table_without("DROP TRIGGER IF EXISTS attempts_move")


@mutant
def pending_jobs_taken_twice() -> list[Patch]:
    """A job that is taken in this tick is still pending in the table."""

    def forget(self: Any) -> Any:
        return self._buffer[0]

    return [(Intake, "take", forget)]
