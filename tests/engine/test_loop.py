"""A whole campaign on a simulated clock: the real loop and the real state table, a provider with a ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from batchrunner.engine.gate import Bounds
from batchrunner.engine.loop import Loop
from batchrunner.engine.pool import Pool
from batchrunner.engine.progress import Progress
from batchrunner.engine.run import Tools
from batchrunner.engine.steps import Stop, Terms
from batchrunner.media.verdicts import Verdict
from batchrunner.rules.polling import Schedule
from batchrunner.rules.states import EventKind
from batchrunner.store import reading
from batchrunner.store.tables import Store
from batchrunner.values import Attempt, AttemptState, Job, JobState, Limits, Picture, Recovery
from tests.fakes import FakeClips, FakeProvider, Inline, ManualClock, a_job, a_manifest, a_random

TERMS = Terms(
    attempts=4,
    schedule=Schedule(first_s=1.0, growth=1.5, cap_s=20.0),
    queued_s=1800.0,
    wait_s=21600.0,
    submit_timeout_s=180.0,
    recovery=Recovery(),
)


@dataclass
class Rig:
    """One campaign whose runner can be started, killed and started again."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)
    jobs: list[Job] = field(default_factory=lambda: [a_job(number) for number in (1, 2, 3)])
    limits: Limits = field(default_factory=lambda: Limits(in_flight=4, submits_per_minute=None))
    terms: Terms = TERMS
    pictures: dict[str, Picture] = field(default_factory=dict)
    clips: FakeClips = field(default_factory=FakeClips)
    script: Sequence[str] = ()
    rolled_back: bool = False
    bounds: Bounds = field(default_factory=Bounds)
    submitters: Pool = field(default_factory=Inline)
    free_bytes: int = 1 << 40
    provider: FakeProvider = field(init=False)
    loop: Loop = field(init=False)
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.provider = FakeProvider(self.clock, self.script)

    def run(self, until: Callable[[Progress], bool] = lambda _: False) -> Progress:
        """Run to the end, or drop the runner after the tick for which `until` holds."""
        self.store = Store(self.folder / "test.db")
        self.store.record(
            a_manifest(self.folder),
            "card",
            lambda: self.jobs,
            output_folder=self.folder,
            version=f"for {len(self.jobs)} jobs",  # other jobs are written down anew
            now_us=self.clock.now_us(),
        )
        pools = (self.submitters, Inline(), Inline(), Inline())
        tools = Tools(self.provider, self.clips, self.clock, a_random(), *pools, lambda: self.free_bytes)
        self.loop = Loop(
            self.store,
            tools,
            self.terms,
            self.limits,
            self.pictures,
            rolled_back=self.rolled_back,
            bounds=self.bounds,
        )
        try:
            for last in self.loop.run():
                if until(last):
                    break
            self.left_s = self.loop.rest_s()
        finally:
            self.totals = reading.totals(self.store.db)
            self.held = reading.held_jobs(self.store.db)
            self.rows = list(self.store.db["attempts"].rows)
            self.events = list(self.store.db["events"].rows)
            self.store.close()
        return last

    def jobs_in(self, state: JobState) -> int:
        """Count the jobs in one state, as the table has it."""
        return self.totals.jobs[state]


@pytest.fixture
def rig(tmp_path: Path) -> Callable[..., Rig]:
    """Return a maker of rigs."""
    return lambda **changes: Rig(tmp_path, **changes)


def noted(seen: list[int], value: int) -> bool:
    """Keep a value of every tick; never stop."""
    seen.append(value)
    return False


def kinds(progress: Progress) -> set[Any]:
    """Return the kinds of moves that a tick wrote."""
    return {getattr(change, "kind", None) for change in progress.changes}


