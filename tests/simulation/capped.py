"""A whole night with the real engine on a simulated clock, at a provider with limits that nobody is told.

Calls take time and workers, requests take log-normal times, and a submission above the hidden limit is
refused, or is taken and fails for it. What the provider saw is kept, so that a night can be held against the
best that was possible: the same durations, every slot filled again at once.
"""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from batchrunner.engine.loop import Loop
from batchrunner.engine.progress import Progress
from batchrunner.engine.run import Tools
from batchrunner.engine.steps import Terms
from batchrunner.rules.polling import Schedule
from batchrunner.store.tables import Store
from batchrunner.values import (
    Account,
    Evidence,
    Job,
    Limits,
    Listing,
    Payload,
    Picture,
    Reason,
    Recovery,
    RemoteJob,
    RemotePhase,
    Reply,
)
from tests.fakes import FakeClips, a_job, a_manifest

T = TypeVar("T")
START_US = 1_764_000_000_000_000
TERMS = Terms(
    attempts=4,
    schedule=Schedule(first_s=1.0, growth=1.05, cap_s=20.0),
    queued_s=1800.0,
    wait_s=21600.0,
    submit_timeout_s=180.0,
    recovery=Recovery(),
)


class Hours:
    """The clock, and everything that is due: waiting takes both forward."""

    def __init__(self) -> None:
        self.steady_s = 0.0
        self._count = 0
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def now_us(self) -> int:
        """See `Clock`."""
        return START_US + int(self.steady_s * 1e6)

    def elapsed_s(self) -> float:
        """See `Clock`."""
        return self.steady_s

    def asleep_s(self) -> float:
        """See `Clock`."""
        return 0.0

    def pause(self, wait_s: float) -> None:
        """See `Clock`."""
        self.take(SimpleQueue[None](), wait_s)

    def take(self, inbox: SimpleQueue[T], wait_s: float) -> T | None:
        """See `Clock`."""
        end_s = self.steady_s + max(0.0, wait_s)
        while inbox.empty():
            if not self._due or self._due[0][0] > end_s:
                self.steady_s = end_s
                return None
            due_s, _number, call = heapq.heappop(self._due)
            self.steady_s = max(self.steady_s, due_s)
            call()
        return inbox.get()

    def later(self, after_s: float, call: Callable[[], None]) -> None:
        """Let something happen."""
        self._count += 1
        heapq.heappush(self._due, (self.steady_s + after_s, self._count, call))


