"""Mutants of what keeps a job from being paid twice: the POST, and the search for lost ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from batchrunner.engine import actions, lifecycle, loop, searching
from batchrunner.engine.steps import Step
from batchrunner.providers import gmi
from batchrunner.rules import classify, matching
from batchrunner.rules.states import EventKind
from batchrunner.store import tables
from batchrunner.store.changes import Moved
from batchrunner.values import (
    Attempt,
    Evidence,
    Listing,
    Reason,
    Reply,
)
from tests.simulation.breaking import Patch, again, mutant

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
    real = classify.post_refusal

    def hasty(status: int, error: str | None) -> tuple[Evidence, Reason]:
        return (Evidence.REFUSED, Reason.CAPACITY) if status >= 500 else real(status, error)

    return [(gmi, "post_refusal", hasty)]


@mutant
def odd_answers_read_as_refusals() -> list[Patch]:
    """Neither does a 2xx without an id, or a status that the table does not know."""
    real = classify.post_refusal

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
    real = tables._moved_attempt

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

    def always(_sent: Any, _echo: Any) -> matching.Echo:
        return matching.Echo.SAME

    return [(matching, "compare", always), (searching, "compare", always)]


@mutant
def echoes_compared_letter_by_letter() -> list[Patch]:
    """A provider may write 5 as 5.0, and an accent in two ways."""
    return [(matching, "normal", lambda value: value)]


@mutant
def owned_requests_offered_again() -> list[Patch]:
    """What an attempt owns is not another one's answer."""
    return [(searching.Searching, "_owned", lambda _self, _listing, _account: frozenset())]


@mutant
def one_request_dealt_to_two() -> list[Patch]:
    """Equal payloads: each request is one attempt's only."""
    real = matching.look

    def each(lost: Any, listing: Listing, owned: Any) -> Any:
        return [found for one in lost for found in real([one], listing, owned)]

    return [(searching, "look", each)]


@mutant
def no_allowance_for_lateness() -> list[Patch]:
    """A request may be recorded after its POST was given up."""
    return [(matching, "LATE_S", 0.0), (matching, "CLOCKS_APART_S", 0.0)]


@mutant
def equal_requests_of_other_times_ignored() -> list[Patch]:
    """This machine's clock may have been wrong when it sent."""
    return [(matching, "_at_other_times", lambda _one, _free, _ahead_s: [])]


@mutant
def time_of_the_provider_ignored() -> list[Patch]:
    """Where it tells its time, a window is in its time."""
    return [(gmi, "clock_ahead_s", lambda _date, _asked_s, _answered_s: 0.0)]


@mutant
def no_allowance_for_clocks() -> list[Patch]:
    """The provider's clock is not ours."""
    return [(matching, "CLOCKS_APART_S", 0.0)]


@mutant
def a_list_that_fails_taken_as_empty() -> list[Patch]:
    """No answer is not an empty list."""
    real = actions._search

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
