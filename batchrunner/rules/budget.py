"""Whether one more job fits into the budget.

What has been spent and what is reserved count alike; a submission whose fate is unknown counts as paid.
So the sum can never pass the budget, whatever becomes of the open attempts.
"""

from __future__ import annotations

from collections.abc import Iterable


def fits(
    cost_micros: int | None, *, spent_micros: int, reserved_micros: int, budget_micros: int | None
) -> bool:
    """Tell whether a job may start; a job of unknown price never fits into a budget."""
    if budget_micros is None:
        return True
    return cost_micros is not None and spent_micros + reserved_micros + cost_micros <= budget_micros


def reach(waiting: Iterable[tuple[int, int]], micros: int) -> int:
    """Return how many jobs a sum is enough for: the first that does not fit ends it.

    `waiting`: price in micro-dollars and number of jobs, in the order in which they start.
    """
    jobs = 0
    for price, number in waiting:
        some = min(number, micros // price) if price else number
        jobs += some
        micros -= some * price
        if some < number:
            break
    return jobs