def test_every_job_ends_as_a_published_file(rig: Callable[..., Rig]) -> None:
    """Three jobs, three POSTs, three files, and the money is counted once."""
    one = rig()
    last = one.run()

    assert one.jobs_in(JobState.DONE) == 3
    assert one.provider.ledger.posts == 3
    assert set(one.clips.published) == {"a/p-t1.mp4", "a/p-t2.mp4", "a/p-t3.mp4"}
    assert (last.spent_micros, last.reserved_micros) == (450_000, 0)
    assert (one.totals.spent_micros, one.totals.reserved_micros) == (450_000, 0)


def test_a_second_run_does_nothing(rig: Callable[..., Rig]) -> None:
    """A finished campaign costs no submission and no download."""
    one = rig()
    one.run()
    last = one.run()

    assert (last.tally.submissions, last.tally.downloads) == (0, 0)
    assert one.provider.ledger.posts == 3


def test_in_flight_is_never_exceeded(rig: Callable[..., Rig]) -> None:
    """No tick has more requests open than the limit."""
    one = rig(
        jobs=[a_job(number) for number in range(20)], limits=Limits(in_flight=3, submits_per_minute=None)
    )
    seen: list[int] = []
    one.run(until=lambda progress: noted(seen, progress.in_flight))

    assert max(seen) == 3
    assert one.jobs_in(JobState.DONE) == 20


def test_submissions_keep_the_pace_across_restarts(rig: Callable[..., Rig]) -> None:
    """What the last run submitted counts in this one."""
    one = rig(jobs=[a_job(number) for number in range(6)], limits=Limits(in_flight=10, submits_per_minute=2))
    one.run(until=lambda progress: progress.tally.submissions == 2)
    one.run(until=lambda progress: progress.tally.submissions == 1)

    assert one.clock.steady_s >= 60


@pytest.mark.parametrize("tick", range(1, 25))
def test_a_crash_after_any_tick_pays_nothing_twice(rig: Callable[..., Rig], tick: int) -> None:
    """Drop the runner after tick 1, 2, 3 …; the next run ends with every job done and paid once."""
    one = rig(script=["ok", "failed", "lost"])
    count = iter(range(1, 10_000))
    one.run(until=lambda _: next(count) == tick)
    one.run()

    assert one.jobs_in(JobState.DONE) == 3
    assert all(one.provider.ledger.accepted(job.payload) == 1 + (job.take == 2) for job in one.jobs)


def test_a_submission_cut_off_by_a_crash_is_found_and_adopted(rig: Callable[..., Rig]) -> None:
    """The provider accepted it, nobody read the answer: the next run finds it and pays nothing."""
    one = rig(jobs=[a_job(1)], script=["ok"])
    one.run(until=lambda progress: progress.tally.submissions == 1)
    last = one.run()

    assert one.provider.ledger.posts == 1
    assert (last.tally.in_doubt, last.tally.found) == (1, 1)
    assert one.jobs_in(JobState.DONE) == 1


def test_a_lost_answer_is_found_in_the_same_run(rig: Callable[..., Rig]) -> None:
    """A POST without an answer is looked for at once and adopted."""
    one = rig(script=["lost", "ok", "lost"])
    last = one.run()

    assert one.jobs_in(JobState.DONE) == 3
    assert one.provider.ledger.posts == 3
    assert last.tally.found == 2


def test_what_is_not_found_is_held_and_never_sent_again(rig: Callable[..., Rig]) -> None:
    """An unanswered POST that the list does not show waits for a person."""
    one = rig(jobs=[a_job(1)], script=["dropped"])
    one.run()
    one.run()

    assert one.provider.ledger.posts == 1
    assert one.jobs_in(JobState.HELD) == 1
    assert one.held[0].at_stake_micros == 150_000


def test_a_held_submission_that_turns_up_later_is_adopted(rig: Callable[..., Rig]) -> None:
    """Every run looks once more for what is held without an id."""
    one = rig(jobs=[a_job(1)], script=["lost"], bounds=Bounds(fresh=True))
    one.provider.list_down = True
    one.run()
    assert one.jobs_in(JobState.HELD) == 1
    one.provider.list_down = False
    one.run()

    assert one.jobs_in(JobState.DONE) == 1
    assert one.provider.ledger.posts == 1


