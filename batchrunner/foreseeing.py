"""When a campaign will be done, before it runs: its jobs, and what state tables tell of durations."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from sqlite_utils import Database

from batchrunner.manifest.places import Place
from batchrunner.rules.budget import reach
from batchrunner.rules.durations import UNKNOWN, Durations, Setting, setting
from batchrunner.rules.foresight import Foresight, Share, foresee
from batchrunner.store.learned import history, neighbours
from batchrunner.values import Limits, Order

Ahead: TypeAlias = Callable[[int], Foresight | None]  # None: of no job at all
SAMPLED = 512  # settings of jobs that are looked at, spread evenly over all of them


class Left:
    """The jobs that are still to be done, as a plan comes by them; memory does not grow with their number."""

    def __init__(self) -> None:
        self.jobs = 0
        self._step = 1
        self._settings: list[Setting] = []
        # Places by price, and by which of their takes: from one to before another.
        self._priced: Counter[tuple[int, int, int]] = Counter()

    def see(self, place: Place, waiting: int, active: int = 0) -> None:
        """Take the jobs of a place into account: how many of them wait, and how many are under way."""
        jobs, first = waiting + active, -self.jobs % self._step
        self.jobs += jobs
        takes = len(place.takes) or 1
        if waiting:
            self._priced[place.setting.cost_micros or 0, takes - waiting, takes] += 1
        if first < jobs:
            some = len(range(first, jobs, self._step))
            self._settings += [setting(place.common.model, place.setting.wire)] * some
        while len(self._settings) > SAMPLED:
            self._settings = self._settings[::2]
            self._step *= 2

    def within(self, micros: int, order: Order) -> int:
        """Return how many of the jobs that wait a sum is enough for."""
        return reach(self._in_order(order), micros)

    def cost(self, jobs: int, order: Order) -> int:
        """Return what the first so many of the jobs that wait cost at most, in micro-dollars."""
        micros = 0
        for price, number in self._in_order(order):
            some = min(jobs, number)
            micros, jobs = micros + some * price, jobs - some
        return micros

    def _in_order(self, order: Order) -> list[tuple[int, int]]:
        """Return price and number of the jobs that wait, in the order in which they start."""
        if order == "written":  # settings take turns: what one costs on average decides
            priced = self._priced.items()
            jobs = sum((end - first) * places for (_price, first, end), places in priced)
            total = sum(price * (end - first) * places for (price, first, end), places in priced)
            return [(-(-total // jobs), jobs)] if jobs else []
        waiting: Counter[tuple[int, int]] = Counter()
        for (price, first, end), places in self._priced.items():
            for take in range(first, end):
                waiting[take, price] += places
        return [(price, number) for (_take, price), number in sorted(waiting.items())]

    def ahead(
        self,
        db: Database | None,
        path: Path,
        origin: str,
        limits: Limits,
        tries: float,
        prior: Durations = UNKNOWN,
    ) -> Ahead | None:
        """Return what tells when so many of them will be done; None: nothing was learned, and no card tells.

        `path`: the state table, beside which others may lie; `origin`: the provider's address; `tries`:
        submissions that a job has taken on average; `prior`: how long one takes before anything was learned.
        """
        past = history(db, neighbours(path), origin, prior)
        known = {what: past.durations(what) for what in set(self._settings)}
        if prior == UNKNOWN and not any(one.samples for one in known.values()):
            return None
        counted = {known[what]: number for what, number in Counter(self._settings).items()}
        paces = [limits.submits_per_minute, limits.submits_per_hour and limits.submits_per_hour / 60]
        per_minute = min((pace for pace in paces if pace), default=None)

        def ahead(jobs: int) -> Foresight | None:
            jobs = min(jobs, self.jobs)
            if not jobs:
                return None
            shares = [
                Share(max(1, round(jobs * number / len(self._settings))), one)
                for one, number in counted.items()
            ]
            # The same question has the same answer: chance has a seed of its own here.
            rng = random.Random(jobs)  # noqa: S311 - plays nights, guards nothing
            return foresee(shares, (), slots=limits.in_flight, per_minute=per_minute, tries=tries, rng=rng)

        return ahead


def in_time(ahead: Ahead, jobs: int, active: int, left_s: float) -> int:
    """Return how many of the jobs that wait will probably be done within a time, beside those under way."""
    low, high = 0, jobs  # so many are; more than so many are not asked for
    while low < high:
        middle = (low + high + 1) // 2
        told = ahead(active + middle)
        if told is None or told.likely_s <= left_s:
            low = middle
        else:
            high = middle - 1
    return low
