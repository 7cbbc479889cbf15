"""The protocol broken by hand, one rule at a time: the simulation must notice every one of these.

A mutant is a small change of the real modules at run time. Each says in its docstring which rule it breaks;
what the change is called in the lists is the name of its function.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from batchrunner.engine import actions, deciding, fetching, lifecycle, loop, searching, steps
from batchrunner.engine.desk import Desk
from batchrunner.engine.intake import Intake
from batchrunner.engine.steps import Step
from batchrunner.providers import gmi
from batchrunner.rules import budget, matching, retry
from batchrunner.rules.states import EventKind
from batchrunner.store import tables
from batchrunner.store.changes import Moved
from batchrunner.values import (
    Attempt,
    AttemptState,
    Evidence,
    JobState,
    Listing,
    Reason,
    RemoteJob,
    RemotePhase,
    Reply,
)
from tests.simulation import night

Patch = tuple[Any, str, Any]
MUTANTS: dict[str, Callable[[], list[Patch]]] = {}


def mutant(make: Callable[[], list[Patch]]) -> Callable[[], list[Patch]]:
    """Enter a mutant into the list."""
    MUTANTS[make.__name__] = make
    return make


@contextlib.contextmanager
def applied(name: str) -> Iterator[None]:
    """Break one rule for a while. A patch is an owner (module, class or dict), a name, and what stands there."""
    with contextlib.ExitStack() as undo:
        for owner, key, value in MUTANTS[name]():
            if isinstance(owner, dict):
                undo.callback(owner.__setitem__, key, owner[key])
                owner[key] = value
            else:
                undo.callback(setattr, owner, key, owner.__dict__[key])
                setattr(owner, key, value)
        yield


def again(attempt: Attempt, now_us: int, kind: EventKind) -> Step:
    """Close an attempt as if it had come to nothing, and let its job be submitted again."""
    state = AttemptState.REFUSED if attempt.state is AttemptState.SUBMITTING else AttemptState.FAILED
    closed = replace(attempt, state=state, cost_micros=0, reason=Reason.TRANSIENT)
    return Step(closed, (Moved(closed, attempt.state, kind, now_us, JobState.PENDING, "mutant", {}, now_us),))


# --- the POST and its row -----------------------------------------------------------------------------


@mutant
def intent_committed_after_the_post() -> list[Patch]:
    """The row must be durable before the socket opens."""

    def act_first(self: Any) -> Any:
        run = self._run
        changes, waiting = tuple(run.changes), run.actions
        run.changes, run.actions = [], []
        for action in waiting:
            self._act(action)
        if changes:
            run.store.commit(changes)
        run.intake.committed(changes)
        return self._progress(changes)

    return [(loop.Loop, "_commit_and_act", act_first)]


@mutant
def server_errors_read_as_refusals() -> list[Patch]:
    """A 5xx proves nothing: the request may have been accepted behind it."""
    real = gmi.post_refusal

    def hasty(status: int, error: str | None) -> tuple[Evidence, Reason]:
        return (Evidence.REFUSED, Reason.CAPACITY) if status >= 500 else real(status, error)

    return [(gmi, "post_refusal", hasty)]


@mutant
def odd_answers_read_as_refusals() -> list[Patch]:
    """Neither does a 2xx without an id, or a status that the table does not know."""
    real = gmi.post_refusal

    def hasty(status: int, error: str | None) -> tuple[Evidence, Reason]:
        return (Evidence.REFUSED, Reason.TRANSIENT) if status < 500 else real(status, error)

    return [(gmi, "post_refusal", hasty)]


@mutant
def lost_answers_taken_as_never_left() -> list[Patch]:
    """A lost answer is not a request that was never sent."""
    real = lifecycle.after_submit

    def hopeful(attempt: Attempt, reply: Reply, *rest: Any) -> Step:
        if reply.evidence is Evidence.UNKNOWN:
            reply = replace(reply, evidence=Evidence.NEVER_LEFT, reason=Reason.NETWORK)
        return real(attempt, reply, *rest)

    return [(lifecycle, "after_submit", hopeful)]


@mutant
def the_library_sends_a_lost_post_again() -> list[Patch]:
    """One attempt makes one POST."""
    real = gmi.Gmi.submit

    def eager(self: gmi.Gmi, model: str, payload: Any, *, timeout_s: float) -> Reply:
        reply = real(self, model, payload, timeout_s=timeout_s)
        unheard = reply.evidence is Evidence.UNKNOWN
        return real(self, model, payload, timeout_s=timeout_s) if unheard else reply

    return [(gmi.Gmi, "submit", eager)]


@mutant
def interrupted_attempts_sent_again() -> list[Patch]:
    """A row that says `submitting` at start may have been sent."""
    return [(lifecycle, "interrupted", lambda one, now_us: again(one, now_us, EventKind.NEVER_LEFT))]


@mutant
def interrupted_attempts_left_alone() -> list[Patch]:
    """And somebody must look for it."""
    return [(lifecycle, "interrupted", lambda one, _now_us: Step(one))]


@mutant
def the_request_id_not_written() -> list[Patch]:
    """An acceptance without its id is lost with the process."""
    real = tables._moved_attempt  # noqa: SLF001

    def forgetful(change: Moved) -> tuple[Any, ...]:
        row = list(real(change))
        row[5] = None
        return tuple(row)

    return [(tables, "_moved_attempt", forgetful)]


# --- looking for what was lost ------------------------------------------------------------------------


@mutant
def no_grace() -> list[Patch]:
    """What was on its way may land after a look."""

    def soon(self: matching.Search, now_s: float, grace_s: float) -> bool:
        return self.clean_since_s is not None and now_s - self.clean_since_s >= min(300.0, grace_s / 2)

    return [(matching.Search, "absent", soon)]


@mutant
def absent_after_one_look() -> list[Patch]:
    """One look proves nothing."""
    return [(matching.Search, "absent", lambda self, _now_s, _grace_s: self.clean_since_s is not None)]


@mutant
def a_part_of_the_list_taken_for_the_whole() -> list[Patch]:
    """What is not in a part of the list may be in the rest."""
    return [(matching.Looked, "clean", property(lambda self: self.match is None and not self.vague))]


@mutant
def a_page_taken_for_the_whole() -> list[Patch]:
    """A list of ten, twenty, fifty may be a page."""
    return [(gmi, "LIST_SUSPECT", frozenset())]


@mutant
def requests_without_an_echo_ignored() -> list[Patch]:
    """A request that does not tell its payload may be ours."""
    return [(matching.Looked, "clean", property(lambda self: self.match is None and self.complete))]


@mutant
def requests_without_an_echo_adopted() -> list[Patch]:
    """And it may be somebody else's."""
    real = matching.compare

    def generous(sent: Any, echo: Any) -> matching.Echo:
        told = real(sent, echo)
        return matching.Echo.SAME if told is matching.Echo.VAGUE else told

    return [(matching, "compare", generous), (searching, "compare", generous)]


