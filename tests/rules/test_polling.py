"""When requests are polled whose times are known: near the optimum, within the budget, never too rarely."""

from __future__ import annotations

import math
import random

import pytest

from batchrunner.rules.durations import LEARNED, Durations
from batchrunner.rules.polling import (
    BURST,
    POLLS_A_JOB,
    POLLS_A_S,
    PRICE_S,
    Budget,
    Schedule,
    next_poll_s,
    timetable,
)
from tests.rules.watching import learned_cost, learning, measured, optimum

CARD = Schedule(first_s=1.0, growth=1.5, cap_s=20.0)
KNOWN = Durations(math.log(75.0), 0.4, LEARNED)


@pytest.mark.parametrize("sigma", [0.2, 0.4, 0.8])
def test_once_learned_the_cost_is_near_the_optimum(sigma: float) -> None:
    """Within 15 % of what dynamic programming finds for the true distribution."""
    rng = random.Random(f"polling {sigma}")
    durations = [rng.lognormvariate(math.log(75.0), sigma) for _ in range(1500)]
    known = learning(durations[:300], 0.5, rng)[2]
    delay_s, polls = learned_cost(durations, known, 0.5, rng)
    best_s, best_polls = optimum(sigma, 0.5)

    assert delay_s + 0.5 * polls <= 1.15 * (best_s + 0.5 * best_polls)


@pytest.mark.parametrize(("sigma", "share"), [(0.2, 0.4), (0.4, 0.7)])
def test_far_fewer_polls_than_every_five_seconds(sigma: float, share: float) -> None:
    """At a delay that is no longer."""
    rng = random.Random(f"five {sigma}")
    durations = [rng.lognormvariate(math.log(75.0), sigma) for _ in range(3000)]
    five_s, five_polls = measured(durations, lambda _age, _count: 5.0)
    price_s = {0.2: 0.45, 0.4: 0.24}[sigma]
    delay_s, polls = learned_cost(durations, Durations(math.log(75.0), sigma), price_s, rng)

    assert delay_s <= five_s
    assert polls <= share * five_polls


def test_the_first_poll_is_near_the_earliest_likely_finish() -> None:
    """Not a second after submission, and not after most are over."""
    first_s = next_poll_s(CARD, 0, random.Random(1), 0.0, timetable(KNOWN))

    assert KNOWN.quantile_s(0.0005) < first_s < KNOWN.quantile_s(0.1)


def test_in_the_tail_waits_grow_to_the_cap() -> None:
    """A request that outlasts all others may be of another kind; it is never left for longer than the cap."""
    table, rng = timetable(KNOWN), random.Random(2)
    waits = [next_poll_s(CARD, 9, rng, age_s, table) for age_s in (300.0, 600.0, 2400.0, 20_000.0, 1e6)]

    assert waits[0] < waits[2] <= 20.0
    assert max(waits) <= 20.0


def test_polls_become_dearer_with_the_crowd_so_that_all_stay_within_the_budget() -> None:
    """A thousand in flight are asked for so rarely that the budget suffices."""
    table, rng = timetable(KNOWN), random.Random(3)
    price_s = table.price_s(1000)
    durations = [rng.lognormvariate(math.log(75.0), 0.4) for _ in range(2000)]
    _delay_s, polls = learned_cost(durations, KNOWN, price_s, rng)

    assert table.price_s(1) == PRICE_S < price_s
    assert polls / KNOWN.mean_s * 1000 <= 1.1 * (POLLS_A_S + POLLS_A_JOB * 1000 / KNOWN.mean_s)


def test_the_budget_fills_by_time_and_by_request() -> None:
    """A burst at first; a dear call takes from what comes."""
    budget = Budget()
    assert budget.left(0.0, 0) == BURST
    budget.spend(BURST)
    assert budget.left(0.5, 0) == pytest.approx(POLLS_A_S / 2)
    budget.earn()
    assert budget.left(0.5, 1) == pytest.approx(POLLS_A_S / 2 + POLLS_A_JOB)
    budget.spend(57.0)

    assert budget.left(0.5, 1) == pytest.approx(POLLS_A_S / 2 + POLLS_A_JOB - 57.0)
    assert budget.left(budget.next_s(), 1) >= 1.0


def test_a_provider_that_is_asked_too_often_is_asked_less() -> None:
    """Half as often after each such word, none for as long as it says, and slowly more again."""
    budget = Budget()
    budget.left(0.0, 10)
    for _ in range(3):
        budget.refused(20.0)

    assert budget.left(10.0, 10) <= 0
    assert budget.next_s() >= 20.0
    budget.left(21.0, 10)
    assert budget.left(31.0, 10) < 0.3 * 10 * POLLS_A_S
    assert budget.left(1000.0, 10) == BURST