def test_an_echo_that_is_empty_in_the_list_is_asked_for_one_by_one(rig: Callable[..., Rig]) -> None:
    """The list shows {} for the payload; the request itself shows it."""
    one = rig(jobs=[a_job(1)], script=["lost"])
    one.provider.echo = False
    one.run()

    assert one.jobs_in(JobState.DONE) == 1


def test_nothing_is_submitted_while_doubt_cannot_be_looked_into(rig: Callable[..., Rig]) -> None:
    """With the list down and one submission lost, the other jobs wait until it is held."""
    one = rig(
        script=["lost"],
        limits=Limits(in_flight=1, submits_per_minute=None),
        bounds=Bounds(fresh=True),
    )
    one.provider.list_down = True
    one.run(until=lambda progress: EventKind.GAVE_UP in kinds(progress))

    assert one.provider.ledger.born_s["r2"] >= Recovery().give_up_s


def test_resubmit_gambles_within_its_risk_only(rig: Callable[..., Rig]) -> None:
    """`on_absent: resubmit` sends again after the proof of absence, and not more jobs than `risk`."""
    recovery = Recovery(on_absent="resubmit", risk=1)
    terms = Terms(4, TERMS.schedule, 1800.0, 21600.0, 180.0, recovery)
    one = rig(jobs=[a_job(1), a_job(2)], script=["dropped", "dropped"], terms=terms)
    one.run()

    assert one.clock.steady_s >= recovery.grace_s
    assert one.provider.ledger.posts == 3
    assert (one.jobs_in(JobState.DONE), one.jobs_in(JobState.HELD)) == (1, 1)


@pytest.mark.parametrize(
    ("script", "posts", "state"),
    [
        (["429", "429"], 3, JobState.DONE),
        (["503"], 2, JobState.DONE),
        (["never_left"], 2, JobState.DONE),
        (["failed", "failed"], 3, JobState.DONE),
        (["failed"] * 4, 4, JobState.FAILED),
        (["rate_failed"] * 6, 7, JobState.DONE),
        (["400"], 1, JobState.FAILED),
        (["moderation"], 1, JobState.FAILED),
        (["500"], 2, JobState.DONE),
        (["500", "500"], 2, JobState.FAILED),
        (["instant"], 1, JobState.DONE),
        (["no_media"], 1, JobState.HELD),
        (["stuck"], 1, JobState.HELD),
    ],
)
def test_retries_go_by_class(rig: Callable[..., Rig], script: list[str], posts: int, state: JobState) -> None:
    """What may be tried again is, as often as its class allows, and no more."""
    one = rig(jobs=[a_job(1)], script=script)
    one.run()

    assert one.provider.ledger.posts == posts
    assert one.jobs_in(state) == 1


def test_failures_are_counted_across_restarts(rig: Callable[..., Rig]) -> None:
    """Two failures before a crash and two after make four."""
    one = rig(jobs=[a_job(1)], script=["failed"] * 9)
    one.run(until=lambda progress: progress.tally.submissions == 2 and EventKind.FAILED in kinds(progress))
    one.run()

    assert one.provider.ledger.posts == 4
    assert one.jobs_in(JobState.FAILED) == 1


def test_no_credit_finishes_what_is_paid_and_stops(rig: Callable[..., Rig]) -> None:
    """402 ends the run after the open jobs are done; the refused job stays pending."""
    one = rig(script=["ok", "402"])
    last = one.run()

    assert last.stop is Stop.CREDIT
    assert (one.jobs_in(JobState.DONE), one.jobs_in(JobState.PENDING)) == (2, 1)


def test_a_refused_key_stops_before_anything_is_sent(rig: Callable[..., Rig]) -> None:
    """The key is checked first: 0 POSTs."""
    one = rig()
    one.provider.key_ok = False
    last = one.run()

    assert last.stop is Stop.CREDENTIALS
    assert one.provider.ledger.posts == 0


