"""The loop: decide, commit, act.

A tick takes all outcomes that have arrived and all times that have come, decides with pure functions,
writes every change in one transaction, and only then starts the calls which that commit made lawful. One
thread runs the loop and owns the state table; worker threads get a frozen Action and hand back a frozen
Outcome. `run()` is a generator: whoever drives it pulls, and sees every tick after its commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from queue import SimpleQueue

from batchrunner.engine import lifecycle
from batchrunner.engine.actions import (
    Action,
    Download,
    Outcome,
    Publish,
    Submit,
    Submitted,
    Upload,
    perform,
)
from batchrunner.engine.deciding import decide
from batchrunner.engine.due import start_due
from batchrunner.engine.gate import Bounds
from batchrunner.engine.outlook import Outlook, look_ahead, rest_s
from batchrunner.engine.planner import Wait
from batchrunner.engine.pool import Pool
from batchrunner.engine.progress import Progress
from batchrunner.engine.run import Run, Tools
from batchrunner.engine.space import LOOK_S
from batchrunner.engine.steps import Stop, Terms
from batchrunner.errors import LocalError
from batchrunner.store import reading
from batchrunner.store.changes import Change, Moved
from batchrunner.store.tables import Store
from batchrunner.values import AttemptState, Limits, Picture

BATCH = 256  # outcomes taken into one tick at most
LINGER_S = 0.01
IN_DOUBT = frozenset({AttemptState.SUBMITTING, AttemptState.UNKNOWN})
IDLE_S = 60.0  # longest sleep: bounds the harm of a clock that does not count a suspend


class Loop:
    """One run of one campaign over an open store: make it, then iterate `run()`."""

    def __init__(
        self,
        store: Store,
        tools: Tools,
        terms: Terms,
        limits: Limits,
        pictures: Mapping[str, Picture],
        *,
        rolled_back: bool = False,
        bounds: Bounds | None = None,
    ) -> None:
        bounds = bounds or Bounds()
        self._run = Run(store, tools, terms, limits, pictures, rolled_back=rolled_back, bounds=bounds)
        self._inbox: SimpleQueue[Outcome | None] = SimpleQueue()
        self._aborting = False

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
            start_due(self._run)
            yield self._commit_and_act()
            if self._over():
                if not self._aborting:
                    self._run.notice_outage(over=True)
                # With the reason for the end, which may just have become clear.
                yield self._commit_and_act() if self._run.changes else self._progress(())
                return
            for outcome in self._arrived():
                decide(self._run, outcome)
            self._run.notice_sleep()
            self._run.notice_outage()

    def stop(self, why: Stop, detail: str = "") -> None:
        """Start nothing that costs money any more. May be called from a signal handler."""
        self._run.end(why, detail)
        self._inbox.put(None)

    def abort(self) -> None:
        """Do not even wait for POSTs that are on the wire. May be called from a signal handler."""
        self._aborting = True
        self.stop(Stop.SIGNAL)

    def outlook(self) -> Outlook | None:
        """Tell when the run will be over and what all will have cost; None: it is about to end."""
        return look_ahead(self._run)

    def rest_s(self) -> float | None:
        """Return how long what the run has left would take, in seconds; None: nobody knows."""
        return rest_s(self._run)

    # --- taking up where the last run stopped ---------------------------------------------------------

    def _take_up(self) -> None:
        run = self._run
        now_s, now_us = run.times()
        db = run.store.db
        for attempt in reading.live_attempts(db):
            one = run.desk.put(attempt, now_s)
            if attempt.state is AttemptState.SUBMITTING:
                run.follow(one, lifecycle.interrupted(attempt, now_us))
        held = reading.attempts(db, [AttemptState.HELD])
        for attempt in held:
            if attempt.request_id:
                run.follow(run.desk.put(attempt), lifecycle.reopened(attempt, now_us))
        lost = [one.attempt for one in run.desk.in_state(AttemptState.UNKNOWN)]
        doubtful = run.searching.begin(lost, (one for one in held if not one.request_id), now_s)
        run.books.doubted(doubtful)

    # --- outcomes -------------------------------------------------------------------------------------

    def _arrived(self) -> list[Outcome]:
        """Return what has arrived; linger a little for more, since a commit costs the same for many.

        While the workers have more to do than they can, nobody waits for this thread: then it sleeps a while,
        where waking for each outcome would take the interpreter's lock from them every time.
        """
        run = self._run
        clock, inbox = run.tools.clock, self._inbox
        first = clock.take(inbox, self._sleep_s())
        outcomes = [first] if first is not None else []
        until_s = clock.elapsed_s() + LINGER_S
        if run.busy and inbox.qsize() < BATCH:
            clock.pause(LINGER_S)
        most = min(BATCH, run.hands.total())
        while outcomes and len(outcomes) < most:
            more = clock.take(inbox, until_s - clock.elapsed_s())
            if more is None:
                break
            outcomes.append(more)
        return outcomes

    # --- commit, act ----------------------------------------------------------------------------------

    def _commit_and_act(self) -> Progress:
        run = self._run
        changes, actions = tuple(run.changes), run.actions
        run.changes, run.actions = [], []
        if self._aborting:
            changes += self._give_up_posts()
            actions = []
        if changes:
            self._commit(changes)
        run.intake.committed(changes)
        for action in actions:
            self._act(action)
        return self._progress(changes)

    def _commit(self, changes: tuple[Change, ...]) -> None:
        try:
            self._run.store.commit(changes)
        except LocalError as error:
            taken = self._unwritten(changes)
            if not taken:
                raise
            told = "; ".join(f"{job} is request {request_id}" for job, request_id in taken.items())
            raise LocalError(
                f"{error}\naccepted, and not on record any more: {told}. "
                "The next run finds them in the provider's list and takes them over: nothing is paid again"
            ) from error

    def _unwritten(self, changes: tuple[Change, ...]) -> dict[str, str]:
        """Wait for the POSTs on the wire; return which jobs' requests the state table will not know."""
        run = self._run
        moves = (one for one in changes if isinstance(one, Moved) and one.source in IN_DOUBT)
        taken = {one.attempt.job: one.attempt.request_id for one in moves if one.attempt.request_id}
        while run.hands[Submit] and not self._aborting:
            outcome = run.tools.clock.take(self._inbox, IDLE_S)
            if isinstance(outcome, Submitted):
                run.hands[Submit] -= 1
                if outcome.reply.remote:
                    job = run.desk.live[outcome.attempt_id].attempt.job
                    taken[job] = outcome.reply.remote.request_id
        return taken

    def _act(self, action: Action) -> None:
        run = self._run
        run.hands[type(action)] += len(action.attempts) if isinstance(action, Download) else 1
        pool = self._pool(action)
        provider, clips, inbox = run.tools.provider, run.tools.clips, self._inbox
        pool.submit(lambda: inbox.put(perform(action, provider, clips)))

    def _pool(self, action: Action) -> Pool:
        run = self._run
        match action:
            case Submit():
                return run.tools.submitters
            case Download() | Upload():
                return run.tools.fetchers
            case Publish():
                return run.tools.filers
        return run.tools.callers

    def _give_up_posts(self) -> tuple[Change, ...]:
        run = self._run
        now_us = run.tools.clock.now_us()
        on_wire = run.desk.in_state(AttemptState.SUBMITTING)
        return tuple(
            change for one in on_wire for change in lifecycle.interrupted(one.attempt, now_us).changes
        )

    # --- the end --------------------------------------------------------------------------------------

    def _over(self) -> bool:
        run = self._run
        if self._aborting:
            return True
        if run.finishing:
            return run.hands[Submit] == 0
        if run.ending is not None and run.health.account is None:
            return run.hands.total() == 0
        if run.hands.total() or run.actions or run.polls or run.desk.next_due_s(api=True) is not None:
            return False
        if run.ending is None and run.short and not run.desk.in_flight:
            run.end(Stop.BUDGET, "the next job does not fit into it")
        if run.ending is None and run.wait is Wait.SPACE and not run.intake.empty:
            run.end(Stop.LOCAL, f"{run.no_room}; make room and run again")
        if run.ending is not None:
            return True
        return run.intake.empty and not run.uploads

    def _sleep_s(self) -> float:
        run = self._run
        now_s, now_us = run.times()
        times = [run.health.next_probe_s(), run.desk.next_due_s(api=run.may_call), run.uploads.next_due_s()]
        if run.ending is None:
            times.append(run.gate.closes_s(now_s, now_us))
        if run.wait is Wait.PACE:
            times.append(run.pace.ready_at_s(now_s, run.desk.in_flight))
        if run.wait is Wait.SPACE:
            times.append(now_s + LOOK_S)
        if run.wait is Wait.HOURS and run.opens_us is not None:
            times.append(now_s + (run.opens_us - now_us) / 1e6)
        if run.may_call:
            times += [run.sweeper.next_s(), run.polls.next_s()]
        due_us = run.intake.next_due_us()
        if run.wait is Wait.NOTHING and due_us is not None:
            times.append(now_s + (due_us - now_us) / 1e6)
        nearest_s = min((time_s for time_s in times if time_s is not None), default=now_s + IDLE_S)
        return min(IDLE_S, max(0.0, nearest_s - now_s))

    def _progress(self, changes: tuple[Change, ...]) -> Progress:
        run = self._run
        return Progress(
            changes=changes,
            jobs=run.books.jobs,
            in_flight=run.desk.in_flight,
            downloading=run.hands[Download],
            spent_micros=run.books.spent_micros,
            reserved_micros=run.books.reserved_micros,
            waiting_for=run.wait,
            opens_us=run.opens_us,
            outage_s=run.health.lasted_s(run.tools.clock.elapsed_s()) if run.health.outage else 0.0,
            tally=run.books.tally,
            stop=run.ending,
            detail=run.detail,
            problem=run.books.problem,
            limits_found=run.pace.found(),
        )
