"""When it will be done: pure. A range, from what is known of durations and from how many run at once.

The night is played a few dozen times in numbers only: each time with typical durations that may well be the
true ones (what was learned from few requests may be far off), each job with a time of its own, as many at
once as the limits allow. Beyond some dozens of jobs only their mean matters, so the rest is worked out.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from batchrunner.rules.durations import APART_NIGHTS, Durations

PLAYS = 60
PLAYED = 120  # jobs of a night that get a time of their own
RANGE = (0.03, 0.97)
FILING_S = 2.0  # from finished at the provider to filed here: polls, download, names
# How far the typical time may lie from what was learned, as a spread of the logarithm: between two nights,
# and where nothing was learned at all (half to twice).
NIGHT, GUESS = 0.6 * APART_NIGHTS, 0.7


@dataclass(frozen=True, slots=True)
class Foresight:
    """Seconds of running from now until all is done: nine nights of ten end between `low_s` and `high_s`."""

    low_s: float
    likely_s: float
    high_s: float
    how: str  # in words: what it rests on


@dataclass(frozen=True, slots=True)
class Share:
    """Jobs of one setting: how many are to be submitted, and how long its requests take."""

    jobs: int
    known: Durations


def foresee(
    shares: Sequence[Share],
    running: Sequence[tuple[float, Durations]],
    *,
    slots: int,
    per_minute: float | None,
    tries: float,
    rng: random.Random,
) -> Foresight | None:
    """Return when all will be done, or None where nothing is left.

    `running`: requests under way, each with its age in seconds. `tries`: submissions that a job takes on
    average (1 where none fails).
    """
    left = sum(share.jobs for share in shares)
    if not left and not running:
        return None
    ends = sorted(_play(shares, running, slots, per_minute, tries, rng) for _ in range(PLAYS))
    low, high = (ends[min(PLAYS - 1, int(share * PLAYS))] for share in RANGE)
    main = max(shares, key=lambda share: share.jobs).known if left else running[0][1]
    return Foresight(low, ends[PLAYS // 2], high, main.how)


def _play(
    shares: Sequence[Share],
    running: Sequence[tuple[float, Durations]],
    slots: int,
    per_minute: float | None,
    tries: float,
    rng: random.Random,
) -> float:
    """Play the rest of one night; return when it ends."""
    luck = rng.gauss(0.0, 1.0)  # of the whole night: a slow provider is slow for every setting
    busy = [_rest_s(known, age_s, luck, rng) + FILING_S for age_s, known in running]
    heapq.heapify(busy)
    count = math.ceil(sum(share.jobs for share in shares) * tries)
    played = min(count, max(PLAYED, 2 * slots))
    weights = [share.jobs for share in shares]
    gap_s = 60.0 / per_minute if per_minute else 0.0
    now_s = last_s = max(busy, default=0.0)
    starts_s = 0.0
    if count:
        for share in rng.choices(shares, weights, k=played):
            starts_s = max(starts_s, heapq.heappop(busy)) if len(busy) >= slots else starts_s
            end_s = starts_s + _takes_s(share.known, luck, rng) + FILING_S
            heapq.heappush(busy, end_s)
            last_s = max(last_s, end_s)
            starts_s += gap_s
        now_s = last_s
    if count > played:
        mean_s = sum(share.jobs * _mean_s(share.known, luck) for share in shares) / sum(weights) + FILING_S
        now_s += (count - played) * max(mean_s / slots, gap_s)
    return now_s


def _shift(known: Durations, luck: float) -> float:
    """Return how far off the typical time is tonight, in the logarithm."""
    apart = GUESS if not known.samples else math.hypot(NIGHT, known.sigma / math.sqrt(known.samples))
    return luck * apart


def _takes_s(known: Durations, luck: float, rng: random.Random) -> float:
    return rng.lognormvariate(known.mu + _shift(known, luck), known.sigma)


def _mean_s(known: Durations, luck: float) -> float:
    return math.exp(known.mu + _shift(known, luck) + known.sigma**2 / 2)


def _rest_s(known: Durations, age_s: float, luck: float, rng: random.Random) -> float:
    """Return how much longer a request runs that has run for so long."""
    for _ in range(20):
        takes_s = _takes_s(known, luck, rng)
        if takes_s > age_s:
            return takes_s - age_s
    return _mean_s(known, luck) / 2  # far out in the tail: it is late, and nobody knows how late