def test_a_key_refused_in_the_middle_is_confirmed_first(rig: Callable[..., Rig]) -> None:
    """One 401 with a key that passes its check is a hiccup; the job is tried again."""
    one = rig(script=["ok", "401"])
    one.run()

    assert one.jobs_in(JobState.DONE) == 3


def test_a_key_that_may_not_submit_stops_the_run(rig: Callable[..., Rig]) -> None:
    """Three refusals in a row outweigh a key check that passes."""
    one = rig(script=["401"] * 9)
    last = one.run()

    assert last.stop is Stop.CREDENTIALS
    assert one.jobs_in(JobState.PENDING) == 3


def test_an_outage_is_outwaited(rig: Callable[..., Rig]) -> None:
    """While nothing answers, only rare probes are sent; afterwards the run goes on."""
    one = rig()
    one.provider.down = True
    one.run(until=lambda _: one.clock.steady_s > 600)
    calls = one.provider.ledger.posts
    one.provider.down = False
    one.run()

    assert calls == 0
    assert one.jobs_in(JobState.DONE) == 3


def test_for_how_long_the_provider_did_not_answer_is_noted(rig: Callable[..., Rig]) -> None:
    """Once, when it answers again: what was under way meanwhile took no longer for that."""
    one = rig()

    def fails(last: Progress) -> bool:
        one.provider.down = bool(last.in_flight) and one.clock.steady_s < 600
        return False

    one.run(fails)
    (event,) = [event for event in one.events if event["kind"] == "outage"]

    assert one.jobs_in(JobState.DONE) == 3
    assert 500 < json.loads(event["evidence"])["silent_s"] < 1000


def test_an_outage_that_outlasts_its_limit_ends_the_run(rig: Callable[..., Rig]) -> None:
    """Exit by the limit, with nothing lost; how long it was is noted all the same."""
    one = rig()
    one.provider.down = True
    last = one.run()

    assert last.stop is Stop.OUTAGE
    assert Limits().max_outage_s <= one.clock.steady_s < Limits().max_outage_s + 600
    assert one.jobs_in(JobState.PENDING) == 3
    assert "outage" in {event["kind"] for event in one.events}


def test_the_budget_is_never_passed(rig: Callable[..., Rig]) -> None:
    """Spent and reserved stay within the budget at every tick; the rest waits for more money."""
    one = rig(
        jobs=[a_job(number) for number in range(6)],
        limits=Limits(in_flight=4, submits_per_minute=None, budget_micros=500_000),
        script=["failed"],
    )
    sums: list[int] = []
    last = one.run(until=lambda progress: noted(sums, progress.spent_micros + progress.reserved_micros))

    assert max(sums) <= 500_000
    assert last.stop is Stop.BUDGET
    assert one.jobs_in(JobState.DONE) == 3


def test_a_signal_stops_submissions_and_keeps_what_is_accepted(rig: Callable[..., Rig]) -> None:
    """After stop() nothing is submitted; the accepted job is polled by the next run."""
    one = rig(limits=Limits(in_flight=1, submits_per_minute=None))

    def stop_once_accepted(progress: Progress) -> bool:
        if EventKind.ACCEPTED in kinds(progress):
            one.loop.stop(Stop.SIGNAL)
        return False

    last = one.run(until=stop_once_accepted)
    assert (last.stop, one.provider.ledger.posts) == (Stop.SIGNAL, 1)
    assert one.totals.attempts == {AttemptState.ACCEPTED: 1}
    one.run()

    assert one.jobs_in(JobState.DONE) == 3
    assert one.provider.ledger.posts == 3


def test_jobs_that_left_the_manifest_are_finished_if_paid_and_kept(rig: Callable[..., Rig]) -> None:
    """A job that was paid for is fetched; one that was not is left alone, and both stay in the table."""
    one = rig(limits=Limits(in_flight=1, submits_per_minute=None))
    one.run(until=lambda progress: EventKind.ACCEPTED in kinds(progress))
    one.jobs = [a_job(9)]
    changed = a_manifest(one.folder, sha256="1" * 64)
    store = Store(one.folder / "test.db")
    store.record(changed, "card", lambda: one.jobs, output_folder=one.folder, version="1", now_us=0)
    store.close()
    one.run()

    assert one.totals.unlisted == 3
    assert one.jobs_in(JobState.DONE) == 1
    assert len(one.clips.published) == 2