@mutant
def any_request_adopted() -> list[Patch]:
    """A request with another payload is another request."""
    always = lambda _sent, _echo: matching.Echo.SAME  # noqa: E731
    return [(matching, "compare", always), (searching, "compare", always)]


@mutant
def echoes_compared_letter_by_letter() -> list[Patch]:
    """A provider may write 5 as 5.0, and an accent in two ways."""
    return [(matching, "normal", lambda value: value)]


@mutant
def owned_requests_offered_again() -> list[Patch]:
    """What an attempt owns is not another one's answer."""
    return [(searching.Searching, "_free", lambda _self, listing, _account: listing)]


@mutant
def one_request_dealt_to_two() -> list[Patch]:
    """Equal payloads: each request is one attempt's only."""
    real = matching.look

    def each(lost: Any, listing: Listing, owned: Any) -> Any:
        return [found for one in lost for found in real([one], listing, owned)]

    return [(searching, "look", each)]


@mutant
def equal_posts_on_the_wire_forgotten() -> list[Patch]:
    """An equal request that is being sent right now may be the one that the list shows."""
    real = Desk.in_state

    def blind(self: Desk, state: AttemptState) -> Any:
        return [] if state is AttemptState.SUBMITTING else real(self, state)

    return [(Desk, "in_state", blind)]


