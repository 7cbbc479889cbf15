"""Time, and all that is under way: one queue of events that the runner's waiting takes forward.

A call that the loop starts happens some time later; its answer arrives later still. Between the two the
runner may die: then the answer reaches nobody, and a POST that had not happened yet may never happen, or
happen all the same, late. Every point at which a runner can be killed is a numbered step.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, TypeVar

from batchrunner.rehearsal.schedule import Schedule

T = TypeVar("T")

# What becomes of a POST that a dead runner had begun: its bytes are lost, have arrived, or are on the way.
POSTS_OF_THE_DEAD = ("lost", "arrived", "on its way")


class Crash(BaseException):
    """The runner dies here. Not an Exception: nothing may catch it, as nothing catches kill -9."""


class EndlessError(AssertionError):
    """The schedule does not come to an end."""


@dataclass(slots=True)
class Mind:
    """What dies with a runner: its inbox, and the answers that are on their way to it."""

    number: int
    alive: bool = True
    asleep: bool = False  # stopped by the machine, while another runner has taken over
    inbox: SimpleQueue[Any] | None = None


@dataclass(order=True, slots=True)
class Event:
    """Something that happens at `due_s`: a call, or the arrival of its answer."""

    due_s: float
    order: int
    mind: Mind = field(compare=False)
    verb: str = field(compare=False)
    call: Callable[[], None] | None = field(compare=False, default=None)
    answer: Any = field(compare=False, default=None)


class World:
    """The clock, the events, and the numbered steps; `story` is what happened, where somebody wants it."""

    def __init__(self, schedule: Schedule, story: list[str] | None = None) -> None:
        self.schedule = schedule
        self.rng = random.Random(schedule.seed)  # noqa: S311 - weather, guards nothing
        self.steady_s = 0.0
        self.steps = 0
        self.crash_at: int | None = None
        self.doom: Callable[[str], bool] | None = None  # kills at the step that it is asked about
        self.crashes = 0
        self.answer_after_s = 0.0  # set by whoever carries out a call
        self.asleep_s = 0.0  # for how long in all the machine was suspended
        self.cut = False  # what is on the wire right now loses its connection, by a suspend
        self._naps = sorted(schedule.naps)
        self.story = story
        self._order = 0
        self._events: list[Event] = []

    # --- time -----------------------------------------------------------------------------------------

    @property
    def calm(self) -> bool:
        """True once the weather is over: from then on everything works, so everything must come right."""
        return self.steady_s >= self.schedule.storm_s

    def now_us(self) -> int:
        """Wall time on the runner's machine."""
        at_s, by_s = self.schedule.jump
        return self.schedule.start_us + int((self.steady_s + (by_s if self.steady_s >= at_s else 0.0)) * 1e6)

    def idle(self, seconds: float) -> None:
        """Let time pass while no runner waits for anything."""
        end_s = self.steady_s + seconds
        while self._events and self._events[0].due_s <= end_s:
            self._happen(heapq.heappop(self._events))
        self.steady_s = end_s

    def take(self, mind: Mind, inbox: SimpleQueue[T], wait_s: float) -> T | None:
        """Let time pass until something arrives for one runner, or its patience ends."""
        mind.inbox = inbox
        end_s = self.schedule.grained_s(self.steady_s + max(0.0, wait_s))
        while inbox.empty():
            next_s = min(end_s, self._events[0].due_s) if self._events else end_s
            if self._naps and self._naps[0][0] <= next_s:
                self._suspend(*self._naps.pop(0))
                end_s = max(end_s, self.steady_s)  # a wait that the suspend has outlasted ends with it
            elif not self._events or self._events[0].due_s > end_s:
                self.steady_s = end_s
                if wait_s > 0:
                    self._count()
                return None
            else:
                self._happen(heapq.heappop(self._events))
        return inbox.get()

    def _suspend(self, start_s: float, end_s: float) -> None:
        """Suspend the machine: time goes on without it, and what was on the wire loses its answer."""
        self.steady_s = max(self.steady_s, start_s)
        self.tell(f"the machine is suspended for {end_s - self.steady_s:.0f} s")
        self.asleep_s += max(0.0, end_s - self.steady_s)
        self.cut = True
        while self._events and self._events[0].due_s <= end_s:
            self._happen(heapq.heappop(self._events))
        self.cut = False
        self.steady_s = max(self.steady_s, end_s)

    # --- calls ----------------------------------------------------------------------------------------

    def begin(self, mind: Mind, verb: str, call: Callable[[], None]) -> None:
        """Take a call up; it happens a little later, and calls may overtake each other."""
        self._put(self.schedule.pause_s(self.rng), mind, verb, call=call)
        self.step(mind, f"{verb} begun")

    def _happen(self, event: Event) -> None:
        self.steady_s = max(self.steady_s, event.due_s)
        mind = event.mind
        if event.call is None:
            if mind.alive and mind.inbox is not None:
                mind.inbox.put(event.answer)
            return
        self._count()
        self.answer_after_s = 0.0
        self._perform(event)
        if mind.alive:
            self.step(mind, f"{event.verb} happened")

    def _perform(self, event: Event) -> None:
        """Make a call; what it puts into the inbox arrives later. Nobody reads the inbox of the dead."""
        mind = event.mind
        waiting = []
        if mind.inbox is not None:
            while not mind.inbox.empty():
                waiting.append(mind.inbox.get())
        if event.call is not None:
            event.call()
        after_s = self.answer_after_s + self.schedule.pause_s(self.rng)
        if mind.inbox is not None:
            while not mind.inbox.empty():
                self._put(after_s, mind, event.verb, answer=mind.inbox.get())
            for item in waiting:
                mind.inbox.put(item)

    def _put(
        self,
        after_s: float,
        mind: Mind,
        verb: str,
        *,
        call: Callable[[], None] | None = None,
        answer: Any = None,
    ) -> None:
        self._order += 1
        # To the nearest moment, not to the next: coarse time must not make a night longer.
        due_s = max(
            self.steady_s, self.schedule.grained_s(self.steady_s + after_s - self.schedule.grain_s / 2)
        )
        heapq.heappush(self._events, Event(due_s, self._order, mind, verb, call, answer))

    # --- death ----------------------------------------------------------------------------------------

    def step(self, mind: Mind, what: str) -> None:
        """Pass one point at which the runner may be killed.

        Raises:
            Crash: it is.
        """
        if mind.asleep:
            return
        self.steps += 1
        if self.steps == self.crash_at or (self.doom is not None and self.doom(what)):
            self.tell(f"*** killed: {what} (step {self.steps})")
            raise Crash

    def kill(self, mind: Mind) -> None:
        """Drop a runner: its answers reach nobody, its calls may have done their work or not."""
        mind.alive = False
        self.crashes += 1
        mine = sorted(event for event in self._events if event.mind is mind and event.call is not None)
        self._events = [event for event in self._events if event.mind is not mind]
        heapq.heapify(self._events)
        for event in mine:
            fate = self.rng.choice(POSTS_OF_THE_DEAD)
            if fate == "lost" or (event.verb == "call"):
                continue
            self.tell(f"the dead runner's {event.verb}: {fate}")
            if fate == "arrived":
                self._perform(event)
            elif event.verb == "post":
                late_s = self.rng.uniform(0.0, self.schedule.late_s)
                self._put(late_s, mind, event.verb, call=event.call)

    # --- the story ------------------------------------------------------------------------------------

    def tell(self, text: str) -> None:
        """Write the story on, where somebody wants it."""
        if self.story is not None:
            self.story.append(f"{self.steady_s:10.2f} s  {text}")

    def _count(self) -> None:
        self._order += 1
        if self._order > self.schedule.steps_max:
            raise EndlessError(f"more than {self.schedule.steps_max} events and waits")


@dataclass(frozen=True, slots=True)
class Watch:
    """The clock of one runner."""

    world: World
    mind: Mind

    def now_us(self) -> int:
        """See `Clock`."""
        return self.world.now_us()

    def elapsed_s(self) -> float:
        """See `Clock`."""
        return self.world.steady_s

    def asleep_s(self) -> float:
        """See `Clock`."""
        return self.world.asleep_s

    def pause(self, wait_s: float) -> None:
        """See `Clock`."""
        self.world.idle(wait_s)

    def take(self, inbox: SimpleQueue[T], wait_s: float) -> T | None:
        """See `Clock`."""
        return self.world.take(self.mind, inbox, wait_s)


@dataclass(frozen=True, slots=True)
class Crew:
    """One pool of workers of one runner; `verb` says what its calls are: post, call, fetch, file."""

    world: World
    mind: Mind
    verb: str

    def submit(self, call: Callable[[], None], /) -> None:
        """See `Pool`."""
        self.world.begin(self.mind, self.verb, call)
