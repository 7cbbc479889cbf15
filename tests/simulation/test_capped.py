"""The real engine at a provider with a hidden limit, on a simulated clock: found, kept, and no slot idle."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchrunner.values import JobState
from tests.simulation.capped import Night, Ways


@pytest.mark.parametrize(
    ("ways", "refused"),
    [
        (Ways(at_once=12), 0.02),
        (Ways(a_minute=20), 0.05),  # a short night hardly outlasts the search; whole ones: bench/night.py
        (Ways(at_once=12, told_late=True), 0.03),
    ],
)
def test_a_hidden_limit_is_used_to_95_percent(tmp_path: Path, ways: Ways, refused: float) -> None:
    """In the second half of 400 jobs, and every job is done."""
    night = Night(tmp_path, 400, ways, seed=2)
    last = night.run()

    assert last.jobs[JobState.DONE] == 400
    assert night.used(200) >= 0.95
    assert night.refused_share(200) <= refused
    assert night.makespan_s <= 1.1 * night.ideal_s()


def test_a_restart_goes_on_at_the_pace_that_was_found(tmp_path: Path) -> None:
    """Far fewer are refused than when the limit was looked for."""
    night = Night(tmp_path, 160, Ways(at_once=12))
    night.run(lambda progress: progress.jobs[JobState.DONE] >= 80)
    before = len(night.provider.refused_s)
    last = night.run()

    assert last.jobs[JobState.DONE] == 160
    assert len(night.provider.refused_s) - before <= 4 < before


def test_a_crowd_is_watched_by_lists(tmp_path: Path) -> None:
    """Six hundred in flight: a poll each and less, where the list answers for all of them."""
    night = Night(tmp_path, 600, Ways(), in_flight=600)
    last = night.run()

    assert last.jobs[JobState.DONE] == 600
    assert night.provider.lists > 5
    assert night.provider.polls < 5 * 600
