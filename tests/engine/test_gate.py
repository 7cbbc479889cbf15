"""Deadlines, hours, a handful to try, and the order: what starts, what does not, and how the run ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from batchrunner.engine.gate import Bounds
from batchrunner.engine.planner import Wait
from batchrunner.engine.progress import Progress
from batchrunner.engine.steps import Stop
from batchrunner.rules.durations import typical
from batchrunner.store.changes import Intended
from batchrunner.values import Job, JobState, Limits, Order
from tests.engine.test_loop import TERMS, Rig
from tests.fakes import START_US, a_job

MANY = Limits(in_flight=2, submits_per_minute=None)


def jobs(count: int) -> list[Job]:
    """Return some jobs; a fake provider takes 30 s for each."""
    return [a_job(number) for number in range(1, count + 1)]


def test_nothing_starts_that_would_not_be_done_in_time(tmp_path: Path) -> None:
    """After the first few it is known that a job takes 30 s; what is on its way is finished."""
    one = Rig(tmp_path, jobs=jobs(40), limits=MANY, bounds=Bounds(for_s=300.0))
    last = one.run()

    assert last.stop is Stop.DEADLINE
    assert one.jobs_in(JobState.DONE) == one.provider.ledger.posts > 10
    assert one.jobs_in(JobState.PENDING) == 40 - one.provider.ledger.posts
    assert one.clock.steady_s <= 300.0


def test_a_near_deadline_is_kept_as_soon_as_anything_is_known(tmp_path: Path) -> None:
    """Jobs of some seconds, and half a minute for all: what is learned on the way counts at once."""
    one = Rig(tmp_path, jobs=jobs(40), limits=MANY, bounds=Bounds(for_s=28.0))
    one.provider.render_s = 4.0
    last = one.run()

    assert last.stop is Stop.DEADLINE
    assert one.jobs_in(JobState.DONE) > 5
    assert one.clock.steady_s <= 28.0


def test_what_is_left_is_told_with_its_time_where_this_run_had_no_pace(tmp_path: Path) -> None:
    """By what earlier runs have learned; where nothing was, nothing is said."""
    one = Rig(tmp_path, jobs=jobs(12), limits=MANY, bounds=Bounds(max_new=0))
    one.run()
    unknown = one.left_s
    one.bounds = Bounds(max_new=6)
    one.run()
    one.bounds = Bounds(for_s=1.0)
    last = one.run()

    assert (last.stop, unknown) == (Stop.DEADLINE, None)
    assert 60 < (one.left_s or 0) < 180


def test_a_deadline_by_the_clock_on_the_wall(tmp_path: Path) -> None:
    """The same; and the next run goes on, deadline or not."""
    one = Rig(tmp_path, jobs=jobs(12), limits=MANY, bounds=Bounds(until_us=START_US + 120_000_000))
    first = one.run()
    done = one.jobs_in(JobState.DONE)
    one.bounds = Bounds()
    second = one.run()

    assert (first.stop, second.stop) == (Stop.DEADLINE, None)
    assert 0 < done < 12
    assert one.jobs_in(JobState.DONE) == one.provider.ledger.posts == 12


def test_a_first_night_goes_by_the_rule_of_thumb_of_the_card(tmp_path: Path) -> None:
    """Nothing was ever learned: a job that may well take five minutes does not start two before the end."""
    (tmp_path / "late").mkdir()
    (tmp_path / "early").mkdir()
    terms = replace(TERMS, prior=typical(60.0, 300.0))
    late = Rig(tmp_path / "late", jobs=jobs(4), terms=terms, limits=MANY, bounds=Bounds(for_s=120.0))
    early = Rig(tmp_path / "early", jobs=jobs(4), terms=terms, limits=MANY, bounds=Bounds(for_s=900.0))
    last = late.run()

    assert (last.stop, late.provider.ledger.posts) == (Stop.DEADLINE, 0)
    assert "may be late: it takes up to 5 min" in last.detail
    assert (early.run().stop, early.provider.ledger.posts) == (None, 4)


def test_a_closed_pace_does_not_put_off_the_deadline(tmp_path: Path) -> None:
    """Nothing is in flight, and the next submission is due in an hour: the run ends when the time is up."""
    slow = Limits(in_flight=2, submits_per_minute=None, submits_per_hour=1)
    one = Rig(tmp_path, jobs=jobs(4), limits=slow, bounds=Bounds(for_s=100.0))

    assert one.run().stop is Stop.DEADLINE
    assert one.provider.ledger.posts == 1
    assert one.clock.steady_s <= 101.0


def test_other_campaigns_tell_how_long_a_job_takes(tmp_path: Path) -> None:
    """The first run of a campaign knows it from those beside it."""
    Rig(tmp_path, jobs=jobs(30), limits=MANY).run()
    (tmp_path / "test.db").rename(tmp_path / "other.db")
    late = Rig(tmp_path, jobs=jobs(4), limits=MANY, bounds=Bounds(for_s=20.0))

    assert (late.run().stop, late.provider.ledger.posts) == (Stop.DEADLINE, 0)


def test_a_deadline_that_is_kept_is_no_reason_to_stop(tmp_path: Path) -> None:
    """Everything was done before: nothing is left, nothing is said."""
    one = Rig(tmp_path, bounds=Bounds(for_s=3600.0))

    assert one.run().stop is None


def test_a_deadline_holds_across_kills(tmp_path: Path) -> None:
    """What was on the wire is found; nothing new starts after the time."""
    one = Rig(
        tmp_path, jobs=jobs(30), limits=MANY, script=("lost",), bounds=Bounds(until_us=START_US + 400_000_000)
    )
    ticks = iter(range(1_000))
    one.run(until=lambda _last: next(ticks) >= 12)
    last = one.run()

    assert last.stop is Stop.DEADLINE
    assert one.jobs_in(JobState.DONE) == one.provider.ledger.posts
    assert max(one.provider.ledger.born_s.values()) <= 400.0


def test_as_many_as_were_asked_for(tmp_path: Path) -> None:
    """A smoke test: five are sent and finished, the others wait."""
    one = Rig(tmp_path, jobs=jobs(9), bounds=Bounds(max_new=5))
    last = one.run()
    again = one.run()

    assert (last.stop, again.stop) == (Stop.ENOUGH, None)
    assert one.provider.ledger.posts == 9
    assert one.jobs_in(JobState.DONE) == 9


def test_no_new_ones_finishes_what_is_on_its_way(tmp_path: Path) -> None:
    """`--max-new 0`."""
    one = Rig(tmp_path, jobs=jobs(4), limits=MANY)
    one.run(until=lambda last: last.in_flight == 2)
    one.bounds = Bounds(max_new=0)
    last = one.run()

    assert last.stop is Stop.ENOUGH
    assert (one.jobs_in(JobState.DONE), one.provider.ledger.posts) == (2, 2)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC"])
def test_a_window_is_waited_for_and_kept_night_after_night(tmp_path: Path, zone: str) -> None:
    """Nothing is sent outside of it; what is at the provider is finished there too."""
    slow = replace(TERMS, wait_s=1e6, queued_s=1e6)
    limits = Limits(in_flight=1, submits_per_minute=None, window="22:00-22:30")
    one = Rig(tmp_path, jobs=jobs(4), limits=limits, terms=slow, bounds=Bounds(zone=ZoneInfo(zone)))
    one.provider.render_s = 1_200.0
    waited: set[Wait] = set()

    def note(last: Progress) -> bool:
        waited.add(last.waiting_for)
        return False

    last = one.run(note)
    begun = [_local(START_US / 1e6 + born_s, zone) for born_s in one.provider.ledger.born_s.values()]

    assert last.stop is None
    assert one.jobs_in(JobState.DONE) == 4
    assert {(at.hour, at.minute // 30) for at in begun} == {(22, 0)}
    assert len({at.date() for at in begun}) == 2
    assert Wait.HOURS in waited


def _local(at_s: float, zone: str) -> datetime:
    return datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(zone))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("coverage", ["fox1", "owl1", "fox1dear", "owl1dear", "fox2", "owl2", "fox2dear", "owl2dear"]),
        ("written", ["fox1", "fox2", "fox1dear", "fox2dear", "owl1", "owl2", "owl1dear", "owl2dear"]),
    ],
)
def test_the_order_of_submissions(tmp_path: Path, order: Order, expected: list[str]) -> None:
    """By coverage everything comes once, cheap first, before anything comes twice."""
    written = [
        replace(a_job(number, cost), id=f"{image}{take}{'dear' if cost > 1 else ''}", image=image, take=take)
        for number, (image, cost, take) in enumerate(
            (image, cost, take) for image in ("fox", "owl") for cost in (1, 9) for take in (1, 2)
        )
    ]
    one = Rig(
        tmp_path,
        jobs=written,
        limits=Limits(in_flight=1, submits_per_minute=None),
        terms=replace(TERMS, order=order),
    )
    begun: list[str] = []

    def note(last: Progress) -> bool:
        begun.extend(change.attempt.job for change in last.changes if isinstance(change, Intended))
        return False

    one.run(note)

    assert begun == expected


def test_a_budget_for_this_run(tmp_path: Path) -> None:
    """What does not fit is not started; a greater budget goes on."""
    one = Rig(
        tmp_path, jobs=jobs(5), limits=Limits(in_flight=4, submits_per_minute=None, budget_micros=500_000)
    )
    first = one.run()
    spent = one.totals.spent_micros
    one.limits = replace(one.limits, budget_micros=750_000)
    second = one.run()

    assert (first.stop, second.stop) == (Stop.BUDGET, None)
    assert (spent, one.totals.spent_micros) == (450_000, 750_000)
