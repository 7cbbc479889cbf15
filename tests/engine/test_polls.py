"""When one list call stands for many polls, and that it never decides what a poll should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from batchrunner.engine.actions import Poll, Survey, Surveyed
from batchrunner.engine.polls import FIRST_SURVEY, POLLS_AHEAD, Polls
from batchrunner.providers.base import ProviderError
from batchrunner.values import (
    Attempt,
    AttemptState,
    JobState,
    Limits,
    Listing,
    Reason,
    RemoteJob,
    RemotePhase,
)
from tests.engine.test_loop import Rig
from tests.fakes import a_job
from tests.store.test_store import an_attempt

MODEL = an_attempt(a_job(1)).model
DONE = RemoteJob("", "success", RemotePhase.SUCCESS, media=("https://store.test/x.mp4",))
MANY = FIRST_SURVEY


def accepted(number: int, state: AttemptState = AttemptState.ACCEPTED) -> Attempt:
    """Return an attempt that has a request."""
    return replace(an_attempt(a_job(number)), id=number, state=state, request_id=f"r{number}")


def due(count: int, state: AttemptState = AttemptState.ACCEPTED) -> Polls:
    """Return polls of so many attempts, all due."""
    polls = Polls()
    for number in range(1, count + 1):
        polls.want(accepted(number, state))
    return polls


def told(*numbers: int, job: RemoteJob = DONE) -> Surveyed:
    """Return a list that tells the same of some requests."""
    jobs = tuple(replace(job, request_id=f"r{number}") for number in numbers)
    return Surveyed(MODEL, Listing(jobs, complete=True))


def drained(polls: Polls) -> set[int]:
    """Make every poll that is left, and return whom they were for."""
    asked: set[int] = set()
    while actions := polls.start(0):
        assert all(isinstance(action, Poll) for action in actions)
        asked |= {action.attempt_id for action in actions if isinstance(action, Poll)}
    assert not polls
    return asked


def test_a_few_are_asked_for_one_by_one() -> None:
    """No more than the workers can take, the others when those are back."""
    polls = due(POLLS_AHEAD + 3)

    assert len(polls.start(0)) == POLLS_AHEAD
    assert polls.start(POLLS_AHEAD) == []
    assert len(polls.start(POLLS_AHEAD - 1)) == 1
    assert len(polls.start(0)) == 2
    assert not polls


def test_one_list_stands_for_many() -> None:
    """It is asked for once, nobody is polled meanwhile, and what it shows as over is settled."""
    polls = due(MANY)

    assert polls.start(0) == [Survey(MODEL)]
    assert polls.start(0) == []
    assert polls
    over = polls.surveyed(told(*range(1, MANY + 1)))
    assert [attempt_id for attempt_id, _job in over] == list(range(1, MANY + 1))
    assert not polls


def test_what_the_list_calls_running_or_does_not_know_is_polled() -> None:
    """A stale, short or odd list costs a call, never an outcome."""
    running = replace(DONE, phase=RemotePhase.RUNNING, status="queued", media=())
    fileless = replace(DONE, media=())
    for listing in (told(), told(*range(1, MANY), job=running), told(*range(1, MANY), job=fileless)):
        polls = due(MANY)
        polls.start(0)

        assert polls.surveyed(listing) == []
        assert drained(polls) == set(range(1, MANY + 1))


def test_a_failure_in_the_list_counts() -> None:
    """Over is over."""
    polls = due(MANY)
    polls.start(0)
    failed = replace(DONE, phase=RemotePhase.FAILED, status="failed", media=(), error="no")

    assert len(polls.surveyed(told(*range(1, MANY + 1), job=failed))) == MANY


def test_a_list_that_cannot_be_read_leaves_everybody_to_be_polled() -> None:
    """And is not asked for again at once."""
    polls = due(MANY)
    polls.start(0)

    assert polls.surveyed(Surveyed(MODEL, None, ProviderError(Reason.SERVER, "down"))) == []
    assert drained(polls) == set(range(1, MANY + 1))


def test_a_list_that_told_little_must_promise_more_next_time() -> None:
    """One hit in many: the next survey would not be worth its price for as few."""
    polls = due(MANY)
    polls.start(0)
    polls.surveyed(told(1))
    drained(polls)
    for number in range(1000, 1000 + 2 * MANY):
        polls.want(accepted(number))

    assert not any(isinstance(action, Survey) for action in polls.start(0))


def test_an_address_is_always_asked_for_by_a_poll() -> None:
    """A ready attempt wants a fresh address; the list's may be as old as the one that expired."""
    polls = due(MANY, AttemptState.READY)

    assert drained(polls) == set(range(1, MANY + 1))


def test_a_crowd_that_is_due_together_is_settled_by_lists(tmp_path: Path) -> None:
    """In the loop: far fewer polls than jobs, and every job is done once."""
    jobs = [a_job(number) for number in range(400)]
    rig = Rig(tmp_path, jobs=jobs, limits=Limits(in_flight=400, submits_per_minute=None))
    rig.provider.render_s = 0.0
    rig.run()

    assert rig.jobs_in(JobState.DONE) == 400
    assert rig.provider.ledger.posts == 400
    assert rig.provider.polls < 200
