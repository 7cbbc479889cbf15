"""When a campaign will be done, before it runs: its jobs, and what state tables tell of durations."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from sqlite_utils import Database

from batchrunner.manifest.places import Place
from batchrunner.rules.budget import reach
from batchrunner.rules.durations import UNKNOWN, Durations, Setting, setting
from batchrunner.rules.foresight import Foresight, Share, foresee
from batchrunner.store.learned import history, neighbours
from batchrunner.values import Limits, Order

SAMPLED = 512  # settings of jobs that are looked at, spread evenly over all of them


class Left:
    """The jobs that are still to be done, as a plan comes by them; memory does not grow with their number."""

    def __init__(self) -> None:
        self.jobs = 0
        self._step = 1
        self._settings: list[Setting] = []
        # Places by price, and by which of their takes: from one to before another.
        self._priced: Counter[tuple[int, int, int]] = Counter()

    def see(self, place: Place, jobs: int) -> None:
        """Take so many jobs of a place into account."""
        first = -self.jobs % self._step
        self.jobs += jobs
        takes = len(place.takes) or 1
        self._priced[place.setting.cost_micros or 0, takes - jobs, takes] += 1
        if first < jobs:
            some = len(range(first, jobs, self._step))
            self._settings += [setting(place.common.model, place.setting.wire)] * some
        while len(self._settings) > SAMPLED:
            self._settings = self._settings[::2]
            self._step *= 2

    def within(self, micros: int, order: Order) -> int:
        """Return how many of the jobs a sum is enough for, in the order in which they start."""
        if order == "written":  # settings take turns: what one costs on average decides
            priced = self._priced.items()
            total = sum(price * (end - first) * places for (price, first, end), places in priced)
            return reach([(-(-total // self.jobs), self.jobs)], micros) if self.jobs else 0
        waiting: Counter[tuple[int, int]] = Counter()
        for (price, first, end), places in self._priced.items():
            for take in range(first, end):
                waiting[take, price] += places
        return reach(((price, number) for (_take, price), number in sorted(waiting.items())), micros)

    def foresee(
        self,
        db: Database | None,
        path: Path,
        origin: str,
        limits: Limits,
        tries: float,
        prior: Durations = UNKNOWN,
        within: int | None = None,
    ) -> Foresight | None:
        """Return when they will be done; None: nothing is left, or nothing was learned and no card tells.

        `within`: no more than so many of them.

        `path`: the state table, beside which others may lie; `origin`: the provider's address; `tries`:
        submissions that a job has taken on average; `prior`: how long one takes before anything was learned.
        """
        past = history(db, neighbours(path), origin, prior)
        known = {what: past.durations(what) for what in set(self._settings)}
        if prior == UNKNOWN and not any(one.samples for one in known.values()):
            return None
        counted = Counter(self._settings)
        jobs = self.jobs if within is None else min(within, self.jobs)
        if not jobs:
            return None
        shares = [
            Share(max(1, round(jobs * number / len(self._settings))), known[what])
            for what, number in counted.items()
        ]
        paces = [limits.submits_per_minute, limits.submits_per_hour and limits.submits_per_hour / 60]
        # The same question has the same answer: chance has a seed of its own here.
        return foresee(
            shares,
            (),
            slots=limits.in_flight,
            per_minute=min((pace for pace in paces if pace), default=None),
            tries=tries,
            rng=random.Random(jobs),  # noqa: S311 - plays nights, guards nothing
        )
