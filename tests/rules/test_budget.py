"""How far a budget reaches."""

from __future__ import annotations

import pytest

from batchrunner.rules.budget import reach


@pytest.mark.parametrize(
    ("waiting", "micros", "jobs"),
    [
        ([], 100, 0),
        ([(10, 5)], 49, 4),
        ([(10, 5)], 50, 5),
        ([(10, 5), (20, 5)], 100, 7),
        ([(10, 2), (50, 1), (10, 9)], 60, 2),  # the dear one does not fit, and what comes after it waits
        ([(0, 7), (10, 1)], 5, 7),
        ([(10, 3)], 0, 0),
    ],
)
def test_a_sum_is_enough_for_so_many_jobs(waiting: list[tuple[int, int]], micros: int, jobs: int) -> None:
    """In their order; the first that does not fit ends it."""
    assert reach(waiting, micros) == jobs
