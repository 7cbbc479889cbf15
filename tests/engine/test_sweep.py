"""What a lost state table had paid for is found again before anything is paid for anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchrunner.engine.gate import Bounds
from batchrunner.engine.progress import Progress
from batchrunner.engine.steps import Stop
from batchrunner.engine.sweep import as_sent
from batchrunner.rules.states import EventKind
from batchrunner.values import UPLOAD, JobState, Picture, Recovery
from tests.engine.test_loop import TERMS, Rig, kinds
from tests.fakes import a_job

TABLE = "test.db"


@pytest.fixture
def rig(tmp_path: Path) -> Callable[..., Rig]:
    """Return a maker of rigs."""
    return lambda **changes: Rig(tmp_path, **changes)


def lose(rig: Rig) -> None:
    """Delete the state table; the provider still knows what it took."""
    (rig.folder / TABLE).unlink()


def accepted(progress: Progress) -> bool:
    """Tell whether a tick wrote an acceptance."""
    return EventKind.ACCEPTED in kinds(progress)


def test_a_deleted_state_table_costs_nothing(rig: Callable[..., Rig]) -> None:
    """Every request is taken over, every file is fetched again, and no POST is made."""
    one = rig()
    one.run()
    lose(one)
    last = one.run()

    assert one.provider.ledger.posts == 3
    assert one.jobs_in(JobState.DONE) == 3
    assert (last.tally.swept, last.tally.submissions, last.tally.found) == (3, 0, 0)
    assert last.spent_micros == 450_000


def test_requests_that_still_run_are_taken_over_too(rig: Callable[..., Rig]) -> None:
    """The table goes while two of three are at the provider: one POST is left to make."""
    one = rig(jobs=[a_job(1), a_job(2)])
    one.run(until=accepted)
    lose(one)
    one.jobs = [a_job(1), a_job(2), a_job(3)]
    last = one.run()

    assert one.provider.ledger.posts == 3
    assert one.jobs_in(JobState.DONE) == 3
    assert (last.tally.swept, last.tally.submissions) == (2, 1)


def test_an_old_copy_of_the_table_costs_nothing(rig: Callable[..., Rig]) -> None:
    """What was paid for after the copy was made is found."""
    one = rig()
    one.run(until=lambda _: True)
    shutil.copy(one.folder / TABLE, one.folder / "copy")
    one.run()
    shutil.copy(one.folder / "copy", one.folder / TABLE)
    one.run()

    assert one.provider.ledger.posts == 3
    assert one.jobs_in(JobState.DONE) == 3


def test_failed_and_foreign_requests_are_left_alone(rig: Callable[..., Rig]) -> None:
    """A render that failed is no reason not to pay for one; somebody else's prompt is not ours."""
    one = rig(jobs=[a_job(1)])
    one.provider.script = ["failed", "failed", "failed", "failed"]
    one.run()
    assert one.jobs_in(JobState.FAILED) == 1
    lose(one)
    one.jobs = [a_job(1), replace(a_job(2), payload={**a_job(2).payload, "prompt": "other"})]
    one.provider.submit("m", a_job(2).payload, timeout_s=1)
    last = one.run()

    assert last.tally.swept == 0
    assert one.jobs_in(JobState.DONE) == 2


def test_two_equal_requests_are_one_job_and_one_left_over(rig: Callable[..., Rig]) -> None:
    """The finished one is taken."""
    one = rig(jobs=[a_job(1)])
    one.provider.submit("m", a_job(1).payload, timeout_s=1)
    one.clock.steady_s += 100
    one.provider.submit("m", a_job(1).payload, timeout_s=1)
    one.run()

    assert one.provider.ledger.posts == 2
    assert [row["request_id"] for row in one.rows] == ["r1"]


def test_without_a_list_a_table_without_attempts_sends_nothing(rig: Callable[..., Rig]) -> None:
    """The whole state folder may have been lost; `--fresh` says that it was not."""
    one = rig()
    one.provider.list_down = True
    last = one.run()
    assert (last.stop, one.provider.ledger.posts) == (Stop.OUTAGE, 0)
    assert "--fresh" in last.detail
    one.bounds = Bounds(fresh=True)
    one.run()

    assert one.jobs_in(JobState.DONE) == 3


def test_a_part_of_the_list_is_not_enough_where_something_was_lost(rig: Callable[..., Rig]) -> None:
    """What it shows is taken over; what it may lack is not paid for again."""
    one = rig()
    one.run()
    lose(one)
    one.rolled_back = True
    one.provider.hidden = {"r2"}
    one.provider.whole = False
    last = one.run()

    assert (last.stop, one.provider.ledger.posts) == (Stop.OUTAGE, 3)
    assert (one.jobs_in(JobState.ACTIVE), one.jobs_in(JobState.PENDING)) == (2, 1)
    assert "not all there is" in last.detail


