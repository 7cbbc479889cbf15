"""What can be asked of a campaign before money moves: plan, bill, what it still costs, what drifted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlite_utils import Database

from batchrunner.billing import Held, Listing, make_bill, refuse_changed
from batchrunner.bills import Bill
from batchrunner.cards import Card
from batchrunner.clock import Clock, utc_text
from batchrunner.errors import UsageError
from batchrunner.foreseeing import Left
from batchrunner.frozen import Drift, drift
from batchrunner.planning import Change, Each, Plan, make_plan
from batchrunner.rules.durations import UNKNOWN, Durations, typical
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
            plan = replace(plan, budget_micros=limits.budget_micros)
            within = self._within(plan, left, sum(reading.money(db)) if db else 0)
            foresight = left.foresee(db, self.state_path, self._origin, limits, tries, prior, within)
            return replace(plan, foresight=foresight, within=within)

    def _within(self, plan: Plan, left: Left, used_micros: int) -> int | None:
        """Return after how many jobs the budget ends a run; None: after all of them."""
        budget, cost = plan.budget_micros, plan.cost_micros
        if budget is None or cost is None or used_micros + cost <= budget:
            return None
        return left.within(max(0, budget - used_micros), self.manifest.order)

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

    def check_bill(self, bill: Bill) -> None:
        """See that a saved plan still holds; what an earlier run of it has done does not count against it.

        Raises:
            UsageError: something has changed since; the text names each difference.
            LocalError: the state table cannot be read.
        """
        held = Held(bill)
        plan = self.plan(held.see)
        refuse_changed(bill, held.differences(self.manifest, self.card.sha256, plan, self.state_path))

    def drift(self) -> Drift:
        """Tell what would be sent otherwise than it was recorded, byte for byte.

        Raises:
            UsageError: nothing was recorded yet.
            LocalError: the state table cannot be read.
        """
        with self._recorded() as db:
            if db is None:
                again = f"batchrunner plan {self.manifest_path} --record"
                raise UsageError(f"nothing was recorded of {self.name} yet; record it: {again}")
            return drift(self.manifest, self.card, db)
