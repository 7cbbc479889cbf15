"""A person's word: what each verdict does to the job, to its money, and to the next run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchrunner.errors import UsageError
from batchrunner.rules.states import EventKind
from batchrunner.settling import Verdict, retry_failed, settle
from batchrunner.store.changes import Moved
from batchrunner.values import AttemptState, JobState
from tests.engine.test_loop import Rig, kinds
from tests.fakes import a_job

CAMPAIGN = "test"
JOB = a_job(1).id


@pytest.fixture
def held(tmp_path: Path) -> Rig:
    """A campaign of one job that is held: its answer was lost, and the list does not show it yet."""
    rig = Rig(tmp_path, jobs=[a_job(1)], script=["lost"])
    rig.provider.hidden = {"r1"}
    rig.run()
    assert rig.jobs_in(JobState.HELD) == 1
    return rig


@pytest.fixture
def say(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that settles the job."""

    def said(verdict: Verdict, request_id: str | None = None, job: str = JOB) -> Any:
        clock = Rig(tmp_path).clock
        return settle(tmp_path, CAMPAIGN, job, verdict, clock, request_id=request_id, who="me", why="seen")

    return said


def test_adopting_pays_nothing_and_the_next_run_fetches_the_clip(held: Rig, say: Callable[..., Any]) -> None:
    """The request that was seen in the console becomes the job's render."""
    assert say(Verdict.ADOPT, "r1").state is AttemptState.ACCEPTED
    last = held.run()

    assert held.provider.ledger.posts == 1
    assert held.jobs_in(JobState.DONE) == 1
    assert last.spent_micros == 150_000


def test_resubmitting_counts_the_first_as_paid(held: Rig, say: Callable[..., Any]) -> None:
    """Two POSTs, two prices: that is what was asked for."""
    say(Verdict.RESUBMIT)
    last = held.run()

    assert held.provider.ledger.posts == 2
    assert held.jobs_in(JobState.DONE) == 1
    assert last.spent_micros == 300_000


def test_abandoning_fails_the_job_and_keeps_the_price(held: Rig, say: Callable[..., Any]) -> None:
    """Nothing more is sent; the money counts as spent."""
    say(Verdict.ABANDON)
    held.run()

    assert held.provider.ledger.posts == 1
    assert held.jobs_in(JobState.FAILED) == 1
    assert held.totals.spent_micros == 150_000


def test_who_and_why_are_in_the_events(held: Rig, say: Callable[..., Any]) -> None:
    """For the morning after."""
    say(Verdict.ABANDON)
    held.run()
    told = held.events[-1] if held.events[-1]["kind"] == EventKind.ABANDONED else held.events[-2]

    assert told["kind"] == EventKind.ABANDONED
    assert told["evidence"] == '{"who": "me", "why": "seen"}'


def test_a_request_made_by_hand_becomes_the_render_of_a_failed_job(
    tmp_path: Path, say: Callable[..., Any]
) -> None:
    """Somebody rendered it in the provider's console: the next run polls it and fetches it."""
    rig = Rig(tmp_path, jobs=[a_job(1)], script=["400"])
    rig.run()
    assert rig.jobs_in(JobState.FAILED) == 1
    made = rig.provider.submit("m", {"prompt": "by hand"}, timeout_s=1).remote
    assert made is not None
    say(Verdict.ADOPT, made.request_id)
    rig.run()

    assert rig.jobs_in(JobState.DONE) == 1
    assert rig.provider.ledger.posts == 2


@pytest.mark.parametrize("kind", [None, EventKind.UNCLEAR], ids=["on the wire", "no answer"])
def test_what_is_in_doubt_is_adopted_at_once_and_given_up_only_after_a_look(
    tmp_path: Path, say: Callable[..., Any], kind: EventKind | None
) -> None:
    """A runner died around the POST, or looked no further: what was seen in the console need not wait."""
    rig = Rig(tmp_path, jobs=[a_job(1)], script=["lost"])
    rig.provider.hidden = {"r1"}
    rig.run(lambda last: kind in kinds(last))
    for verdict in (Verdict.RESUBMIT, Verdict.ABANDON):
        with pytest.raises(UsageError, match="its submission is in doubt"):
            say(verdict)
    assert say(Verdict.ADOPT, "r1").state is AttemptState.ACCEPTED
    last = rig.run()

    assert rig.provider.ledger.posts == 1
    assert rig.jobs_in(JobState.DONE) == 1
    assert last.spent_micros == 150_000


def test_what_is_at_the_provider_is_no_question_for_a_person(tmp_path: Path, say: Callable[..., Any]) -> None:
    """It is told which request it is."""
    rig = Rig(tmp_path, jobs=[a_job(1)])
    rig.run(lambda last: any(isinstance(one, Moved) for one in last.changes))

    for verdict in Verdict:
        with pytest.raises(UsageError, match="it is request r1 at the provider"):
            say(verdict, "r2")


@pytest.mark.parametrize("verdict", [Verdict.RESUBMIT, Verdict.ABANDON])
def test_only_adopting_is_for_jobs_that_are_not_held(
    tmp_path: Path, say: Callable[..., Any], verdict: Verdict
) -> None:
    """There is nothing to give up."""
    Rig(tmp_path, jobs=[a_job(1)], script=["400"]).run()

    with pytest.raises(UsageError, match="not a held job"):
        say(verdict)


def test_a_request_has_one_owner(tmp_path: Path, say: Callable[..., Any]) -> None:
    """The same render cannot be two jobs' clip; a done job takes no other."""
    rig = Rig(tmp_path, jobs=[a_job(1), a_job(2)], script=["400"])
    rig.run()

    with pytest.raises(UsageError, match="belongs to a job"):
        say(Verdict.ADOPT, "r1")
    with pytest.raises(UsageError, match="not a held job"):
        say(Verdict.ADOPT, "r9", job=a_job(2).id)


def test_adopting_needs_an_id_and_a_campaign_that_has_sent_something(
    tmp_path: Path, held: Rig, say: Callable[..., Any]
) -> None:
    """Else there is nothing to adopt, and nobody whose request it is."""
    with pytest.raises(UsageError, match="request id"):
        say(Verdict.ADOPT)
    (tmp_path / "other").mkdir()
    fresh = Rig(tmp_path / "other", jobs=[a_job(1)])
    fresh.run(until=lambda _: True)
    with pytest.raises(UsageError, match="nothing was ever sent"):
        settle(
            tmp_path / "other", CAMPAIGN, JOB, Verdict.ADOPT, fresh.clock, request_id="r1", who="me", why=""
        )


def test_what_was_paid_for_is_retried_only_by_name(
    tmp_path: Path, held: Rig, say: Callable[..., Any]
) -> None:
    """There is no way to pay again for many at once."""
    say(Verdict.ABANDON)

    assert retry_failed(tmp_path, CAMPAIGN, (), held.clock, "me") == []
    assert retry_failed(tmp_path, CAMPAIGN, (JOB,), held.clock, "me") == [JOB]
