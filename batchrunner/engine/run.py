"""One run of one campaign: all that it knows and holds, for those who decide, plan and act."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from batchrunner.clock import Clock
from batchrunner.engine import lifecycle
from batchrunner.engine.actions import Action, Clips
from batchrunner.engine.books import Books
from batchrunner.engine.desk import Desk, Live
from batchrunner.engine.gate import Bounds, Gate
from batchrunner.engine.health import Health
from batchrunner.engine.intake import Intake
from batchrunner.engine.learning import Learning
from batchrunner.engine.planner import Wait
from batchrunner.engine.polls import Polls
from batchrunner.engine.pool import Pool
from batchrunner.engine.searching import Searching
from batchrunner.engine.space import Space
from batchrunner.engine.steps import Step, Stop, Terms
from batchrunner.engine.sweep import Sweeper
from batchrunner.engine.uploads import Uploads
from batchrunner.providers.base import Provider, ProviderError
from batchrunner.rules.durations import setting
from batchrunner.rules.hours import window
from batchrunner.rules.pacing import HOUR_S, Pace, Past, Sent, retell
from batchrunner.rules.states import IN_FLIGHT, EventKind
from batchrunner.rules.suspects import Suspect, Suspects
from batchrunner.store import lost, reading
from batchrunner.store.changes import Change, Intended, JobRuled, Moved, Noted
from batchrunner.store.durations import likely_s
from batchrunner.store.learned import history, neighbours
from batchrunner.store.runs import ASLEEP, SILENT
from batchrunner.store.tables import Store
from batchrunner.values import (
    Attempt,
    AttemptState,
    JobState,
    Limits,
    Payload,
    PendingJob,
    Picture,
    Reason,
    fingerprint,
    local_pictures,
)

BUSY = 64  # actions under way
# These let the run finish what is paid for; any other reason ends it as soon as no POST is on the wire.
DRAINING = frozenset(
    {Stop.CREDENTIALS, Stop.CREDIT, Stop.BUDGET, Stop.MODEL, Stop.DEADLINE, Stop.ENOUGH, Stop.FOLDER}
)

SUSPEND_S = 2.0  # less is the two clocks being read one after the other, on a busy machine


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything outside that the loop works with. `submitters` make POSTs, which may block for minutes."""

    provider: Provider
    clips: Clips
    clock: Clock
    rng: random.Random
    submitters: Pool
    callers: Pool  # short calls to the provider's API
    fetchers: Pool  # up- and downloads
    filers: Pool  # no calls: files get their names, one batch after the other
    free_bytes: Callable[[], int]  # where clips and state go, whichever has less
    unwritable: Callable[[str], str] = lambda _name: ""  # why a job's files cannot be filed under its name


