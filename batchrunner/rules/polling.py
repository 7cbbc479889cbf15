"""When to ask again how an accepted request stands.

Asking late costs delay, asking often costs polls. With a poll's price c in seconds of delay and the hazard
rate h(t) of the finish, the best spacing at age t is sqrt(2 c / h(t)): half of it is the mean delay, and
c / spacing the cost of polls. So polls lie at equal steps of the integral of sqrt(h / 2) over the age; that
puts the first one near the earliest likely finish by itself, and goes on from whatever moment the last one
was really made. `bench/polling.py` holds this against the optimum by dynamic programming.

A request that outlasts nearly all others may be of another kind. So the times learned are mixed with a
share of much wider ones, by which the waits in the tail grow again. Before enough is known, waits grow from
the card's first to its cap.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from batchrunner.rules.durations import NORMAL, Durations, survival

PRICE_S = 0.05  # what a poll is worth in seconds of delay while few are in flight: a slot stands idle as long
POLLS_A_S = 10.0  # polls a second that the provider is asked at most, for as long as it takes ...
POLLS_A_JOB = 2.0  # ... and so many more for each job, so that short jobs are not held up
POLLS_REGAINED = 0.02  # polls a second that are regained each second after the provider said: too many
BURST = 16.0  # polls that may be saved up

ODD_SHARE = 0.02  # of requests that are of another kind than those learned from
ODD_SIGMA = 1.0
EARLY = 0.001  # share of requests that are over before the first poll need look
STEP, REACH = 0.05, 4.5  # of the table, in units of the spread
TAIL_STEP, TAIL = 0.1, 5.0  # and beyond, in logarithms of seconds


@dataclass(frozen=True, slots=True)
class Schedule:
    """Growing intervals in seconds, from the model's card."""

    first_s: float
    growth: float
    cap_s: float


@dataclass(frozen=True, slots=True)
class Timetable:
    """When to poll requests of one setting, made once for each time something was learned.

    `marks[i]` is the integral of sqrt(h / 2) up to the age `ages_s[i]`. `effort`: polls a request at a price
    of one second. `mean_s`: how long a request takes. `early_s`: hardly any is over before.
    """

    ages_s: Sequence[float]
    marks: Sequence[float]
    effort: float
    mean_s: float
    early_s: float

    def wait_s(self, age_s: float, price_s: float) -> float:
        """Return the best wait from an age to the next poll, in seconds."""
        return max(0.0, self._age_s(self._mark(age_s) + math.sqrt(price_s)) - age_s)

    def price_s(self, in_flight: int) -> float:
        """Return a poll's price at which so many requests stay within the budget of polls."""
        allowed = POLLS_A_JOB + POLLS_A_S * self.mean_s / max(1, in_flight)
        return max(PRICE_S, (self.effort / (allowed - 0.5)) ** 2)

    def _mark(self, age_s: float) -> float:
        return _between(self.ages_s, self.marks, age_s)

    def _age_s(self, mark: float) -> float:
        return _between(self.marks, self.ages_s, mark)


class Budget:
    """How many polls may be made: so many a second, and so many more for each request. Steady seconds.

    What was not used is kept only in part, so that a backlog after a suspend is worked off evenly.
    """

    def __init__(self) -> None:
        self._spare = BURST  # of those by the second
        self._earned: float | None = None  # of those by the request
        self._at_s = 0.0
        self._rate = POLLS_A_S

    def earn(self) -> None:
        """Count one more request that was accepted."""
        self._earned = (self._earned or 0.0) + POLLS_A_JOB

    def left(self, now_s: float, requests: int) -> float:
        """Return how many polls may be made now, with so many requests at hand; below 0 after a dear call."""
        if self._earned is None:  # a run takes up what an earlier one left
            self._earned, self._at_s = POLLS_A_JOB * requests, now_s
        self._earned = min(self._earned, POLLS_A_JOB * requests)
        passed_s = max(0.0, now_s - self._at_s)
        self._spare = min(BURST, self._spare + self._rate * passed_s)
        self._rate = min(POLLS_A_S, self._rate + POLLS_REGAINED * passed_s)
        self._at_s = max(self._at_s, now_s)
        return self._spare + self._earned

    def spend(self, polls: float) -> None:
        """Count calls that cost as much as so many polls."""
        paid = min(max(0.0, self._spare), polls)
        self._spare -= paid
        polls -= paid
        paid = min(self._earned or 0.0, polls)
        self._earned = (self._earned or 0.0) - paid
        self._spare -= polls - paid

    def refused(self, wait_s: float | None = None) -> None:
        """The provider said that it is asked too often: half as many polls, and none for a while."""
        self._rate = max(POLLS_A_S / 64, self._rate / 2)
        self._earned = 0.0
        self._spare = min(self._spare, -self._rate * (wait_s or 1.0))

    def next_s(self) -> float:
        """Return when one more poll may be made."""
        lacking = 1.0 - self._spare - (self._earned or 0.0)
        return self._at_s + max(0.0, lacking) / self._rate + 0.001  # so that rounding leaves no part of one