class Crew:
    """So many workers; each call takes `takes_s`, half as long or half as long again."""

    def __init__(self, hours: Hours, rng: random.Random, size: int, takes_s: float) -> None:
        self._hours, self._rng, self._free, self._takes_s = hours, rng, size, takes_s
        self._waiting: deque[Callable[[], None]] = deque()

    def submit(self, call: Callable[[], None], /) -> None:
        """See `Pool`."""
        self._waiting.append(call)
        self._begin()

    def _begin(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            call = self._waiting.popleft()
            self._hours.later(self._takes_s * self._rng.uniform(0.5, 1.5), lambda call=call: self._end(call))  # type: ignore[misc]

    def _end(self, call: Callable[[], None]) -> None:
        call()
        self._free += 1
        self._begin()


@dataclass(frozen=True, slots=True)
class Ways:
    """How the provider behaves. `at_once`, `a_minute`: its hidden limits. `told_late`: it takes what is too
    much, and says so by a failure. `fails`: share of requests that fail for no reason.
    """

    at_once: int | None = None
    a_minute: int | None = None
    told_late: bool = False
    retry_after_s: float | None = None
    median_s: float = 75.0
    sigma: float = 0.4
    fails: float = 0.02
    has_list: bool = True


@dataclass(slots=True)
class Request:
    """One request that was taken."""

    shown: RemoteJob
    born_s: float
    over_s: float
    fate: str


class Capped:
    """The provider. Times of what it took and refused are its ledger."""

    name = "capped"
    origin = "https://capped.test"

    def __init__(self, hours: Hours, ways: Ways, seed: int) -> None:
        self.hours, self.ways, self.rng = hours, ways, random.Random(seed)
        self.requests: dict[str, Request] = {}
        self.taken_s: list[float] = []
        self.refused_s: list[float] = []
        self.polls = 0
        self.lists = 0
        self._ends: list[float] = []  # of what runs

    def submit(self, model: str, payload: Payload, *, timeout_s: float) -> Reply:
        """One POST."""
        now_s = self.hours.elapsed_s()
        fate = "failed" if self.rng.random() < self.ways.fails else "success"
        if self._too_much(now_s):
            self.refused_s.append(now_s)
            if not self.ways.told_late:
                wait_s = self.ways.retry_after_s
                return Reply(Evidence.REFUSED, Reason.RATE, None, 429, "too many requests", wait_s)
            fate = "too much"
        else:
            self.taken_s.append(now_s)
        over_s = now_s + self.ways.median_s * math.exp(self.rng.gauss(0.0, self.ways.sigma))
        if fate == "too much":
            over_s = now_s + 3.0
        else:
            heapq.heappush(self._ends, over_s)
        created_s = float(int(self.hours.now_us() / 1e6))
        id_ = f"r{len(self.requests) + 1}"
        shown = RemoteJob(id_, "queued", RemotePhase.RUNNING, created_s=created_s, payload=payload)
        self.requests[id_] = Request(shown, now_s, over_s, fate)
        return Reply(Evidence.ACCEPTED, remote=shown, status=200)

    def status(self, request_id: str) -> RemoteJob:
        """One GET."""
        self.polls += 1
        return self._shown(self.requests[request_id])

    def recent(self, model: str) -> Listing:
        """The list: the newest thousand."""
        self.lists += 1
        newest = list(self.requests.values())[-1000:] if self.ways.has_list else []
        return Listing(tuple(self._shown(one) for one in newest), complete=len(newest) < 1000)

    def account(self) -> Account:
        """Check the key."""
        return Account("org-1")

    def upload(self, picture: Picture) -> str:
        """Nobody asks for it."""
        raise NotImplementedError

    def picture_sha256(self, url: str) -> str | None:
        """Nobody asks for it."""
        return None

    def _too_much(self, now_s: float) -> bool:
        while self._ends and self._ends[0] <= now_s:
            heapq.heappop(self._ends)
        if self.ways.at_once is not None and len(self._ends) >= self.ways.at_once:
            return True
        lately = len(self.taken_s) - bisect_right(self.taken_s, now_s - 60.0)
        return self.ways.a_minute is not None and lately >= self.ways.a_minute

    def _shown(self, one: Request) -> RemoteJob:
        if self.hours.elapsed_s() < one.over_s:
            return one.shown
        ended = replace(one.shown, status="failed", phase=RemotePhase.FAILED)
        ended = replace(ended, updated_s=float(int(START_US / 1e6 + one.over_s)))
        match one.fate:
            case "success":
                media = (f"https://store.test/{one.shown.request_id}.mp4",)
                return replace(ended, status="success", phase=RemotePhase.SUCCESS, media=media)
            case "too much":
                return replace(ended, error="rate limit exceeded(RPM)", failure=Reason.RATE)
        return replace(ended, error="unknown error, please try again", failure=Reason.TRANSIENT)


@dataclass
class Night:
    """One campaign at a capped provider; `run` may be stopped and called again, as after a restart."""

    folder: Path
    jobs: int
    ways: Ways
    in_flight: int = 64
    per_minute: int | None = None
    seed: int = 1
    hours: Hours = field(default_factory=Hours)
    last: Progress | None = None

    def __post_init__(self) -> None:
        self.provider = Capped(self.hours, self.ways, self.seed)
        self._jobs: list[Job] = [a_job(number) for number in range(self.jobs)]

    def run(self, until: Callable[[Progress], bool] = lambda _: False) -> Progress:
        """Run to the end, or drop the runner after the tick for which `until` holds."""
        rng = random.Random(self.seed)
        store = Store(self.folder / "night.db")
        store.record(
            a_manifest(self.folder),
            "card",
            lambda: self._jobs,
            output_folder=self.folder,
            version="1",
            now_us=self.hours.now_us(),
        )
        tools = Tools(
            self.provider,
            FakeClips(),
            self.hours,
            rng,
            submitters=Crew(self.hours, rng, 64, 0.4),
            callers=Crew(self.hours, rng, 2, 0.1),
            fetchers=Crew(self.hours, rng, 4, 1.0),
            filers=Crew(self.hours, rng, 1, 0.01),
            free_bytes=lambda: 1 << 40,
        )
        limits = Limits(in_flight=self.in_flight, submits_per_minute=self.per_minute)
        loop = Loop(store, tools, TERMS, limits, {})
        try:
            for last in loop.run():
                self.last = last
                if until(last):
                    break
        finally:
            store.close()
        assert self.last is not None
        return self.last

    @property
    def makespan_s(self) -> float:
        """From the first submission to the last clip."""
        return self.hours.steady_s - self.provider.taken_s[0]

    def ideal_s(self) -> float:
        """How long the same requests take at the least, in the same order, within the hidden limits."""
        ends: list[float] = []
        starts: list[float] = []
        done_s = 0.0
        kept = [one for one in self.provider.requests.values() if one.fate != "too much"]
        slots = min(self.in_flight, self.ways.at_once or self.in_flight)
        for one in kept:
            start_s = heapq.heappop(ends) if len(ends) >= slots else 0.0
            a_minute = self.ways.a_minute
            if a_minute is not None and len(starts) >= a_minute:
                start_s = max(start_s, starts[-a_minute] + 60.0)
            starts.append(start_s)
            heapq.heappush(ends, start_s + one.over_s - one.born_s)
            done_s = max(done_s, start_s + one.over_s - one.born_s)
        return done_s

    def refused_share(self, since: int = 0) -> float:
        """Share of the submissions that were refused, after the first `since` that were taken."""
        from_s = self.provider.taken_s[since] if since else 0.0
        refused = sum(at_s >= from_s for at_s in self.provider.refused_s)
        return refused / (refused + len(self.provider.taken_s) - since)

    def used(self, since: int) -> float:
        """Share of the hidden limit that was used, from submission `since` until jobs run out."""
        taken = self.provider.taken_s[: int(0.95 * self.jobs)]  # the rest waits for those that try again
        span_s = taken[-1] - taken[since]
        if self.ways.a_minute is not None:
            return (len(taken) - 1 - since) / span_s * 60.0 / self.ways.a_minute
        busy_s = sum(
            max(0.0, min(one.over_s, taken[-1]) - max(one.born_s, taken[since]))
            for one in self.provider.requests.values()
            if one.fate != "too much"
        )
        return busy_s / span_s / (self.ways.at_once or self.in_flight)
