"""What a run would do, from the manifest and, where there is one, the state table. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import TypeAlias

from sqlite_utils import Database

from batchrunner.cards import Card
from batchrunner.manifest.expand import expand
from batchrunner.rules.expected import Shown, expected_micros
from batchrunner.rules.foresight import Foresight
from batchrunner.store import reading, recorded
from batchrunner.tallies import Spread, Tally
from batchrunner.values import Job, JobState, Manifest

CHUNK = 500
PAID = frozenset({JobState.DONE, JobState.ACTIVE, JobState.HELD})  # or may have been


class Change(StrEnum):
    """A job of the manifest beside what is recorded."""

    NEW = "new"
    CHANGED = "changed"  # its place is recorded with another payload
    UNCHANGED = "unchanged"


Each: TypeAlias = Callable[[Job, Change, JobState], None]  # PENDING where the job is not recorded


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do. Money in micro-dollars, at most; None where a price is not known."""

    campaign: str
    model: str
    provider: str
    manifest: str
    manifest_sha256: str
    card_sha256: str
    jobs: int
    new: int
    changed: int  # recorded with another payload: a new job takes its place
    unchanged: int
    gone: int  # recorded, and no longer in the manifest
    done: int
    to_submit: int
    cost_micros: int | None  # of what is still to be submitted
    again_micros: int | None  # of that, for changed jobs that were paid for as they were
    total_micros: int | None  # of all jobs of the manifest
    spent_micros: int
    budget_micros: int | None
    price: str
    states: Mapping[JobState, int]  # of the manifest's jobs
    spread: Spread
    shown: Shown  # by this campaign's jobs so far
    expected_micros: int | None  # what will probably be paid; None: nothing to learn from yet
    foresight: Foresight | None = None  # when all will be done; None: nothing to learn from yet

    @property
    def finish_s(self) -> float | None:
        """Seconds of running until all is done, as is most likely."""
        return round(self.foresight.likely_s, 1) if self.foresight else None

    @property
    def has_work(self) -> bool:
        """Tell whether a run would submit or fetch anything."""
        return bool(self.to_submit or self.states[JobState.ACTIVE])


def make_plan(manifest: Manifest, card: Card, db: Database | None, each: Each | None = None) -> Plan:
    """Hold the manifest's jobs against what is recorded; `db` None: nothing is recorded yet.

    `each` is called with every job as it streams by.
    """
    jobs = new = changed = total = cost = again = 0
    states = dict.fromkeys(JobState, 0)
    tally = Tally(card)
    priced = True
    for chunk in _chunks(expand(manifest, card)):
        known = recorded.job_states(db, [job.id for job in chunk]) if db else {}
        fresh = [_place(job.id) for job in chunk if job.id not in known]
        before = recorded.states_of_places(db, fresh) if db else {}
        for job in chunk:
            state = known.get(job.id, JobState.PENDING)
            jobs += 1
            change = Change.UNCHANGED
            if job.id not in known:
                was = before.get(_place(job.id))
                change = Change.NEW if was is None else Change.CHANGED
                new += was is None
                changed += was is not None
                again += (job.cost_micros or 0) if was and was & PAID else 0
            states[state] += 1
            tally.add(job, pays=state is JobState.PENDING)
            if each is not None:
                each(job, change, state)
            priced = priced and job.cost_micros is not None
            total += job.cost_micros or 0
            cost += (job.cost_micros or 0) if state is JobState.PENDING else 0
    known_jobs = recorded.count_jobs(db) if db else 0
    shown = recorded.shown(db) if db else Shown()
    return Plan(
        campaign=manifest.campaign,
        model=manifest.model,
        provider=manifest.provider,
        manifest=str(manifest.path),
        manifest_sha256=manifest.sha256,
        card_sha256=card.sha256,
        jobs=jobs,
        new=new,
        changed=changed,
        unchanged=jobs - new - changed,
        gone=known_jobs - (jobs - new - changed),
        done=states[JobState.DONE],
        to_submit=states[JobState.PENDING],
        cost_micros=cost if priced else None,
        again_micros=again if priced else None,
        total_micros=total if priced else None,
        spent_micros=reading.money(db)[0] if db else 0,
        budget_micros=manifest.limits.budget_micros,
        price=card.price_text(manifest.price),
        states=states,
        spread=tally.spread(priced=priced),
        shown=shown,
        expected_micros=expected_micros(cost, shown) if priced else None,
    )


@dataclass(frozen=True, slots=True)
class ToPay:
    """What a run may still submit: jobs, and micro-dollars at most; None where a price is not known."""

    jobs: int
    cost_micros: int | None
    dearest_micros: int = 0  # of these jobs

    def within(self, budget_micros: int | None, used_micros: int) -> ToPay:
        """Return what a budget leaves of it: nothing beyond that can be paid."""
        if budget_micros is None or self.cost_micros is None:
            return self
        return replace(self, cost_micros=min(self.cost_micros, max(0, budget_micros - used_micros)))

    def first(self, jobs: int | None) -> ToPay:
        """Return what no more than some jobs of it may cost."""
        if jobs is None or jobs >= self.jobs:
            return self
        cost = None if self.cost_micros is None else min(self.cost_micros, jobs * self.dearest_micros)
        return replace(self, jobs=jobs, cost_micros=cost)


def to_pay(manifest: Manifest, card: Card, db: Database | None, version: str) -> ToPay:
    """Return what is still to be paid, without a look at each job where the manifest is recorded as it is."""
    row = reading.campaign(db) if db else None
    if db and row and recorded.is_recorded(row, manifest, card.sha256, version):
        return ToPay(*recorded.pending(db))
    dearest = 0

    def see(job: Job, _change: Change, state: JobState) -> None:
        nonlocal dearest
        if state is JobState.PENDING:
            dearest = max(dearest, job.cost_micros or 0)

    plan = make_plan(manifest, card, db, see)
    return ToPay(plan.to_submit, plan.cost_micros, dearest)


def _place(job_id: str) -> str:
    """Return a job's id without the hash of what it sends."""
    return job_id.rpartition("-")[0]


def is_priced(manifest: Manifest, card: Card) -> bool:
    """Tell whether every job has a price; looks at each kind of job and stops at the first without."""
    return all(job.cost_micros is not None for job in expand(manifest, card))


def _chunks(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    rest = iter(jobs)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
