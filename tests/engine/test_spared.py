"""Jobs that would meet the refusal that others like them met are not sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from batchrunner.engine.steps import Stop
from batchrunner.settling import retry_failed
from batchrunner.values import Job, JobState, Limits, Reason
from tests.engine.test_loop import Rig
from tests.fakes import a_job

ONE_BY_ONE = Limits(in_flight=1, submits_per_minute=None)


def of_image(number: int, image: str) -> Job:
    """Return a job with a picture of its own."""
    return replace(a_job(number, image_url=f"https://example.com/{image}.png"), image=image)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Two jobs with one picture, then many of that and of another, one at a time."""
    jobs = [of_image(number, "bad" if number < 7 else "good") for number in range(10)]
    return Rig(tmp_path, jobs=jobs, limits=ONE_BY_ONE, script=["pixels", "pixels"])


def test_a_picture_refused_twice_spares_the_others_with_it(rig: Rig) -> None:
    """Two refusals, five jobs held unsent, three renders."""
    last = rig.run()

    assert rig.provider.ledger.posts == 5
    assert (rig.jobs_in(JobState.FAILED), rig.jobs_in(JobState.HELD), rig.jobs_in(JobState.DONE)) == (2, 5, 3)
    assert (last.tally.spared, last.tally.spared_micros) == (5, 750_000)
    assert {(one.sent, one.at_stake_micros, one.reason) for one in rig.held} == {(False, 0, Reason.PICTURE)}
    assert "picture 'bad'" in rig.held[0].detail
    assert "pixel" in rig.held[0].detail


def test_the_next_run_leaves_them_until_a_person_lets_them_try(rig: Rig) -> None:
    """`retry` gives them back, and the failed ones."""
    rig.run()
    rig.run()
    assert rig.provider.ledger.posts == 5

    (rig.folder / "test.db").rename(rig.folder / "camp.db")
    retried = retry_failed(rig.folder, "camp", (), rig.clock, "me")
    (rig.folder / "camp.db").rename(rig.folder / "test.db")
    rig.run()

    assert len(retried) == 7
    assert rig.jobs_in(JobState.DONE) == 10


def test_a_model_that_refuses_everything_ends_the_run_early(tmp_path: Path) -> None:
    """Three bounces, not five hundred."""
    jobs = [a_job(number) for number in range(50)]
    rig = Rig(tmp_path, jobs=jobs, limits=ONE_BY_ONE, script=["404"] * 50)
    last = rig.run()

    assert rig.provider.ledger.posts == 3
    assert last.stop is Stop.MODEL
    assert rig.jobs_in(JobState.PENDING) == 47


def test_a_model_that_works_is_not_stopped_by_bad_requests(tmp_path: Path) -> None:
    """One acceptance proves it sound."""
    jobs = [a_job(number) for number in range(8)]
    rig = Rig(tmp_path, jobs=jobs, limits=ONE_BY_ONE, script=["ok", *["400"] * 5])
    rig.run()

    assert rig.jobs_in(JobState.DONE) == 3
    assert rig.jobs_in(JobState.FAILED) == 5