def timetable(known: Durations) -> Timetable:
    """Work out when requests are best polled whose durations are `known`."""
    reach = round(REACH / STEP)
    logs = [known.mu + known.sigma * STEP * step for step in range(-reach, reach + 1)]
    tail = max(round((known.mu + TAIL - logs[-1]) / TAIL_STEP), 1)
    logs += [logs[-1] + TAIL_STEP * (step + 1) for step in range(tail)]
    ages_s, marks, effort = [0.0], [0.0], 0.0
    rate_before, left_before = 0.0, 1.0
    for x in logs:
        age_s = math.exp(x)
        left, density = _mixed(known, age_s, x)
        rate = math.sqrt(density / left / 2) if left > 0 else rate_before
        step_s = age_s - ages_s[-1]
        marks.append(marks[-1] + step_s * (rate + rate_before) / 2)
        effort += step_s * (rate * left + rate_before * left_before) / 2
        ages_s.append(age_s)
        rate_before, left_before = rate, left
    return Timetable(tuple(ages_s), tuple(marks), effort, known.mean_s, known.quantile_s(EARLY))


def next_poll_s(
    schedule: Schedule,
    polls: int,
    rng: random.Random,
    age_s: float = 0.0,
    learned: Timetable | None = None,
    price_s: float = PRICE_S,
) -> float:
    """Return the wait before poll number `polls` + 1 of a request that is `age_s` old.

    Never longer than the schedule's cap (stretched where the price of polls has risen), but for the wait
    until the first request can be over. Spread a little, so that those that were submitted together are not
    asked for together ever after.
    """
    grown_s = schedule.first_s * schedule.growth ** min(polls, 64)
    stretch = math.sqrt(max(1.0, price_s / PRICE_S))
    if learned is None:
        return min(schedule.cap_s, grown_s) * rng.uniform(0.9, 1.1)
    cap_s = max(0.0, learned.early_s - age_s) + schedule.cap_s * stretch
    return min(cap_s, learned.wait_s(age_s, price_s) * rng.uniform(0.95, 1.05))


def _mixed(known: Durations, age_s: float, x: float) -> tuple[float, float]:
    """Return which share is left at an age, and how dense the ends are there, odd ones included."""
    wide = max(ODD_SIGMA, 2 * known.sigma)
    left = (1 - ODD_SHARE) * survival(age_s, known.mu, known.sigma)
    dense = (1 - ODD_SHARE) * NORMAL.pdf((x - known.mu) / known.sigma) / known.sigma
    if x <= known.mu:  # the odd ones are slow: none of them is over before the usual time
        return left + ODD_SHARE, dense / age_s
    left += ODD_SHARE * 2 * survival(age_s, known.mu, wide)
    dense += ODD_SHARE * 2 * NORMAL.pdf((x - known.mu) / wide) / wide
    return left, dense / age_s


def _between(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Read a table between its points; beyond its end it goes on as between the last two."""
    right = min(max(1, bisect_right(xs, x)), len(xs) - 1)
    x0, x1, y0, y1 = xs[right - 1], xs[right], ys[right - 1], ys[right]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0) if x1 > x0 else y1