def test_a_campaign_with_attempts_goes_on_without_a_list(rig: Callable[..., Rig]) -> None:
    """Nothing says that anything was lost: three tries, then the work."""
    one = rig(jobs=[a_job(1)])
    one.run()
    one.jobs = [a_job(1), a_job(2)]
    one.provider.list_down = True
    one.run()

    assert one.jobs_in(JobState.DONE) == 2


def test_without_a_list_a_campaign_that_lost_something_sends_nothing(rig: Callable[..., Rig]) -> None:
    """It waits until the outage limit ends the run."""
    one = rig(rolled_back=True)
    one.provider.list_down = True
    last = one.run()

    assert one.provider.ledger.posts == 0
    assert last.jobs[JobState.PENDING] == 3
    assert last.stop is Stop.OUTAGE
    assert "forgotten" in last.detail


def given_up(rig: Callable[..., Rig], **changes: Any) -> Rig:
    """Return a campaign whose one request was accepted, lost, not listed, given up, and paid for again."""
    gamble = replace(TERMS, recovery=Recovery(on_absent="resubmit", risk=5))
    one = rig(jobs=[a_job(1)], terms=gamble, script=["lost"], **changes)
    one.provider.hidden = {"r1"}
    one.run()
    assert one.jobs_in(JobState.DONE) == 1
    assert one.provider.ledger.posts == 2
    return one


def test_a_request_that_was_given_up_and_turns_up_is_told_once(rig: Callable[..., Rig]) -> None:
    """The next run sees it in the list, says that it was paid twice, and sends nothing."""
    one = given_up(rig)
    one.provider.hidden = set()
    assert one.run().tally.duplicates == 1
    assert one.run().tally.duplicates == 0
    assert one.provider.ledger.posts == 2


def test_a_gamble_that_was_lost_is_the_last_one(rig: Callable[..., Rig]) -> None:
    """Afterwards what cannot be found is held, whatever the manifest allows."""
    one = given_up(rig)
    one.provider.hidden = set()
    one.run()
    one.jobs = [a_job(1), a_job(2)]
    one.provider.script = ["dropped"]
    one.run()

    assert one.jobs_in(JobState.HELD) == 1
    assert one.provider.ledger.posts == 3


def test_a_request_that_was_given_up_is_taken_by_its_own_job_if_it_still_waits(
    rig: Callable[..., Rig],
) -> None:
    """It turns up before the job was sent again: nothing is paid twice."""
    gamble = replace(TERMS, recovery=Recovery(on_absent="resubmit", risk=5))
    one = rig(jobs=[a_job(1)], terms=gamble, script=["lost"])
    one.provider.hidden = {"r1"}
    one.run(until=lambda progress: EventKind.WAIVED in kinds(progress))
    one.provider.hidden = set()
    last = one.run()

    assert one.provider.ledger.posts == 1
    assert one.jobs_in(JobState.DONE) == 1
    assert last.tally.duplicates == 0


def of_picture(content: str) -> dict[str, str]:
    """Return the part of a payload that stands for a local picture."""
    return {"image_url": f"{UPLOAD}{content * 64}.png"}


def with_picture(rig: Callable[..., Rig], content: str) -> Rig:
    """Return a campaign of one job with a local picture."""
    picture = Picture(None, Path("fox.png"), content * 64, "png")
    job = replace(a_job(1), payload={**a_job(1).payload, **of_picture(content)})
    return rig(jobs=[job], pictures={content * 64: picture})


def test_a_local_picture_is_known_by_its_content(rig: Callable[..., Rig]) -> None:
    """The table is lost: the picture at the request's address is read, and it is the same."""
    one = with_picture(rig, "a")
    one.run()
    lose(one)
    last = one.run()

    assert one.provider.ledger.posts == 1
    assert last.tally.swept == 1
    assert one.jobs_in(JobState.DONE) == 1


def test_another_picture_with_the_same_words_and_seed_is_another_job(rig: Callable[..., Rig]) -> None:
    """A manifest copied for other photographs must not be handed the first one's clips."""
    one = with_picture(rig, "a")
    one.run()
    lose(one)
    other = with_picture(rig, "b")
    other.provider, other.clock = one.provider, one.clock
    last = other.run()

    assert one.provider.ledger.posts == 2
    assert last.tally.swept == 0


def test_a_picture_that_cannot_be_read_holds_the_job(rig: Callable[..., Rig]) -> None:
    """Neither paid again nor taken over: a person is asked, and told which request it may be."""
    one = with_picture(rig, "a")
    one.run()
    lose(one)
    one.provider.hidden = {f"https://store.test/{'a' * 64}"}
    one.run()

    assert one.provider.ledger.posts == 1
    assert one.jobs_in(JobState.HELD) == 1
    assert (one.held[0].sent, "r1" in one.held[0].detail) == (False, True)


def test_a_local_picture_may_have_another_address() -> None:
    """Its address says nothing about it; everything else must be the same."""
    ours = {"image_url": f"{UPLOAD}abc.png", "seed": 1}

    assert as_sent(ours, {"image_url": "https://x.test/1", "seed": 2}) == {
        "image_url": "https://x.test/1",
        "seed": 1,
    }
