"""The loop: decide, commit, act.

A tick takes all outcomes that have arrived and all times that have come, decides with pure functions,
writes every change in one transaction, and only then starts the calls which that commit made lawful. One
thread runs the loop and owns the state table; worker threads get a frozen Action and hand back a frozen
Outcome. `run()` is a generator: whoever drives it pulls, and sees every tick after its commit.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from queue import SimpleQueue

from batchrunner.clock import Clock
from batchrunner.engine import lifecycle
from batchrunner.engine.actions import (
    Action,
    Clips,
    Crashed,
    Download,
    Downloaded,
    Outcome,
    Poll,
    Polled,
    Probe,
    Probed,
    Publish,
    Published,
    Search,
    Searched,
    Submit,
    Submitted,
    Upload,
    Uploaded,
    perform,
)
from batchrunner.engine.books import Books
from batchrunner.engine.desk import Desk, Live
from batchrunner.engine.health import Health
from batchrunner.engine.intake import Intake
from batchrunner.engine.lifecycle import Step, Stop, Terms
from batchrunner.engine.planner import Situation, Wait, action_for, submit_wait
from batchrunner.engine.pool import Pool
from batchrunner.engine.progress import Progress
from batchrunner.engine.searching import Searching
from batchrunner.engine.uploads import Uploads
from batchrunner.errors import InvariantError
from batchrunner.providers.base import Provider
from batchrunner.rules import budget, retry
from batchrunner.rules.pacing import HOUR_S, Pace
from batchrunner.store import reading
from batchrunner.store.changes import Change, Intended, JobRuled, Stored
from batchrunner.store.tables import Store
from batchrunner.values import (
    Attempt,
    AttemptState,
    Evidence,
    JobState,
    Limits,
    PendingJob,
    Picture,
    Reason,
    fingerprint,
)

BATCH = 256  # outcomes taken into one tick at most
LINGER_S = 0.01
PUBLISH_TOGETHER = 16
LOOK_AGAIN_S = 3.0
IDLE_S = 60.0  # longest sleep: bounds the harm of a clock that does not count a suspend

ACTION_OF: Mapping[type, type] = {
    Submitted: Submit,
    Polled: Poll,
    Downloaded: Download,
    Published: Publish,
    Searched: Search,
    Uploaded: Upload,
    Probed: Probe,
}

# These let the run finish what is paid for; any other reason ends it as soon as no POST is on the wire.
DRAINING = frozenset({Stop.CREDENTIALS, Stop.CREDIT, Stop.BUDGET})


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


class Loop:
    """One run of one campaign over an open store: make it, then iterate `run()`."""

    def __init__(
        self, store: Store, tools: Tools, terms: Terms, limits: Limits, pictures: Mapping[str, Picture]
    ) -> None:
        self._store = store
        self._tools = tools
        self._terms = terms
        self._limits = limits
        self._inbox: SimpleQueue[Outcome | None] = SimpleQueue()
        self._desk = Desk()
        self._intake = Intake(store, pictures, tools.provider.origin)
        self._health = Health(limits.max_outage_s)
        self._searching = Searching(store)
        self._pace = Pace(limits, self._past_submissions())
        self._changes: list[Change] = []
        self._actions: list[Action] = []
        self._hands: Counter[type] = Counter()  # actions under way
        self._uploads = Uploads()
        self._books = Books(reading.totals(store.db))
        self._stop: Stop | None = None
        self._detail = ""
        self._aborting = False
        self._short = False  # the next job does not fit into the budget as things stand
        self._wait = Wait.NOTHING
        self._next_id = reading.last_attempt_id(store.db) + 1

    # --- the face -------------------------------------------------------------------------------------

    def run(self) -> Iterator[Progress]:
        """Work until nothing is left or a reason to stop has come; yield after every tick's commit.

        Raises:
            LockedError: another run has taken the campaign over.
            LocalError: the state table cannot be written.
            InvariantError: a bug; nothing was written after it.
        """
        self._take_up()
        while True:
            self._plan()
            yield self._commit_and_act()
            if self._over():
                yield self._progress(())  # with the reason for the end, which may just have become clear
                return
            for outcome in self._arrived():
                self._decide(outcome)

    def stop(self, why: Stop, detail: str = "") -> None:
        """Start nothing that costs money any more. May be called from a signal handler."""
        if self._stop is None or (self._stop in DRAINING and why not in DRAINING):
            self._stop, self._detail = why, detail
        self._inbox.put(None)

    def abort(self) -> None:
        """Do not even wait for POSTs that are on the wire. May be called from a signal handler."""
        self._aborting = True
        self.stop(Stop.SIGNAL)

    # --- taking up where the last run stopped ---------------------------------------------------------

    def _take_up(self) -> None:
        now_s, now_us = self._tools.clock.elapsed_s(), self._tools.clock.now_us()
        db = self._store.db
        for attempt in reading.live_attempts(db):
            one = self._desk.put(attempt, now_s)
            if attempt.state is AttemptState.SUBMITTING:
                self._follow(one, lifecycle.interrupted(attempt, now_us))
        held = reading.attempts(db, [AttemptState.HELD])
        for attempt in held:
            if attempt.request_id:
                self._follow(self._desk.put(attempt), lifecycle.reopened(attempt, now_us))
        lost = [one.attempt for one in self._desk.in_state(AttemptState.UNKNOWN)]
        doubtful = self._searching.begin(lost, (one for one in held if not one.request_id), now_s)
        self._books.doubted(doubtful)

    def _past_submissions(self) -> list[float]:
        now_s, now_us = self._tools.clock.elapsed_s(), self._tools.clock.now_us()
        past = reading.submit_times_us(self._store.db, now_us - int(HOUR_S * 1e6))
        # A time in the future means that the wall clock was set back: count it as just now.
        return [now_s - max(0.0, (now_us - at_us) / 1e6) for at_us in past]

    # --- decide: outcomes -----------------------------------------------------------------------------

    def _arrived(self) -> list[Outcome]:
        """Return what has arrived; linger a little for more, since a commit costs the same for many."""
        clock, inbox = self._tools.clock, self._inbox
        first = clock.take(inbox, self._sleep_s())
        outcomes = [first] if first is not None else []
        until_s = clock.elapsed_s() + LINGER_S
        while outcomes and len(outcomes) < min(BATCH, self._hands.total()):
            more = clock.take(inbox, until_s - clock.elapsed_s())
            if more is None:
                break
            outcomes.append(more)
        return outcomes

    def _decide(self, outcome: Outcome) -> None:
        now_s, now_us = self._tools.clock.elapsed_s(), self._tools.clock.now_us()
        terms, rng = self._terms, self._tools.rng
        match outcome:
            case Submitted(attempt_id, reply):
                one = self._desk.live[attempt_id]
                unheard = reply.evidence in {Evidence.NEVER_LEFT, Evidence.UNKNOWN}
                self._health.heard(now_s, Reason.UNCLEAR if unheard else None, reply.detail)
                self._follow(one, lifecycle.after_submit(one.attempt, reply, now_us, terms, rng))
                if stop := self._health.submitted(reply.reason):
                    self.stop(stop, reply.detail)
            case Polled(attempt_id, remote, error):
                one = self._desk.live[attempt_id]
                self._health.heard(now_s, error.reason if error else None, error.detail if error else "")
                if remote is not None:
                    self._follow(
                        one, lifecycle.after_poll(one.attempt, one.tries, remote, now_us, terms, rng)
                    )
                elif error is not None:
                    step = lifecycle.after_poll_trouble(one.attempt, one.tries, error, now_us, rng)
                    self._follow(one, step)
            case Downloaded(attempt_id, files, failure):
                one = self._desk.live[attempt_id]
                step = lifecycle.after_download(one.attempt, one.tries, one.urls, files, failure, now_us, rng)
                self._follow(one, step)
            case Published(named):
                for done in named:
                    one = self._desk.live[done.attempt_id]
                    step = lifecycle.after_publish(
                        one.attempt, one.tries, done.files, done.error, now_us, rng
                    )
                    self._follow(one, step)
            case Searched():
                self._searched(outcome, now_s, now_us)
            case Uploaded():
                self._uploaded(outcome, now_s, now_us)
            case Probed():
                if outcome.error is not None:
                    self._books.problem = outcome.error.detail
                if stop := self._health.probed(outcome, now_s):
                    self.stop(stop, outcome.error.detail if outcome.error else "")
            case Crashed(action, crash):
                raise InvariantError(f"{type(action).__name__} ended in {crash!r}") from crash
        self._hands[ACTION_OF[type(outcome)]] -= 1

    def _follow(self, one: Live, step: Step) -> None:
        """Take a step into the desk, the counters and the transaction to come."""
        before, now_s = one.attempt, self._tools.clock.elapsed_s()
        self._changes.extend(step.changes)
        self._books.followed(before, step.attempt, step.changes)
        self._desk.take(one, step, now_s)
        if step.hold_off_s is not None:
            self._pace.hold_off(now_s + step.hold_off_s)
        if step.detail:
            self._books.problem = f"{step.attempt.job}: {step.detail}"
        if step.stop is not None:
            self.stop(step.stop, step.detail)

    def _searched(self, outcome: Searched, now_s: float, now_us: int) -> None:
        error = outcome.error
        self._health.heard(now_s, error.reason if error else None, error.detail if error else "")
        unknown = [
            one for one in self._desk.in_state(AttemptState.UNKNOWN) if one.attempt.model == outcome.model
        ]
        if error is not None:
            self._searching.failed(outcome)
            self._books.problem = f"the provider's list cannot be read: {error.detail}"
            for one in unknown:
                self._search_failed(one, now_s, now_us, error.detail)
            return
        account = self._health.account or ""
        # An equal request that is on the wire right now may be the very one that the list shows.
        on_wire = {one.attempt.fingerprint for one in self._desk.in_state(AttemptState.SUBMITTING)}
        lost = [one.attempt for one in unknown if one.attempt.fingerprint not in on_wire]
        for one in unknown:
            self._desk.schedule(one, now_s + LOOK_AGAIN_S)  # each look that decides something says better
        if again := self._searching.unread(outcome, lost, account):
            self._actions.append(again)
            return
        for looked in self._searching.looked(outcome, lost, account, now_s):
            held = self._searching.held.get(looked.attempt_id)
            if held is not None:
                self._searching.over(held.id)
                if looked.match is None:
                    continue
            one = self._desk.put(held) if held else self._desk.live[looked.attempt_id]
            search = self._searching.search(one.attempt.id, now_s)
            step = lifecycle.after_look(
                one.attempt,
                looked,
                search,
                now_us,
                now_s,
                self._terms,
                self._tools.rng,
                may_gamble=self._books.waived < self._terms.recovery.risk,
            )
            self._follow(one, step)
            if step.attempt.state is not AttemptState.UNKNOWN:
                self._searching.over(one.attempt.id)

    def _search_failed(self, one: Live, now_s: float, now_us: int, detail: str) -> None:
        search = self._searching.search(one.attempt.id, now_s)
        if now_s - search.since_s >= self._terms.recovery.give_up_s:
            self._searching.over(one.attempt.id)
            why = f"the provider's list could not be read: {detail}"
            self._follow(one, lifecycle.give_up_search(one.attempt, now_us, why))
        else:
            self._desk.schedule(one, now_s + retry.trouble_s(search.looks + 2, self._tools.rng))

    def _uploaded(self, outcome: Uploaded, now_s: float, now_us: int) -> None:
        sha256, error = outcome.sha256, outcome.error
        self._health.heard(now_s, error.reason if error else None, error.detail if error else "")
        if outcome.public_url is not None:
            self._uploads.over(sha256)
            origin, account = self._tools.provider.origin, self._health.account or ""
            self._changes.append(Stored(origin, account, sha256, outcome.public_url, now_us))
            self._intake.arrived(sha256, outcome.public_url)
        elif error is not None and error.reason is Reason.PICTURE:
            self._uploads.over(sha256)
            for job in self._intake.refused(sha256, error.detail):
                self._rule_out(job, error.detail, now_us)
        elif error is not None:
            self._books.problem = f"upload: {error.detail}"
            self._uploads.again(sha256, now_s, self._tools.rng, error.retry_after_s)
            if error.reason is Reason.CREDENTIALS:
                self.stop(Stop.CREDENTIALS, error.detail)

    def _rule_out(self, job: PendingJob, detail: str, now_us: int) -> None:
        ruled = JobRuled(job.id, JobState.FAILED, now_us, "picture refused", Reason.PICTURE, detail)
        self._changes.append(ruled)
        self._books.ruled_out(job.id, detail)

    # --- decide: what is due --------------------------------------------------------------------------

    def _plan(self) -> None:
        now_s = self._tools.clock.elapsed_s()
        if self._stop is not None and self._stop not in DRAINING:
            return
        if sentence := self._health.outlasted(now_s):
            self.stop(Stop.OUTAGE, sentence)
            return
        if self._health.wants_probe(now_s):
            self._actions.append(Probe())
        api = not self._health.outage and self._health.account is not None
        for one in self._desk.due(now_s, api=api):
            self._plan_one(one)
        self._join_publishes()
        if api:
            models = self._searching.unlooked_models()
            self._actions.extend(Search(model) for model in models if self._searching.wants(model))
        self._plan_submits(now_s)
        if api and self._stop is None:
            self._plan_uploads(now_s)

    def _plan_one(self, one: Live) -> None:
        action = action_for(one.attempt, one.urls, refetch=one.tries.refetch)
        if isinstance(action, Search) and not self._searching.wants(action.model):
            return  # the look that is under way speaks for this attempt too
        if action is not None:
            self._actions.append(action)

    def _join_publishes(self) -> None:
        """Let one worker publish what became ready together: making names durable costs the same for all."""
        attempts = [action.attempts[0] for action in self._actions if isinstance(action, Publish)]
        self._actions = [action for action in self._actions if not isinstance(action, Publish)]
        for start in range(0, len(attempts), PUBLISH_TOGETHER):
            self._actions.append(Publish(tuple(attempts[start : start + PUBLISH_TOGETHER])))

    def _plan_submits(self, now_s: float) -> None:
        now_us = self._tools.clock.now_us()
        self._intake.peek(
            now_us
        )  # so that it is known whether anything is left, even while nothing may start
        while not (wait := submit_wait(self._situation(now_s))):
            job = self._intake.peek(now_us)
            if job is None:
                break
            lacking = self._intake.lacking(job, self._health.account or "")
            if lacking and (refusal := self._intake.refusal(lacking[0])):
                self._rule_out(self._intake.take(), refusal, now_us)
                continue
            if lacking:
                self._intake.set_aside(lacking[0])
                self._uploads.want(lacking[:1], now_s)
                continue
            self._short = not budget.fits(
                job.cost_micros,
                spent_micros=self._books.spent_micros,
                reserved_micros=self._books.reserved_micros,
                budget_micros=self._limits.budget_micros,
            )
            if self._short:
                break
            self._intend(self._intake.take(), now_s, now_us)
        self._wait = wait

    def _situation(self, now_s: float) -> Situation:
        return Situation(
            stopping=self._stop is not None,
            account_known=self._health.account is not None,
            key_in_doubt=not self._health.key_known,
            outage=self._health.outage,
            unlooked=len(self._searching.doubtful),
            list_down=self._searching.list_down and bool(self._desk.in_state(AttemptState.UNKNOWN)),
            in_flight=self._desk.in_flight,
            in_flight_limit=self._limits.in_flight,
            pace_ready_s=self._pace.ready_at_s(now_s),
            now_s=now_s,
        )

    def _intend(self, job: PendingJob, now_s: float, now_us: int) -> None:
        """Put one paid submission into this tick: its row first, its POST after the commit."""
        payload = self._intake.payload(job)
        attempt = Attempt(
            id=self._next_id,
            job=job.id,
            number=job.attempts + 1,
            name=job.name,
            failures=job.failures,
            state=AttemptState.SUBMITTING,
            model=job.model,
            account=self._health.account or "",
            origin=self._tools.provider.origin,
            payload=payload,
            fingerprint=fingerprint(job.model, payload),
            reserved_micros=job.cost_micros or 0,
            submitted_us=now_us,
        )
        self._next_id += 1
        self._books.intended(attempt)
        self._pace.submitted(now_s)
        self._desk.put(attempt)
        self._changes.append(Intended(attempt, now_us))
        self._actions.append(Submit(attempt, self._terms.submit_timeout_s))

    def _plan_uploads(self, now_s: float) -> None:
        self._uploads.want(self._intake.ahead(self._health.account or ""), now_s)
        for sha256 in self._uploads.start(now_s):
            picture = self._intake.picture(sha256)
            if picture is None:
                raise InvariantError(f"no picture with content {sha256} in the manifest")
            self._actions.append(Upload(picture))

    # --- commit, act ----------------------------------------------------------------------------------

    def _commit_and_act(self) -> Progress:
        changes, actions = tuple(self._changes), self._actions
        self._changes, self._actions = [], []
        if self._aborting:
            changes += self._give_up_posts()
            actions = []
        if changes:
            self._store.commit(changes)
        self._intake.committed(changes)
        for action in actions:
            self._act(action)
        return self._progress(changes)

    def _act(self, action: Action) -> None:
        self._hands[type(action)] += 1
        pool = self._pool(action)
        provider, clips, inbox = self._tools.provider, self._tools.clips, self._inbox
        pool.submit(lambda: inbox.put(perform(action, provider, clips)))

    def _pool(self, action: Action) -> Pool:
        match action:
            case Submit():
                return self._tools.submitters
            case Download() | Publish() | Upload():
                return self._tools.fetchers
        return self._tools.callers

    def _give_up_posts(self) -> tuple[Change, ...]:
        now_us = self._tools.clock.now_us()
        on_wire = self._desk.in_state(AttemptState.SUBMITTING)
        return tuple(
            change for one in on_wire for change in lifecycle.interrupted(one.attempt, now_us).changes
        )

    # --- the end --------------------------------------------------------------------------------------

    def _over(self) -> bool:
        if self._aborting:
            return True
        if self._stop is not None and self._stop not in DRAINING:
            return self._hands[Submit] == 0
        if self._stop is not None and self._health.account is None:
            return self._hands.total() == 0
        if self._hands.total() or self._actions or self._desk.next_due_s(api=True) is not None:
            return False
        if self._stop is None and self._short and not self._desk.in_flight:
            self.stop(Stop.BUDGET)
        if self._stop is not None:
            return True
        return self._intake.empty and not self._uploads

    def _sleep_s(self) -> float:
        now_s = self._tools.clock.elapsed_s()
        api = not self._health.outage and self._health.account is not None
        times = [self._health.next_probe_s(), self._desk.next_due_s(api=api), self._uploads.next_due_s()]
        if self._wait is Wait.PACE:
            times.append(self._pace.ready_at_s(now_s))
        due_us = self._intake.next_due_us()
        if self._wait is Wait.NOTHING and due_us is not None:
            times.append(now_s + (due_us - self._tools.clock.now_us()) / 1e6)
        nearest_s = min((time_s for time_s in times if time_s is not None), default=now_s + IDLE_S)
        return min(IDLE_S, max(0.0, nearest_s - now_s))

    def _progress(self, changes: tuple[Change, ...]) -> Progress:
        return Progress(
            changes=changes,
            jobs=self._books.jobs,
            in_flight=self._desk.in_flight,
            downloading=self._hands[Download],
            spent_micros=self._books.spent_micros,
            reserved_micros=self._books.reserved_micros,
            waiting_for=self._wait,
            outage_s=self._health.lasted_s(self._tools.clock.elapsed_s()) if self._health.outage else 0.0,
            tally=self._books.tally,
            stop=self._stop,
            detail=self._detail,
            problem=self._books.problem,
        )