class Run:
    """What has come in, what is to be written (`changes`), and what may start once it is (`actions`)."""

    def __init__(
        self,
        store: Store,
        tools: Tools,
        terms: Terms,
        limits: Limits,
        pictures: Mapping[str, Picture],
        *,
        rolled_back: bool,
        bounds: Bounds,
    ) -> None:
        self.store = store
        self.tools = tools
        self.terms = terms
        self.limits = limits
        self.desk = Desk()
        self.polls = Polls()
        self.intake = Intake(store, pictures, tools.provider.origin, terms.order)
        self.health = Health(limits.max_outage_s)
        self.searching = Searching(store)
        self.sweeper = Sweeper(store, tools.clock.now_us(), must=rolled_back, patient=not bounds.fresh)
        self.suspects = Suspects()
        self.uploads = Uploads()
        self.space = Space(tools.free_bytes)
        self.books = Books(reading.totals(store.db), may_gamble=not lost.has_duplicate(store.db))
        hours = window(limits.window) if limits.window else None
        self.gate = Gate(bounds, hours, tools.clock.elapsed_s(), self._likely_s)
        past = history(store.db, neighbours(store.path), tools.provider.origin, terms.prior)
        self.learning = Learning(past)
        self.pace = Pace(limits)
        retell(self.pace, _past_submissions(store, tools.clock))
        self._sent: dict[int, tuple[Sent, float]] = {}  # what the pace measured when an attempt was sent
        self.changes: list[Change] = []
        self.actions: list[Action] = []
        self.hands: Counter[type] = Counter()  # actions under way
        self.ending: Stop | None = None
        self.detail = ""  # of the ending
        self.short = False  # the next job does not fit into the budget as things stand
        self.no_room = ""  # why nothing more can be stored
        self.wait = Wait.NOTHING
        self.opens_us: int | None = None  # when the hours of the window begin; None while they last
        self.next_id = reading.last_attempt_id(store.db) + 1
        self._asleep_s = tools.clock.asleep_s()
        self._silent_since_s: float | None = None  # when an outage began; None while there is none

    def times(self) -> tuple[float, int]:
        """Return steady time in seconds and wall time in microseconds."""
        return self.tools.clock.elapsed_s(), self.tools.clock.now_us()

    def _likely_s(self) -> float | None:
        """Return within how long the next job is very probably done; None while nothing is known."""
        seen_s, job = likely_s(self.store.db), self.intake.peek(self.tools.clock.now_us())
        if seen_s is not None or job is None:
            return seen_s
        return self.learning.likely_s(setting(job.model, job.payload))

    def notice_sleep(self) -> None:
        """Note that the machine was suspended: its connections are gone, what was on the wire is unknown."""
        asleep_s = self.tools.clock.asleep_s()
        if asleep_s - self._asleep_s > SUSPEND_S:
            self.books.asleep_s += asleep_s - self._asleep_s
            slept_s = round(asleep_s - self._asleep_s)
            detail, evidence = f"the machine was asleep for {slept_s} s", {"asleep_s": slept_s}
            now_us = self.tools.clock.now_us()
            self.changes.append(Noted(ASLEEP, now_us, detail=detail, evidence=evidence))
        self._asleep_s = asleep_s

    def notice_outage(self, *, over: bool = False) -> None:
        """Note for how long the provider did not answer, once it does again; `over`: the run ends before."""
        now_s, now_us = self.times()
        if self.health.outage:
            self._silent_since_s = now_s - self.health.lasted_s(now_s)
        if self._silent_since_s is not None and (over or not self.health.outage):
            silent_s = round(now_s - self._silent_since_s)
            detail = f"the provider did not answer for {silent_s} s"
            self.changes.append(Noted(SILENT, now_us, detail=detail, evidence={"silent_s": silent_s}))
            self._silent_since_s = None

    @property
    def busy(self) -> bool:
        """True while more is under way than any number of workers has in hand: some of it waits for one."""
        return self.hands.total() > BUSY

    @property
    def finishing(self) -> bool:
        """True when not even what is paid for is worked on any more."""
        return self.ending is not None and self.ending not in DRAINING

    @property
    def may_call(self) -> bool:
        """True while the provider can be asked: the key is known to be good, and it answers."""
        return not self.health.outage and self.health.account is not None

    def end(self, why: Stop, detail: str = "") -> None:
        """Start nothing that costs money any more; the gravest reason stands."""
        if self.ending is None or (self.ending in DRAINING and why not in DRAINING):
            self.ending, self.detail = why, detail

    def begin(
        self, job: PendingJob, payload: Payload, submitted_us: int, now_us: int, detail: str = ""
    ) -> Live:
        """Write an attempt down as `submitting`; `detail`: why nothing is sent for it, where that is so."""
        attempt = Attempt(
            id=self.next_id,
            job=job.id,
            number=job.attempts + 1,
            name=job.name,
            failures=job.failures,
            state=AttemptState.SUBMITTING,
            model=job.model,
            account=self.health.account or "",
            origin=self.tools.provider.origin,
            payload=payload,
            fingerprint=fingerprint(job.model, payload),
            reserved_micros=job.cost_micros or 0,
            submitted_us=submitted_us,
            pictures=local_pictures(job.payload),
        )
        self.next_id += 1
        self.books.intended(attempt)
        self.changes.append(Intended(attempt, now_us, detail))
        return self.desk.put(attempt)

    def heard(self, error: ProviderError | None) -> None:
        """Count a call that may be repeated: an answer, or what went wrong."""
        now_s = self.tools.clock.elapsed_s()
        self.health.heard(now_s, error.reason if error else None, error.detail if error else "")

    def follow(self, one: Live, step: Step) -> None:
        """Take a step into the desk, the counters and the transaction to come."""
        before, now_s = one.attempt, self.tools.clock.elapsed_s()
        self.changes.extend(step.changes)
        self.books.followed(before, step.attempt, step.changes)
        self.desk.take(one, step, now_s)
        if step.hold_off_s is not None:
            self.pace.hold_off(now_s + step.hold_off_s)
        for change in step.changes:
            if isinstance(change, Moved):
                self._pace(change, step.hold_off_s, now_s)
        if self.pace.told_late and step.tries.polls == lifecycle.EARLY_POLLS:
            self._passed(step.attempt, now_s)  # it has outlived the time in which it would have failed
        if step.detail:
            self.books.problem = f"{step.attempt.job}: {step.detail}"
        if step.stop is not None:
            self.end(step.stop, step.detail)
        for change in step.changes:
            if isinstance(change, Moved):
                self._learn(change)
                self.learning.noted(change)

    def price_polls(self) -> None:
        """Let polls follow what has been learned lately, and how many are in flight."""
        new = self.learning.relearn(self.desk.live.values())
        crowd, early = max(1, self.desk.in_flight), self.pace.told_late
        if new or (crowd, early) != (self.terms.crowd, self.terms.fails_early):
            tables = self.learning.timetables
            self.terms = replace(self.terms, timetables=tables, crowd=crowd, fails_early=early)

    def sending(self, attempt: Attempt, now_s: float) -> None:
        """Count a submission that is about to leave."""
        self._sent[attempt.id] = (self.pace.sent(now_s, self.desk.in_flight - 1), now_s)
        self.pace.submitted(now_s)

    def _pace(self, change: Moved, wait_s: float | None, now_s: float) -> None:
        """Let the pace learn from what became of a submission."""
        one, too_much = change.attempt, change.attempt.reason is Reason.RATE
        if one.id not in self._sent:
            return
        sent, sent_s = self._sent[one.id]
        if one.state is AttemptState.ACCEPTED and not self.pace.told_late:
            self.pace.accepted(sent, now_s)
        elif one.state in {AttemptState.REFUSED, AttemptState.FAILED} and too_much:
            self.pace.refused(sent, sent_s, now_s, wait_s, late=one.state is AttemptState.FAILED)
            self.books.problem = (
                f"{change.detail}; the provider seems to allow {self.pace.limits_found()}: that is kept to"
            )
        elif one.state is AttemptState.READY and self.pace.told_late:
            self._passed(one, now_s)
        if one.state not in IN_FLIGHT:
            self._sent.pop(one.id, None)

    def _passed(self, attempt: Attempt, now_s: float) -> None:
        if (known := self._sent.pop(attempt.id, None)) is not None:
            self.pace.accepted(known[0], now_s)

    def _learn(self, change: Moved) -> None:
        """Look for what this failure has in common with others, and spare the jobs that would share it."""
        one = change.attempt
        if change.kind is EventKind.ACCEPTED:
            self.suspects.accepted(one.model)
            self.polls.accepted(one.model)
        if change.job is not JobState.FAILED or one.reason is None:
            return
        if self.suspects.refuses(one.model, one.reason):
            self.end(
                Stop.MODEL, f"{one.model} refused its first jobs all for the same reason: {change.detail}"
            )
        image, prompt = reading.subject(self.store.db, one.job)
        for suspect in self.suspects.failed(one.job, image, prompt, one.reason):
            self._spare(suspect, one.reason, change)

    def _spare(self, suspect: Suspect, reason: Reason, last: Moved) -> None:
        detail = f"not sent: {suspect} was refused more than once ({last.detail})"
        begun = {change.attempt.job for change in self.changes if isinstance(change, Intended)}
        ruled = {change.job for change in self.changes if isinstance(change, JobRuled)}
        for job in reading.pending_like(self.store.db, suspect.image, suspect.prompt):
            if job.id not in begun | ruled:
                self.intake.drop(job.id)
                self.changes.append(JobRuled(job.id, JobState.HELD, last.at_us, "spared", reason, detail))
                self.books.spared(job)

    def rule_out(self, job: PendingJob, detail: str, now_us: int) -> None:
        """Fail a job whose picture the provider will never take."""
        ruled = JobRuled(job.id, JobState.FAILED, now_us, "picture refused", Reason.PICTURE, detail)
        self.changes.append(ruled)
        self.books.ruled_out(job.id, detail)


def _past_submissions(store: Store, clock: Clock) -> list[Past]:
    """Return the submissions of the last hour in this run's steady time."""
    now_s, now_us = clock.elapsed_s(), clock.now_us()

    def steady_s(at_us: int | None) -> float | None:
        # A time in the future means that the wall clock was set back: count it as just now.
        return None if at_us is None else now_s - max(0.0, (now_us - at_us) / 1e6)

    return [
        Past(
            sent_s=steady_s(sent_us) or 0.0,
            answered_s=steady_s(accepted_us),
            over_s=steady_s(over_us),
            too_much=reason is Reason.RATE,
            taken=accepted_us is not None,
        )
        for sent_us, accepted_us, over_us, reason in reading.submissions(store.db, now_us - int(HOUR_S * 1e6))
    ]