def test_a_local_picture_is_uploaded_once(rig: Callable[..., Rig]) -> None:
    """Three jobs with one picture: one upload, also after a restart, and its URL is what is sent."""
    picture = Picture(path=Path("x.png"), sha256="f" * 64, extension="png")
    jobs = [a_job(number, image_url=picture.wire) for number in (1, 2, 3)]
    one = rig(jobs=jobs, pictures={"f" * 64: picture}, limits=Limits(in_flight=1, submits_per_minute=None))
    one.run(until=lambda progress: progress.tally.submissions == 1)
    one.run()

    assert one.provider.uploads == ["f" * 64]
    assert one.jobs_in(JobState.DONE) == 3
    sent = [job.payload for job in one.provider.ledger.jobs.values()]
    assert {payload["image_url"] for payload in sent if payload} == {f"https://store.test/{'f' * 64}"}


def test_a_picture_that_is_refused_fails_its_jobs_only(rig: Callable[..., Rig]) -> None:
    """Its jobs fail without a POST; the others go on."""
    picture = Picture(path=Path("x.webp"), sha256="e" * 64, extension="webp")
    jobs = [a_job(1, image_url=picture.wire), a_job(2), a_job(3, image_url=picture.wire)]
    one = rig(jobs=jobs, pictures={"e" * 64: picture})
    one.run()

    assert (one.jobs_in(JobState.FAILED), one.jobs_in(JobState.DONE)) == (2, 1)
    assert one.provider.ledger.posts == 1


@pytest.mark.parametrize(
    ("fetches", "state"),
    [
        (["trouble", "trouble"], JobState.DONE),
        (["bad", "bad"], JobState.DONE),
        (["bad"] * 3, JobState.HELD),
        (["gone"], JobState.DONE),
        (["gone"] * 9, JobState.HELD),
    ],
)
def test_a_download_is_tried_again_and_never_paid_again(
    rig: Callable[..., Rig], fetches: list[str], state: JobState
) -> None:
    """Whatever happens to the file, there is one POST."""
    one = rig(jobs=[a_job(1)], clips=FakeClips(fetches))
    one.run()

    assert one.jobs_in(state) == 1
    assert one.provider.ledger.posts == 1


class Losing(FakeClips):
    """Loses each part file once it is to be published, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def publish(self, attempts: Sequence[Attempt]) -> Sequence[Verdict]:
        """Lose them, or publish them."""
        if self.times:
            self.times -= 1
            self.parts.clear()
        return super().publish(attempts)


@pytest.mark.parametrize(
    ("times", "state", "stop"), [(2, JobState.DONE, None), (9, JobState.ACTIVE, Stop.LOCAL)]
)
def test_a_fetched_file_that_vanishes_is_fetched_again(
    rig: Callable[..., Rig], times: int, state: JobState, stop: Stop | None
) -> None:
    """It is paid for and still at the provider; a disk that keeps losing it ends the run."""
    one = rig(jobs=[a_job(1)], clips=Losing(times))
    last = one.run()

    assert one.provider.ledger.posts == 1
    assert one.jobs_in(state) == 1
    assert last.stop is stop


def test_a_suspend_is_noticed_and_told(rig: Callable[..., Rig]) -> None:
    """The lid was closed for an hour: an event says so, once, and the work is done all the same."""
    one = rig()

    def sleeps(last: Progress) -> bool:
        if last.in_flight and not one.clock.slept_s:
            one.clock.slept_s += 3600.0
            one.clock.steady_s += 3600.0
        return False

    one.run(sleeps)

    assert one.jobs_in(JobState.DONE) == 3
    (event,) = [event for event in one.events if event["kind"] == "suspend"]
    assert event["detail"] == "the machine was asleep for 3600 s"
