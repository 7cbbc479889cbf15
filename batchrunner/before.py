"""What can be asked of a campaign before money moves: plan, bill, what it still costs, what drifted."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlite_utils import Database

from batchrunner.billing import Held, Listing, make_bill, refuse_changed
from batchrunner.bills import Bill
from batchrunner.cards import Card
from batchrunner.clock import Clock, utc_text
from batchrunner.engine.gate import Bounds
from batchrunner.errors import UsageError
from batchrunner.foreseeing import Ahead, Left, in_time
from batchrunner.frozen import Drift, drift
from batchrunner.planning import Change, Each, Ends, Plan, make_plan
from batchrunner.rules.durations import UNKNOWN, Durations, typical
from batchrunner.rules.hours import window
from batchrunner.standing import state_path
from batchrunner.store import reading
from batchrunner.store.database import maybe_readonly
from batchrunner.store.learned import is_stand_in
from batchrunner.values import Job, JobState, Limits, Manifest


class Before:
    """A campaign as it stands in its manifest and its state table. Sends nothing and writes nothing."""

    manifest_path: Path
    manifest: Manifest
    card: Card
    _state: Path
    _clock: Clock
    _bounds: Bounds

    @property
    def _origin(self) -> str:
        raise NotImplementedError

    def _limits(self) -> Limits:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The campaign's slug."""
        return self.manifest.campaign

    @property
    def state_path(self) -> Path:
        """The state table."""
        return state_path(self._state, self.name)

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[Database | None]:
        """Open the state table for reading; None: there is none, or another runner is just making it."""
        with maybe_readonly(self.state_path) as db:
            row = reading.campaign(db) if db is not None else None
            if db is not None and row is not None:
                self.check_provider(db, row["provider"])
            yield db if row else None

    def check_provider(self, db: Database, before: str) -> None:
        """Refuse to take another provider's clips for this one's: the emulator's would count as delivered.

        Raises:
            UsageError: they are in the state table.
        """
        if before != self.manifest.provider and reading.last_attempt_id(db):
            made_by = "the emulator" if before == "emulator" else "the paid queue"
            raise UsageError(
                f"{self.manifest_path}: provider is {self.manifest.provider}, and what {self.state_path} "
                f"knows of campaign {self.name} was made by {made_by}: give the campaign another name for "
                "this, or use another --state and --output folder"
            )

    def plan(self, each: Each | None = None) -> Plan:
        """Tell what a run would do; `each` is called with every job. Nothing is sent, nothing is written.

        Raises:
            LocalError: the state table cannot be read.
        """
        left = Left()
        with self._recorded() as db:
            plan = make_plan(self.manifest, self.card, db, each, left.see)
            shown = plan.shown
            tries = max(1.0, shown.paid_micros / shown.price_micros) if shown.price_micros else 1.0
            limits, prior = self._limits(), self._prior()
            plan = replace(plan, budget_micros=limits.budget_micros, deadline_s=self._deadline_s())
            ahead = left.ahead(db, self.state_path, self._origin, limits, tries, prior)
            plan = self._ended(plan, left, ahead, sum(reading.money(db)) if db else 0)
            starts = plan.to_submit if plan.within is None else plan.within
            jobs = starts + plan.states[JobState.ACTIVE] if starts or plan.within is None else 0
            return replace(plan, foresight=ahead(jobs) if ahead else None)

    def _deadline_s(self) -> float | None:
        """Return in how many seconds the time is over that was asked for; None: none was."""
        until_us, for_s = self._bounds.until_us, self._bounds.for_s
        lengths = [for_s, None if until_us is None else (until_us - self._clock.now_us()) / 1e6]
        return min((length_s for length_s in lengths if length_s is not None), default=None)

    def _open_s(self, length_s: float) -> float:
        """Return for how much of a time from now on submissions may start, by `limits.window`."""
        told, now_us = self._limits().window, self._clock.now_us()
        if told is None:
            return length_s
        return window(told).open_s(now_us, now_us + int(length_s * 1e6), self._bounds.zone)

    def _ended(self, plan: Plan, left: Left, ahead: Ahead | None, used_micros: int) -> Plan:
        """Return the plan with what ends a run of it before all is done, and after how many jobs."""
        budget, cost, most = plan.budget_micros, plan.cost_micros, self._bounds.max_new
        order, ends = self.manifest.order, list[tuple[int, Ends]]()
        if budget is not None and cost is not None and used_micros + cost > budget:
            ends.append((left.within(max(0, budget - used_micros), order), "budget"))
        if most is not None and most < plan.to_submit:
            ends.append((most, "enough"))
        if ahead is not None and plan.deadline_s is not None:
            left_s = self._open_s(plan.deadline_s)
            done = in_time(ahead, plan.to_submit, plan.states[JobState.ACTIVE], left_s)
            ends += [(done, "deadline")] if done < plan.to_submit else []
        if not ends:
            return plan
        within, why = min(ends, key=lambda one: one[0])
        micros = None if cost is None else left.cost(within, order)
        return replace(plan, within=within, ends=why, within_micros=micros)

    def _prior(self) -> Durations:
        """Return how long requests are thought to take: the card tells, though not of a stand-in's pace."""
        takes_s = self.card.limits.takes_s
        return UNKNOWN if takes_s is None or is_stand_in(self._origin) else typical(*takes_s)

    def bill(self, path: Path, each: Each | None = None) -> tuple[Plan, Bill]:
        """Return the plan, and what is to be saved of it at `path` for a run that does exactly that.

        `each` is called with every job.

        Raises:
            LocalError: the state table cannot be read.
        """
        listing = Listing()

        def see(job: Job, change: Change, state: JobState) -> None:
            listing.see(job, change, state)
            if each is not None:
                each(job, change, state)

        plan = self.plan(see)
        at = utc_text(self._clock.now_us())
        bill = make_bill(path, self.manifest, self.card.sha256, plan, listing, state=self.state_path, at=at)
        return plan, bill

    def check_bill(self, bill: Bill) -> str:
        """See that a saved plan still holds; what an earlier run of it has done does not count against it.

        Returns what is to be told though it holds; mostly nothing.

        Raises:
            UsageError: something has changed since; the text names each difference.
            LocalError: the state table cannot be read.
        """
        held = Held(bill)
        verdict = held.against(self.manifest, self.card.sha256, self.plan(held.see), self.state_path)
        refuse_changed(bill, verdict.differences)
        return verdict.note

    def drift(self) -> Drift:
        """Tell what would be sent otherwise than it was recorded, byte for byte.

        Raises:
            UsageError: nothing was recorded yet.
            LocalError: the state table cannot be read.
        """
        with self._recorded() as db:
            if db is None:
                again = f"batchrunner plan {shlex.quote(str(self.manifest_path))} --record"
                raise UsageError(f"nothing was recorded of {self.name} yet; record it: {again}")
            return drift(self.manifest, self.card, db)
