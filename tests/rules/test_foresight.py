"""The stated range holds the truth about as often as it says, over many simulated nights."""

from __future__ import annotations

import heapq
import math
import random
import time

import pytest

from batchrunner.rules.durations import Durations, Layer, Took, learn
from batchrunner.rules.foresight import FILING_S, Share, foresee


def a_night(rng: random.Random, jobs: int, slots: int, mu: float, sigma: float, failing: float) -> float:
    """Play a night as the provider would: slots refilled at once, some jobs rendered twice."""
    busy = [0.0] * slots
    for _ in range(jobs):
        start_s = heapq.heappop(busy)
        for _try in range(1 + (rng.random() < failing)):
            start_s += rng.lognormvariate(mu, sigma) + rng.uniform(0.5, 1.5) * FILING_S
        heapq.heappush(busy, start_s)
    return max(busy)


@pytest.mark.parametrize(("jobs", "slots"), [(12, 8), (1_500, 16)])
def test_nine_nights_of_ten_end_within_the_range(jobs: int, slots: int) -> None:
    """In 200 nights, each with a provider of its own, of which other nights have told something."""
    rng = random.Random(f"nights {jobs}")
    held = 0
    widths = []
    for _ in range(200):
        sigma = rng.choice((0.2, 0.4, 0.8))
        usual = math.log(75.0) + rng.gauss(0.0, 0.5)
        seen = [rng.lognormvariate(usual, sigma) for _ in range(rng.choice((20, 60, 200)))]
        known = learn([Layer([Took(one, one) for one in seen], 0.5, "like it", own=True)])
        tonight = usual + rng.gauss(0.0, 0.15)  # no night is quite like the ones before
        truth_s = a_night(rng, jobs, slots, tonight, sigma, failing=0.02)
        told = foresee([Share(jobs, known)], [], slots=slots, per_minute=None, tries=1.02, rng=rng)
        assert told is not None
        held += told.low_s <= truth_s <= told.high_s
        widths.append(told.high_s / told.low_s)

    assert held >= 160
    assert sorted(widths)[100] < 3.0  # a range that holds everything says nothing


def test_the_pace_bounds_it_too() -> None:
    """Quick renders, two submissions a minute: a hundred take fifty minutes."""
    quick = Durations(mu=math.log(5.0), sigma=0.2, samples=50)
    told = foresee([Share(100, quick)], [], slots=50, per_minute=2, tries=1.0, rng=random.Random(1))

    assert told is not None
    assert 2_900 < told.low_s <= told.high_s < 3_300


def test_what_is_under_way_counts_with_its_age() -> None:
    """One that should be done any moment, and nothing else."""
    known = Durations(mu=math.log(100.0), sigma=0.2, samples=50)
    young = foresee([], [(1.0, known)], slots=4, per_minute=None, tries=1.0, rng=random.Random(1))
    old = foresee([], [(95.0, known)], slots=4, per_minute=None, tries=1.0, rng=random.Random(1))

    assert young is not None
    assert old is not None
    assert old.likely_s < young.likely_s / 2


def test_nothing_left_is_nothing_to_foresee() -> None:
    """Not nought seconds."""
    assert foresee([], [], slots=4, per_minute=None, tries=1.0, rng=random.Random(1)) is None


def test_little_is_known_at_first_and_the_range_says_so() -> None:
    """Wide without samples, narrow with many."""
    guess = Durations(mu=math.log(90.0), sigma=0.8)
    sure = Durations(mu=math.log(90.0), sigma=0.3, samples=400)
    widths = []
    for known in (guess, sure):
        told = foresee([Share(500, known)], [], slots=8, per_minute=None, tries=1.0, rng=random.Random(1))
        assert told is not None
        widths.append(told.high_s / told.low_s)

    wide, narrow = widths
    assert wide > 4
    assert narrow < 2.2


def test_a_million_jobs_cost_no_more_than_some_hundreds() -> None:
    """Counted in plays, not in seconds: twice as many jobs must not take twice as long."""
    known = Durations(mu=math.log(90.0), sigma=0.3, samples=400)
    took = []
    for jobs in (1_000, 1_000_000):
        began_s = time.perf_counter()
        foresee([Share(jobs, known)], [], slots=8, per_minute=None, tries=1.0, rng=random.Random(1))
        took.append(time.perf_counter() - began_s)

    assert took[1] < 20 * took[0]
