"""Asking how accepted requests stand: one by one, or for many at once by the provider's list.

A poll tells of one request, the list of hundreds, for what some dozens of polls cost. So while more polls
are due than can be made, one list call stands for all of them, as long as lists prove worth their price.
The list is believed only where it says that a request is over; whatever else it says, or does not say, is
asked for by a poll. So a list that is short, late or of another shape costs a call now and then, and never
an outcome.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from batchrunner.engine.actions import Poll, Survey, Surveyed
from batchrunner.values import Attempt, AttemptState, RemoteJob, RemotePhase

POLLS_AHEAD = 8  # polls that are with the workers at most; the others may yet be spared
ROWS_PER_POLL = 20  # rows of a list that take the time of one poll (bench/throughput.py, loopback)
FIRST_SURVEY = 128  # polls due before the list is tried for the first time
GAIN = 3.0  # a survey must save so many times its price


class Polls:
    """The polls that are due. Empty and false when there is nothing to ask for or to wait for."""

    def __init__(self) -> None:
        self._due: dict[int, Attempt] = {}
        self._alone: set[int] = set()  # those that the list had no word about
        self._surveyed: dict[str, dict[int, Attempt]] = {}  # by model: whom a survey under way is for
        self._needed: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._due or self._surveyed)

    def want(self, attempt: Attempt) -> None:
        """Let an accepted attempt be asked for as soon as may be."""
        self._due[attempt.id] = attempt

    def start(self, under_way: int) -> list[Poll | Survey]:
        """Return the calls that start now; `under_way` polls are with the workers already."""
        surveys = [Survey(model) for model, some in self._by_model().items() if self._survey(model, some)]
        asked = list(self._due.values())[: max(0, POLLS_AHEAD - under_way)]
        for attempt in asked:
            del self._due[attempt.id]
            self._alone.discard(attempt.id)
        return [*surveys, *(Poll(attempt.id, attempt.request_id or "") for attempt in asked)]

    def surveyed(self, outcome: Surveyed) -> list[tuple[int, RemoteJob]]:
        """Return which attempts a survey showed to be over; the others are due for a poll of their own."""
        asked = self._surveyed.pop(outcome.model)
        jobs = outcome.listing.jobs if outcome.listing else ()
        ended = {job.request_id: job for job in jobs if is_over(job)}
        over = [(one.id, ended[one.request_id]) for one in asked.values() if one.request_id in ended]
        price = 1 + len(jobs) / ROWS_PER_POLL
        # As many must be due that, with the share of hits of this time, the next survey is worth it.
        self._needed[outcome.model] = GAIN * price * len(asked) / max(len(over), 1)
        missed = asked.keys() - {attempt_id for attempt_id, _job in over}
        self._alone |= missed
        self._due = {attempt_id: asked[attempt_id] for attempt_id in sorted(missed)} | self._due
        return over

    def _by_model(self) -> Mapping[str, dict[int, Attempt]]:
        found: dict[str, dict[int, Attempt]] = defaultdict(dict)
        for attempt in self._due.values():
            if attempt.state is AttemptState.ACCEPTED and attempt.id not in self._alone:
                found[attempt.model][attempt.id] = attempt
        return found

    def _survey(self, model: str, some: dict[int, Attempt]) -> bool:
        """Decide on a survey; where it is worth it, it counts as started."""
        if model in self._surveyed or len(some) < self._needed.get(model, FIRST_SURVEY):
            return False
        self._surveyed[model] = some
        for attempt_id in some:
            del self._due[attempt_id]
        return True


def is_over(job: RemoteJob) -> bool:
    """Tell whether a record leaves nothing to ask: failed, cancelled, or finished with its files."""
    if job.phase is RemotePhase.SUCCESS:
        return bool(job.media)
    return job.phase is not RemotePhase.RUNNING
