"""When one list call stands for many polls, and that it never decides what a poll should."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

from batchrunner.engine.actions import Poll, Survey, Surveyed
from batchrunner.engine.desk import Live
from batchrunner.engine.polls import CROWD, FIRST_SURVEY, POLLS_AHEAD, REST_S, TRUST_MAX, TRUST_MIN, Polls
from batchrunner.engine.steps import Tries
from batchrunner.providers.base import ProviderError
from batchrunner.rules.polling import BURST, POLLS_A_JOB, POLLS_A_S
from batchrunner.values import (
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
RUNNING = replace(DONE, phase=RemotePhase.RUNNING, status="processing", media=())
MANY = FIRST_SURVEY
PLENTY = 10_000  # in flight: the budget of polls then plays no part


class Desk:
    """Polls, and the attempts that they are for."""

    def __init__(self, count: int, state: AttemptState = AttemptState.ACCEPTED) -> None:
        self.polls = Polls()
        self.live = {}
        for number in range(1, count + 1):
            attempt = replace(an_attempt(a_job(number)), id=number, state=state, request_id=f"r{number}")
            self.live[f"r{number}"] = Live(attempt)
        self.all_due()

    def all_due(self) -> None:
        """Let all be asked for."""
        for one in self.live.values():
            self.polls.want(one.attempt)

    def start(
        self, now_s: float = 0.0, in_flight: int = PLENTY, *, busy: bool = False
    ) -> list[Poll | Survey]:
        """Start what may start, where lists are no matter of course."""
        for known in (self.polls._lists[MODEL],):
            known.next_s = max(known.next_s, 1e9)
        return self.polls.start(now_s, in_flight, busy=busy)

    def over(self, *, listing: Listing | None, error: ProviderError | None = None) -> list[int]:
        """Let a survey come back; return whom it showed to be over."""
        told = self.polls.surveyed(Surveyed(MODEL, listing, error), self.live, 0.0)
        return [one.attempt.id for one, _job in told.over]

    def drained(self) -> set[int]:
        """Make every poll that is left, and return whom they were for."""
        asked: set[int] = set()
        while actions := self.start():
            for action in actions:
                assert isinstance(action, Poll)
                asked.add(action.attempt_id)
                self.polls.polled(self.live[action.request_id], None)
        assert not self.polls
        return asked


def told(*numbers: int, job: RemoteJob = DONE) -> Listing:
    """Return a list that tells the same of some requests."""
    return Listing(tuple(replace(job, request_id=f"r{number}") for number in numbers), complete=True)


def test_a_few_are_asked_for_one_by_one() -> None:
    """No more than the workers can take, the others when those are back."""
    desk = Desk(POLLS_AHEAD + 3)
    first = desk.start()

    assert len(first) == POLLS_AHEAD
    assert desk.start() == []
    desk.polls.polled(desk.live["r1"], None)
    assert len(desk.start()) == 1
    for number in range(2, POLLS_AHEAD + 1):
        desk.polls.polled(desk.live[f"r{number}"], None)
    assert len(desk.start()) == 2
    assert not desk.polls


def test_one_list_stands_for_many() -> None:
    """It is asked for once, nobody is polled meanwhile, and what it shows as over is settled."""
    desk = Desk(MANY)

    assert desk.start() == [Survey(MODEL)]
    assert desk.start() == []
    assert desk.polls
    assert desk.over(listing=told(*range(1, MANY + 1))) == list(range(1, MANY + 1))
    assert not desk.polls


def test_a_list_tells_of_those_too_that_are_not_due() -> None:
    """Only of those whose own answer is on its way it says nothing."""
    desk = Desk(3)
    desk.start()
    desk.polls.polled(desk.live["r1"], None)

    assert desk.over(listing=told(1, 2, 3, 99)) == [1]


def test_what_the_list_does_not_know_or_names_no_file_for_is_polled() -> None:
    """A short or odd list costs a call, never an outcome."""
    fileless = replace(DONE, media=())
    for listing in (told(), told(*range(1, MANY), job=fileless)):
        desk = Desk(MANY)
        desk.start()

        assert desk.over(listing=listing) == []
        assert desk.drained() == set(range(1, MANY + 1))


def test_the_list_may_say_only_so_often_that_a_request_runs() -> None:
    """Then a poll of its own is due, however often the list repeats itself."""
    desk = Desk(2)
    desk.live["r2"].tries = Tries(listed=TRUST_MIN)
    listed = desk.polls.surveyed(Surveyed(MODEL, told(1, 2, job=RUNNING)), desk.live, 0.0)

    assert [one.attempt.id for one, _job in listed.running] == [1]
    assert desk.drained() == {2}


def test_a_list_whose_word_proves_true_is_trusted_more_and_one_that_was_late_not_at_all() -> None:
    """A poll shows it: the request still runs, or was over when the list still called it running."""
    desk = Desk(1)
    one = desk.live["r1"]
    one.tries = Tries(listed=TRUST_MIN, running_s=60.0)
    for _ in range(TRUST_MAX):
        desk.polls.polled(one, RUNNING)
    one.tries = Tries(listed=TRUST_MAX - 1)
    believed = desk.polls.surveyed(Surveyed(MODEL, told(1, job=RUNNING)), desk.live, 0.0)
    one.tries = Tries(listed=TRUST_MIN, running_s=60.0)
    desk.polls.polled(one, replace(DONE, created_s=1000.0, updated_s=1030.0))
    late = desk.polls.surveyed(Surveyed(MODEL, told(1, job=RUNNING)), desk.live, 0.0)

    assert believed.running
    assert not late.running


def test_a_failure_in_the_list_counts() -> None:
    """Over is over."""
    desk = Desk(MANY)
    desk.start()
    failed = replace(DONE, phase=RemotePhase.FAILED, status="failed", media=(), error="no")

    assert len(desk.over(listing=told(*range(1, MANY + 1), job=failed))) == MANY


def test_a_list_that_cannot_be_read_leaves_everybody_to_be_polled() -> None:
    """And is not asked for again at once."""
    desk = Desk(MANY)
    desk.start()

    assert desk.over(listing=None, error=ProviderError(Reason.SERVER, "down")) == []
    assert desk.drained() == set(range(1, MANY + 1))


def test_a_list_that_told_little_must_promise_more_next_time() -> None:
    """One hit in many: the next survey would not be worth its price for as few."""
    desk = Desk(MANY)
    desk.start()
    desk.over(listing=told(1))
    desk.drained()
    desk.all_due()
    desk.all_due()

    assert not any(isinstance(action, Survey) for action in desk.start())


def test_an_address_is_always_asked_for_by_a_poll() -> None:
    """A ready attempt wants a fresh address; the list's may be as old as the one that expired."""
    desk = Desk(MANY, AttemptState.READY)

    assert desk.drained() == set(range(1, MANY + 1))


