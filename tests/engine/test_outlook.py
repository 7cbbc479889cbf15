"""What a run that goes on is expected to come to."""

from __future__ import annotations

from pathlib import Path

from batchrunner.engine.gate import Bounds
from batchrunner.engine.outlook import Outlook
from batchrunner.engine.progress import Progress
from batchrunner.engine.steps import Stop
from batchrunner.values import JobState, Limits
from tests.engine.test_loop import Rig
from tests.fakes import a_job

PRICE = 150_000


def outlooks(folder: Path, limits: Limits, jobs: int, bounds: Bounds | None = None) -> dict[int, Outlook]:
    """Run some jobs and return what was to be expected when so many had ended."""
    folder.mkdir(exist_ok=True)
    todo = [a_job(number) for number in range(jobs)]
    rig = Rig(folder, jobs=todo, limits=limits, bounds=bounds or Bounds())
    found: dict[int, Outlook] = {}

    def look(progress: Progress) -> bool:
        ended = progress.jobs[JobState.DONE] + progress.jobs[JobState.FAILED]
        if (told := rig.loop.outlook()) is not None:
            found.setdefault(ended, told)
        return False

    rig.run(look)
    return found


def test_with_money_for_all_the_cost_is_known_once_enough_have_ended(tmp_path: Path) -> None:
    """Before, only what it is at most; then a range up to it, since none has failed."""
    found = outlooks(tmp_path, Limits(in_flight=2, submits_per_minute=None), 60)
    late = next(one for ended, one in sorted(found.items()) if ended >= 30)

    assert (found[0].within, found[0].least_micros, found[0].most_micros) == (None, None, 60 * PRICE)
    assert late.within is None
    assert late.least_micros is not None
    assert 0.9 * 60 * PRICE < late.least_micros < late.most_micros == 60 * PRICE  # type: ignore[operator]
    assert late.finish is not None


def test_a_budget_that_ends_it_bounds_jobs_finish_and_cost(tmp_path: Path) -> None:
    """Ten fit into it, of sixty; and of the time only theirs is foreseen."""
    short = Limits(in_flight=2, submits_per_minute=None, budget_micros=10 * PRICE + 1)
    found = outlooks(tmp_path / "short", short, 60)
    whole = outlooks(tmp_path / "whole", Limits(in_flight=2, submits_per_minute=None), 60)
    some = min(ended for ended in found if ended >= 4 and ended in whole)
    told, all_ = found[some], whole[some]

    assert found[0].within == 10
    assert found[0].most_micros == 10 * PRICE + 1
    assert told.within is not None
    assert 10 - some - 2 <= told.within <= 10 - some
    assert told.finish is not None
    assert all_.finish is not None
    assert told.finish.likely_s < 0.5 * all_.finish.likely_s


def test_no_more_is_expected_than_was_asked_for(tmp_path: Path) -> None:
    """Five at most: five are paid for, and then it is over."""
    found = outlooks(tmp_path, Limits(in_flight=2, submits_per_minute=None), 60, Bounds(max_new=5))

    assert (found[0].ends, found[0].within, found[0].most_micros) == (Stop.ENOUGH, 5, 5 * PRICE)
    assert max(found) < 5  # it is not asked any more once the run is about to end


def test_a_deadline_before_the_finish_is_told(tmp_path: Path) -> None:
    """And one after it is not."""
    limits = Limits(in_flight=2, submits_per_minute=None)
    soon = outlooks(tmp_path / "soon", limits, 60, Bounds(for_s=200.0))
    late = outlooks(tmp_path / "late", limits, 60, Bounds(for_s=90_000.0))

    assert any(one.cut for one in soon.values())
    assert not any(one.cut for one in late.values())
