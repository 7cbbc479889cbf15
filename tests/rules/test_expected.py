"""What the rest will cost: between two sums that hold the truth about as often as they say."""

from __future__ import annotations

import random

import pytest

from batchrunner.rules.expected import ENOUGH, Shown, range_micros

PRICE = 150_000


@pytest.mark.parametrize("fails", [0.0, 0.02, 0.2])
@pytest.mark.parametrize(("ended", "left"), [(20, 300), (200, 40), (400, 2_000)])
def test_nine_nights_of_ten_cost_what_was_said(fails: float, ended: int, left: int) -> None:
    """Each of 200 nights with failures by chance, before and after."""
    rng = random.Random(f"{fails} {ended} {left}")
    held = 0
    for _ in range(200):
        failed = sum(rng.random() < fails for _ in range(ended))
        shown = Shown(ended, failed, ended * PRICE, (ended - failed) * PRICE)
        truth = sum(rng.random() >= fails for _ in range(left)) * PRICE
        low, high = range_micros(left * PRICE, left, shown) or (0, 0)
        held += low <= truth <= high

    assert held >= 170


def test_a_range_is_no_wider_than_what_it_rests_on_and_none_where_that_is_little() -> None:
    """One of ten failed, of 400: the rest costs 86 to 94 %; of 19 nothing is said."""
    low, high = range_micros(1_000 * PRICE, 1_000, Shown(400, 40, 400 * PRICE, 360 * PRICE)) or (0, 0)
    few = Shown(ENOUGH - 1, 0, PRICE, PRICE)

    assert 0.85 < low / (1_000 * PRICE) < high / (1_000 * PRICE) < 0.95
    assert range_micros(PRICE, 1, few) is None
    assert range_micros(0, 0, Shown(400, 0, PRICE, PRICE)) is None


def test_what_was_paid_and_could_not_be_used_is_paid_again() -> None:
    """A tenth more was paid than the clips cost: so it will be, and no more than that without failures."""
    low, high = range_micros(100 * PRICE, 100, Shown(100, 0, 100 * PRICE, 110 * PRICE)) or (0, 0)

    assert high == 110 * PRICE
    assert 105 * PRICE < low < high
