"""What schedules of polls cost: delay of detection and polls a request, and the least that both can be."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from statistics import NormalDist, fmean

from batchrunner.rules.durations import APART_NIGHTS, LEARNED, Durations, Layer, Took, learn
from batchrunner.rules.polling import Schedule, Timetable, next_poll_s, timetable

MEDIAN_S = 75.0
CARD = Schedule(first_s=1.0, growth=1.05, cap_s=20.0)
RELEARN = 1.1  # as the engine does: with every tenth more samples

Wait = Callable[[float, int], float]  # from age and polls so far to the wait before the next poll


def watch(took_s: float, wait: Wait) -> tuple[float, int, Took]:
    """Poll one request until it is seen to be over; return delay, polls, and what was seen of it."""
    age_s, polls, low_s = 0.0, 0, 0.0
    while True:
        low_s = age_s
        age_s += wait(age_s, polls)
        polls += 1
        if age_s >= took_s:
            return age_s - took_s, polls, Took(low_s, age_s)


def measured(durations: Sequence[float], wait: Wait) -> tuple[float, float]:
    """Return mean delay and mean polls."""
    seen = [watch(took_s, wait) for took_s in durations]
    return fmean(one[0] for one in seen), fmean(one[1] for one in seen)


def learning(
    durations: Sequence[float], price_s: float, rng: random.Random
) -> tuple[float, float, Durations]:
    """Start from nothing and learn on the way; return mean delay, mean polls, and what was learned."""
    ended: list[Took] = []
    delays, polls = [], []
    known, table, at = learn([]), None, LEARNED
    for took_s in durations:
        held: Timetable | None = table

        def wait(age_s: float, count: int, held: Timetable | None = held) -> float:
            return next_poll_s(CARD, count, rng, age_s, held, price_s)

        delay_s, count, took = watch(took_s, wait)
        delays.append(delay_s)
        polls.append(count)
        ended.append(took)
        if len(ended) >= at:
            known = learn([Layer(ended, APART_NIGHTS, "like it", own=True)])
            table, at = timetable(known), math.ceil(at * RELEARN)
    return fmean(delays), fmean(polls), known


def optimum(sigma: float, price_s: float) -> tuple[float, float]:
    """Return delay and polls of the best schedule for a known distribution, on a grid of ages."""
    normal, mu = NormalDist(), math.log(MEDIAN_S)
    ages, end_s = [0.0], math.exp(mu + 5.0 * sigma)
    while ages[-1] < end_s:
        ages.append(ages[-1] + max(0.2, 0.004 * ages[-1]))
    over = [0.0] + [normal.cdf((math.log(age) - mu) / sigma) for age in ages[1:]]
    mean_s = math.exp(mu + sigma**2 / 2)
    part = [0.0] + [mean_s * normal.cdf((math.log(age) - mu) / sigma - sigma) for age in ages[1:]]
    last = len(ages) - 1
    cost, then = [0.0] * (last + 1), [last] * (last + 1)
    for i in range(last - 1, -1, -1):
        best = math.inf
        for j in range(i + 1, last + 1):
            waited = ages[j] * (over[j] - over[i]) - (part[j] - part[i])
            if waited > best:  # only grows with a later poll
                break
            if waited + cost[j] < best:
                best, then[i] = waited + cost[j], j
        cost[i] = best + price_s * (1 - over[i])
    delay_s = polls = 0.0
    i = 0
    while i < last:
        j = then[i]
        delay_s += ages[j] * (over[j] - over[i]) - (part[j] - part[i])
        polls += 1 - over[i]
        i = j
    return delay_s, polls


def learned_cost(
    durations: Sequence[float], known: Durations, price_s: float, rng: random.Random
) -> tuple[float, float]:
    """Return mean delay and mean polls of our rules with what is `known`."""
    learned = timetable(known)
    return measured(durations, lambda age, count: next_poll_s(CARD, count, rng, age, learned, price_s))
