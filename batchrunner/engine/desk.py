"""What the loop holds in its hands: the live attempts, and when each is to be acted on.

Its size is bounded by the in-flight limit and what waits to be downloaded, never by the number of jobs.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from batchrunner.engine.steps import Step, Tries
from batchrunner.rules.matching import Search
from batchrunner.rules.states import IN_FLIGHT, LIVE
from batchrunner.values import Attempt, AttemptState


@dataclass(slots=True)
class Live:
    """One attempt that is not over. `due` is False while an action of it is in hand, or it is parked."""

    attempt: Attempt
    tries: Tries = field(default_factory=Tries)
    urls: tuple[str, ...] = ()
    search: Search | None = None
    turn: int = 0  # grows with every schedule, so that a stale heap entry is known as such


class Desk:
    """Live attempts and two queues of due times: calls to the provider's API, and everything else."""

    def __init__(self) -> None:
        self.live: dict[int, Live] = {}
        self.in_flight = 0
        self._api: list[tuple[float, int, int]] = []
        self._disk: list[tuple[float, int, int]] = []

    def put(self, attempt: Attempt, due_s: float | None = None) -> Live:
        """Take an attempt up; act on it at `due_s`, or when an outcome says so."""
        one = self.live[attempt.id] = Live(attempt)
        self.in_flight += attempt.state in IN_FLIGHT
        if due_s is not None:
            self.schedule(one, due_s)
        return one

    def take(self, one: Live, step: Step, now_s: float) -> None:
        """Follow a step: the attempt's new value, and its next turn or its end."""
        self.in_flight += (step.attempt.state in IN_FLIGHT) - (one.attempt.state in IN_FLIGHT)
        one.attempt, one.tries, one.urls = step.attempt, step.tries, step.urls
        if step.attempt.state not in LIVE:
            del self.live[step.attempt.id]
        elif step.next_s is not None:
            self.schedule(one, now_s + step.next_s)

    def schedule(self, one: Live, due_s: float) -> None:
        """Act on an attempt at `due_s` (steady seconds); replaces an earlier time."""
        one.turn += 1
        heapq.heappush(self._queue(one), (due_s, one.attempt.id, one.turn))

    def due(self, now_s: float, *, api: bool) -> list[Live]:
        """Remove and return the attempts whose time has come, earliest first."""
        queues = (self._api, self._disk) if api else (self._disk,)
        return [one for queue in queues for one in self._pop(queue, now_s)]

    def next_due_s(self, *, api: bool) -> float | None:
        """Return when the next attempt is due, or None when none is."""
        heads = [self._head(queue) for queue in ((self._api, self._disk) if api else (self._disk,))]
        return min((due_s for due_s in heads if due_s is not None), default=None)

    def in_state(self, state: AttemptState) -> list[Live]:
        """Return the live attempts in one state."""
        return [one for one in self.live.values() if one.attempt.state is state]

    def _queue(self, one: Live) -> list[tuple[float, int, int]]:
        at_disk = bool(one.urls) or (one.attempt.state is AttemptState.FETCHED and not one.tries.refetch)
        return self._disk if at_disk else self._api

    def _head(self, queue: list[tuple[float, int, int]]) -> float | None:
        """Return the first due time that still stands; entries that were rescheduled are dropped."""
        while queue:
            due_s, attempt_id, turn = queue[0]
            one = self.live.get(attempt_id)
            if one is not None and one.turn == turn:
                return due_s
            heapq.heappop(queue)
        return None

    def _pop(self, queue: list[tuple[float, int, int]], now_s: float) -> Iterable[Live]:
        while (due_s := self._head(queue)) is not None and due_s <= now_s:
            _due_s, attempt_id, _turn = heapq.heappop(queue)
            one = self.live[attempt_id]
            one.turn += 1
            yield one