@mutant
def no_allowance_for_lateness() -> list[Patch]:
    """A request may be recorded after its POST was given up."""
    return [(matching, "LATE_S", 0.0), (matching, "CLOCKS_APART_S", 0.0)]


@mutant
def no_allowance_for_clocks() -> list[Patch]:
    """The provider's clock is not ours."""
    return [(matching, "CLOCKS_APART_S", 0.0)]


@mutant
def a_list_that_fails_taken_as_empty() -> list[Patch]:
    """No answer is not an empty list."""
    real = actions._search  # noqa: SLF001

    def careless(action: Any, provider: Any) -> Any:
        found = real(action, provider)
        if found.error is None:
            return found
        return actions.Searched(action.model, Listing((), complete=True), reread=True)

    return [(actions, "_search", careless)]


@mutant
def held_attempts_not_looked_for() -> list[Patch]:
    """What could not be found yesterday is looked for in every run."""
    return [(searching.Searching, "unlooked_models", lambda _self: set())]


# --- policy -------------------------------------------------------------------------------------------


def _look(**changes: Any) -> list[Patch]:
    real = lifecycle.after_look

    def look(*given: Any, may_gamble: bool) -> Step:
        *first, terms, rng = given
        recovery = replace(terms.recovery, **{key: changes[key] for key in changes if key != "may_gamble"})
        gamble = changes.get("may_gamble", may_gamble)
        return real(*first, replace(terms, recovery=recovery), rng, may_gamble=gamble)

    return [(lifecycle, "after_look", look)]


@mutant
def absent_is_always_sent_again() -> list[Patch]:
    """`hold` means that a person decides."""
    return _look(on_absent="resubmit")


@mutant
def gambles_beyond_the_risk() -> list[Patch]:
    """`risk` jobs and no more."""
    return _look(may_gamble=True)


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
    return [(steps.JOB_STATE, AttemptState.HELD, JobState.PENDING)]


@mutant
def held_jobs_reported_failed() -> list[Patch]:
    """A request whose fate is not known has not failed."""
    return [(steps.JOB_STATE, AttemptState.HELD, JobState.FAILED)]


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

    def wasteful(attempt: Attempt, tries: Any, urls: Any, files: Any, error: Any, now_us: int, rng: Any) -> Step:
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
    real = lifecycle._ready  # noqa: SLF001

    def free(*given: Any) -> Step:
        step = real(*given)
        attempt = replace(step.attempt, cost_micros=0)
        moves = tuple(
            replace(change, attempt=attempt) if isinstance(change, Moved) else change for change in step.changes
        )
        return replace(step, attempt=attempt, changes=moves)

    return [(lifecycle, "_ready", free)]


@mutant
def gambles_count_as_free() -> list[Patch]:
    """What was given up may have been billed."""
    real = lifecycle._waived  # noqa: SLF001

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
        if isinstance(action, actions.Download) and isinstance(outcome, actions.Downloaded) and outcome.files:
            clips.publish(dataclasses.replace(action.attempt, files=outcome.files))
        return outcome

    return [(loop, "perform", early)]


@mutant
def names_not_synced() -> list[Patch]:
    """A rename that was not synced is gone after a power cut."""

    def unsynced(attempts: Any, clips: Any) -> Any:
        return tuple(actions._name(attempt, clips) for attempt in attempts)  # noqa: SLF001

    return [(actions, "_publish", unsynced)]


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
    real = night.Table.__init__

    def opened(self: Any, *given: Any) -> None:
        real(self, *given)
        self.db.execute(statement)

    return [(night.Table, "__init__", opened)]


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