def test_a_crowd_in_flight_is_looked_at_by_lists_as_a_matter_of_course() -> None:
    """With a single poll due; and more and more rarely where the list has little to say."""
    polls, one = Polls(), Desk(1).live["r1"]
    now_s, surveys = 0.0, []
    while now_s < 600:
        polls.want(one.attempt)
        for action in polls.start(now_s, CROWD):
            if isinstance(action, Survey):
                surveys.append(now_s)
                polls.surveyed(Surveyed(MODEL, told()), {"r1": one}, now_s)
            else:
                polls.polled(one, None)
        now_s += 1.0
    waits = [later - earlier for earlier, later in itertools.pairwise(surveys)]

    assert surveys[0] == 0.0
    assert waits == sorted(waits)
    assert 4 <= len(surveys) <= 8


def test_what_falls_due_right_after_a_good_list_waits_a_second_for_the_next_one() -> None:
    """While there is much to do, and no longer; what a list cannot answer for does not wait at all."""
    desk = Desk(MANY + 2)
    desk.start()
    desk.over(listing=told(*range(1, MANY + 3)))
    late = desk.live[f"r{MANY + 1}"].attempt
    desk.polls.want(late)
    desk.polls.want(replace(desk.live[f"r{MANY + 2}"].attempt, state=AttemptState.READY))

    assert desk.start(0.0, busy=True) == [Poll(MANY + 2, f"r{MANY + 2}")]
    assert desk.start(REST_S - 0.01, busy=True) == []
    assert (desk.polls.next_s() or 0.0) >= REST_S
    assert desk.start(REST_S, busy=True) == [Poll(late.id, late.request_id or "")]
    desk.polls.want(late)
    assert desk.start(0.0) == [Poll(late.id, late.request_id or "")]


def test_polls_keep_to_their_budget_and_a_backlog_is_spread_out() -> None:
    """After a suspend a hundred are due at once: a burst, and then so many a second."""
    polls = Polls()
    desk = Desk(100)
    for one in desk.live.values():
        polls.want(one.attempt)
    polls.start(0.0, 1)
    made, now_s, at = 0, 0.0, []
    while polls or now_s == 0.0:
        for one in desk.live.values():
            polls.polled(one, None)
        now_s = max(now_s, polls.next_s() or now_s)
        started = polls.start(now_s, 1)
        made += len(started)
        at.append(now_s)

    assert made == 100 - POLLS_AHEAD
    assert at[-1] >= (100 - BURST - POLLS_A_JOB - 1) / POLLS_A_S


def test_finished_requests_that_have_lost_their_address_do_not_wait_for_each_other() -> None:
    """A run that was stopped left hundreds of them: each has its own poll in the budget, as any request."""
    desk = Desk(300, AttemptState.READY)
    asked = 0
    while started := desk.polls.start(0.0, 0, ready=300):
        asked += len(started)
        for action in started:
            assert isinstance(action, Poll)
            desk.polls.polled(desk.live[action.request_id], None)

    assert asked == 300


def test_a_crowd_that_is_due_together_is_settled_by_lists(tmp_path: Path) -> None:
    """In the loop: far fewer polls than jobs, and every job is done once."""
    jobs = [a_job(number) for number in range(400)]
    rig = Rig(tmp_path, jobs=jobs, limits=Limits(in_flight=400, submits_per_minute=None))
    rig.provider.render_s = 0.0
    rig.run()

    assert rig.jobs_in(JobState.DONE) == 400
    assert rig.provider.ledger.posts == 400
    assert rig.provider.polls < 200
