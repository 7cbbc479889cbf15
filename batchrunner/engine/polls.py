"""Asking how accepted requests stand: one by one, or for many at once by the provider's list.

A poll tells of one request, the list of hundreds, for what some dozens of polls cost. So a list call is made
when more polls are due than it costs, and while many requests are in flight now and then as a matter of
course: it tells of all of them, due or not. While the workers have more than enough to do, what falls due
within a second of a list that was worth its price waits for that second to pass: the next list is near then.

The list is believed where it says that a request is over. Where it says that one is running, the next poll
is put off, but only so many times in a row as such words have proved true; and whatever it does not show is
asked for by a poll. So a list that is short, late or of another shape costs a call now and then, and never
an outcome. A list that answers for fewer than it costs is asked for more and more rarely.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from batchrunner.engine.actions import Poll, Survey, Surveyed
from batchrunner.engine.desk import Live
from batchrunner.rules.polling import POLLS_A_S, Budget
from batchrunner.values import Attempt, AttemptState, RemoteJob, RemotePhase

POLLS_AHEAD = 8  # polls that are with the workers at most; the others may yet be spared
ROWS_PER_POLL = 20  # rows of a list that take the time of one poll (bench/throughput.py, loopback)
FIRST_SURVEY = 128  # polls due before the list is tried for the first time
GAIN = 6.0  # a survey for what is due must save so many times its price
CROWD = 256  # requests in flight from which on lists are a matter of course
PERIOD_S, PERIOD_MAX_S = 5.0, 600.0  # between two of those
REST_S = 1.0  # after a list that was worth it: what falls due so soon waits
TRUST_MIN, TRUST_MAX = 3, 10  # times in a row that the list alone is believed to say "running"
LATE_S = 2.0  # what the provider's times in whole seconds may be off


@dataclass(slots=True)
class _List:
    """What is known of the list of one model. Times in steady seconds."""

    needed: float = FIRST_SURVEY
    period_s: float = PERIOD_S
    next_s: float = float("-inf")
    rests_s: float = float("-inf")  # until when nothing is asked for by a poll of its own
    trust: int = TRUST_MIN
    asked: dict[int, Attempt] | None = None  # whom a survey under way is for

    def told(self, rows: int, answered: int, asked: int, now_s: float) -> float:
        """Judge a survey by how many it answered for; return its price in polls."""
        price = 1 + rows / ROWS_PER_POLL
        # As many must be due that, with the share of answers of this time, the next survey is worth it; never
        # fewer than it costs. One time may have been chance, so what was thought before counts as much.
        needed = price * max(1.0, GAIN * max(asked, 1) / max(answered, 1))
        self.needed = math.sqrt(self.needed * needed)
        worth = answered >= price
        self.period_s = max(PERIOD_S, price / POLLS_A_S) if worth else min(PERIOD_MAX_S, 2 * self.period_s)
        self.next_s = now_s + self.period_s
        self.rests_s = now_s + REST_S if worth else now_s
        return price


@dataclass(slots=True)
class Told:
    """What a list said of accepted attempts, as far as it is believed."""

    over: list[tuple[Live, RemoteJob]] = field(default_factory=list)
    running: list[tuple[Live, RemoteJob]] = field(default_factory=list)


class Polls:
    """The polls that are due. Empty and false when there is nothing to ask for or to wait for."""

    def __init__(self) -> None:
        self.budget = Budget()
        self._due: dict[int, Attempt] = {}
        self._alone: set[int] = set()  # those that the list had no word about
        self._under_way: set[int] = set()
        self._lists: dict[str, _List] = defaultdict(_List)
        self._models: set[str] = set()  # that requests of this run are of
        self._busy = False

    def __bool__(self) -> bool:
        return bool(self._due) or any(one.asked is not None for one in self._lists.values())

    def accepted(self, model: str) -> None:
        """Count one more request of a model that was accepted."""
        self.budget.earn()
        self._models.add(model)

    def want(self, attempt: Attempt) -> None:
        """Let an accepted attempt be asked for as soon as may be."""
        self._due[attempt.id] = attempt

    def start(
        self, now_s: float, in_flight: int, *, ready: int = 0, busy: bool = False
    ) -> list[Poll | Survey]:
        """Return the calls that start now.

        `ready`: finished requests whose files are not here yet, some of which have lost their address.
        `busy`: the workers have more than enough to do.
        """
        self._busy = busy
        left, due = self.budget.left(now_s, in_flight + ready), self._by_model()
        surveys = [
            Survey(model)
            for model in sorted(self._models | due.keys())
            if left > 0 and self._survey(model, due.get(model, {}), now_s, in_flight)
        ]
        room = min(POLLS_AHEAD - len(self._under_way), int(left))
        asked = list(islice((one for one in self._due.values() if self._may_poll(one, now_s)), max(0, room)))
        for attempt in asked:
            del self._due[attempt.id]
            self._alone.discard(attempt.id)
            self._under_way.add(attempt.id)
        self.budget.spend(len(asked))
        return [*surveys, *(Poll(attempt.id, attempt.request_id or "") for attempt in asked)]

    def next_s(self) -> float | None:
        """Return when the budget allows another poll, or None while nothing waits for that."""
        if not self._due or len(self._under_way) >= POLLS_AHEAD:
            return None
        rests_s = min(self._rests_s(attempt) for attempt in self._due.values())
        return max(rests_s, self.budget.next_s())

    def polled(self, one: Live, remote: RemoteJob | None) -> None:
        """A poll is over. Where the list had spoken for the attempt, it shows whether the list was right."""
        self._under_way.discard(one.attempt.id)
        if remote is None or one.tries.listed < TRUST_MIN:
            return
        known = self._lists[one.attempt.model]
        if remote.phase is RemotePhase.RUNNING:
            known.trust = min(TRUST_MAX, known.trust + 1)
        elif remote.created_s is not None and remote.updated_s is not None:
            took_s = remote.updated_s - remote.created_s
            if 0 < took_s < one.tries.running_s - LATE_S:  # over, when the list still called it running
                known.trust = 0

    def surveyed(self, outcome: Surveyed, accepted: Mapping[str, Live], now_s: float) -> Told:
        """Return what a survey showed; those it was for and says nothing of are due for a poll of their own.

        `accepted`: all of the model that the provider has, by request id.
        """
        known = self._lists[outcome.model]
        asked, known.asked = known.asked or {}, None
        jobs = outcome.listing.jobs if outcome.listing else ()
        told = Told()
        for job in jobs:
            one = accepted.get(job.request_id)
            if one is None or one.attempt.id in self._under_way:
                continue
            if is_over(job):
                told.over.append((one, job))
            elif job.phase is RemotePhase.RUNNING and job.status and one.tries.listed < known.trust:
                told.running.append((one, job))
        answered = [one.attempt.id for one, _job in (*told.over, *told.running)]
        self.budget.spend(known.told(len(jobs), len(answered), len(asked), now_s))
        for attempt_id in answered:
            asked.pop(attempt_id, None)
            self._due.pop(attempt_id, None)
            self._alone.discard(attempt_id)
        self._alone |= asked.keys()
        self._due = {attempt_id: asked[attempt_id] for attempt_id in sorted(asked)} | self._due
        return told

    def _rests_s(self, attempt: Attempt) -> float:
        rests = self._busy and self._listable(attempt)
        return self._lists[attempt.model].rests_s if rests else float("-inf")

    def _may_poll(self, attempt: Attempt, now_s: float) -> bool:
        return now_s >= self._rests_s(attempt)

    def _by_model(self) -> Mapping[str, dict[int, Attempt]]:
        found: dict[str, dict[int, Attempt]] = defaultdict(dict)
        for attempt in self._due.values():
            if self._listable(attempt):
                found[attempt.model][attempt.id] = attempt
        return found

    def _listable(self, attempt: Attempt) -> bool:
        """Tell whether a list may answer for an attempt: no old address, and nothing it had no word about."""
        return attempt.state is AttemptState.ACCEPTED and attempt.id not in self._alone

    def _survey(self, model: str, some: dict[int, Attempt], now_s: float, in_flight: int) -> bool:
        """Decide on a survey; where it is worth it, it counts as started."""
        known = self._lists[model]
        as_usual = in_flight >= CROWD and now_s >= known.next_s
        if known.asked is not None or not (as_usual or len(some) >= known.needed):
            return False
        known.asked = some
        for attempt_id in some:
            del self._due[attempt_id]
        return True


def is_over(job: RemoteJob) -> bool:
    """Tell whether a record leaves nothing to ask: failed, cancelled, or finished with its files."""
    if job.phase is RemotePhase.SUCCESS:
        return bool(job.media)
    return job.phase is not RemotePhase.RUNNING
