"""What a run would do, from the manifest and, where there is one, the state table. Reads only."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, TypeAlias

from sqlite_utils import Database

from batchrunner.cards import Card
from batchrunner.manifest.expand import costs, places
from batchrunner.manifest.heap import uncollected
from batchrunner.manifest.places import Place
from batchrunner.replacing import PAID, TOGETHER_MAX, Shared, replaced
from batchrunner.rules.expected import Shown, expected_micros, range_micros
from batchrunner.rules.foresight import Foresight
from batchrunner.store import counters, reading, recorded
from batchrunner.tallies import Spread, Tally
from batchrunner.values import Job, JobState, Manifest

CHUNK = 500


class Change(StrEnum):
    """A job of the manifest beside what is recorded."""

    NEW = "new"
    CHANGED = "changed"  # it takes the place of a recorded job that is no longer in the manifest
    UNCHANGED = "unchanged"


Each: TypeAlias = Callable[[Job, Change, JobState], None]  # PENDING where the job is not recorded
EachPlace: TypeAlias = Callable[[Place, int, int], None]  # how many of its jobs wait, and are under way
Ends: TypeAlias = Literal["budget", "enough", "deadline"]  # as a run's own reasons are called


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
    changed: int  # recorded with another payload: each takes the place of one recorded job
    unchanged: int
    gone: int  # recorded, no longer in the manifest, and no changed job has taken its place
    done: int
    to_submit: int
    cost_micros: int | None  # of what is still to be submitted
    again_micros: int | None  # of that, for changed jobs that were paid for as they were
    total_micros: int | None  # of all jobs of the manifest
    spent_micros: int
    budget_micros: int | None
    price: str
    states: Mapping[JobState, int]  # of the manifest's jobs
    outside: Mapping[JobState, int]  # of the recorded jobs that the manifest no longer has as they are
    spread: Spread
    shown: Shown  # by this campaign's jobs so far
    expected_micros: int | None  # what will probably be paid; None: nothing to learn from yet
    # When it will be over: all done, or ended before; None: nothing to learn from yet.
    foresight: Foresight | None = None
    within: int | None = None  # of the jobs to be submitted so many start before `ends` ends it; None: all
    ends: Ends | None = None
    within_micros: int | None = None  # what these cost at most
    deadline_s: float | None = None  # seconds from now; None: there is none
    dearest_micros: int = 0  # of the jobs that are still to be submitted

    @property
    def finish_s(self) -> float | None:
        """Seconds of running until it is over, as is most likely."""
        return round(self.foresight.likely_s, 1) if self.foresight else None

    @property
    def expected_range(self) -> tuple[int, int] | None:
        """Between which sums what will be paid probably lies; None: too little to learn from."""
        cost = self.cost_micros
        return None if cost is None else range_micros(cost, self.to_submit, self.shown)

    @property
    def has_work(self) -> bool:
        """Tell whether a run would submit or fetch anything."""
        return bool(self.to_submit or self.count(JobState.ACTIVE))

    def count(self, state: JobState) -> int:
        """Count jobs in a state as a run ends with them: those that the manifest no longer has included."""
        return self.states[state] + self.outside[state]


@uncollected()
def make_plan(
    manifest: Manifest,
    card: Card,
    db: Database | None,
    each: Each | None = None,
    each_place: EachPlace | None = None,
) -> Plan:
    """Hold the manifest's jobs against what is recorded; `db` None: nothing is recorded yet.

    `each` is called with every job as it streams by, `each_place` with every place and how many of its jobs
    wait and are under way. Without `each` and a state table no job is made: its place tells all that is
    asked.
    """
    counts = _Counts(card)
    shared = Shared(manifest, card)
    found = places(manifest, card)
    if db is None and each is None:
        for place in found:
            counts.add_new(place)
            if each_place is not None and place.takes:
                each_place(place, len(place.takes), 0)
    else:
        for chunk in _chunks(found):
            _compare(chunk, db, counts, shared, each, each_place)
    jobs, states, cost = sum(counts.states.values()), counts.states, counts.cost_micros
    unchanged = jobs - counts.new - counts.changed
    known = counters.states(db) if db else dict.fromkeys(JobState, 0)
    there = {**states, JobState.PENDING: states[JobState.PENDING] - counts.new - counts.changed} if db else {}
    shown = recorded.shown(db) if db else Shown()
    return Plan(
        campaign=manifest.campaign,
        model=manifest.model,
        provider=manifest.provider,
        manifest=str(manifest.path),
        manifest_sha256=manifest.sha256,
        card_sha256=card.sha256,
        jobs=jobs,
        new=counts.new,
        changed=counts.changed,
        unchanged=unchanged,
        # Each recorded job is still there, became a changed one, or is gone: it is counted once.
        gone=sum(known.values()) - unchanged - counts.changed,
        done=states[JobState.DONE],
        to_submit=states[JobState.PENDING],
        cost_micros=cost if counts.priced else None,
        again_micros=counts.again_micros if counts.priced else None,
        total_micros=counts.total_micros if counts.priced else None,
        spent_micros=reading.money(db)[0] if db else 0,
        budget_micros=manifest.limits.budget_micros,
        price=card.price_text(manifest.price),
        states=states,
        outside={state: known[state] - there.get(state, 0) for state in JobState},
        spread=counts.tally.spread(priced=counts.priced),
        shown=shown,
        expected_micros=expected_micros(cost, shown) if counts.priced else None,
        dearest_micros=counts.dearest_micros,
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
        return ToPay(*counters.pending(db))
    plan = make_plan(manifest, card, db)
    return ToPay(plan.to_submit, plan.cost_micros, plan.dearest_micros)


def is_priced(manifest: Manifest, card: Card) -> bool:
    """Tell whether every job has a price; looks at each kind of job and stops at the first without."""
    return all(cost is not None for cost in costs(manifest, card))


class _Counts:
    """What a plan adds up while the places of the manifest stream by. Money in micro-dollars."""

    def __init__(self, card: Card) -> None:
        self.tally = Tally(card)
        self.states = dict.fromkeys(JobState, 0)
        self.new = 0
        self.changed = 0
        self.total_micros = 0
        self.cost_micros = 0
        self.again_micros = 0
        self.dearest_micros = 0
        self.priced = True

    def add(self, place: Place, states: Mapping[JobState, int], new: int, changed: int) -> None:
        """Count a place's jobs by state."""
        jobs, pay = sum(states.values()), states.get(JobState.PENDING, 0)
        for state, number in states.items():
            self.states[state] += number
        self.new += new
        self.changed += changed
        if jobs:
            self._pay(place, jobs, pay)

    def add_new(self, place: Place) -> None:
        """Count a place of which nothing is recorded."""
        jobs = len(place.takes)
        if jobs:
            self.states[JobState.PENDING] += jobs
            self.new += jobs
            self._pay(place, jobs, jobs)

    def _pay(self, place: Place, jobs: int, pay: int) -> None:
        cost = place.setting.cost_micros
        self.tally.add_some(place.image, place.prompt, place.setting.wire, cost, jobs, pay)
        self.priced = self.priced and cost is not None
        self.total_micros += jobs * (cost or 0)
        self.cost_micros += pay * (cost or 0)
        self.dearest_micros = max(self.dearest_micros, (cost or 0) if pay else 0)


def _compare(
    chunk: list[Place],
    db: Database | None,
    counts: _Counts,
    shared: Shared,
    each: Each | None,
    each_place: EachPlace | None,
) -> None:
    """Count the jobs of some places as they are recorded; `each` is called with each of them."""
    made = [list(place.jobs()) if each else list(place.rows()) for place in chunk]
    ids = [[job.id if isinstance(job, Job) else job[0] for job in jobs] for jobs in made]
    known = recorded.job_states(db, itertools.chain.from_iterable(ids)) if db else {}
    fresh = {_without_hash(id_) for some in ids for id_ in some if id_ not in known}
    before = replaced(recorded.jobs_of_places(db, fresh), ids, shared) if db and fresh else {}
    for place, jobs, some in zip(chunk, made, ids, strict=True):
        new = changed = 0
        states = Counter(known.get(id_, JobState.PENDING) for id_ in some)
        for job, id_ in zip(jobs, some, strict=True):
            change = Change.UNCHANGED
            if id_ not in known:
                were = before.get(_without_hash(id_))
                change = Change.CHANGED if were else Change.NEW
                new += not were
                changed += bool(were)
                if were:
                    was, state = were.pop()
                    shared.replace(was)
                    counts.again_micros += (place.setting.cost_micros or 0) if state in PAID else 0
            if each is not None and isinstance(job, Job):
                each(job, change, known.get(id_, JobState.PENDING))
        counts.add(place, states, new, changed)
        if each_place is not None and some:
            each_place(place, states[JobState.PENDING], states[JobState.ACTIVE])


def _without_hash(job_id: str) -> str:
    """Return a job's id without the hash of what it sends."""
    return job_id.rpartition("-")[0]


def _chunks(found: Iterable[Place]) -> Iterator[list[Place]]:
    """Yield places with some `CHUNK` jobs together, the settings of one image and prompt not divided."""
    chunk: list[Place] = []
    jobs = 0
    for place in found:
        full = jobs >= CHUNK and (place.image, place.prompt) != (chunk[-1].image, chunk[-1].prompt)
        if full or jobs >= TOGETHER_MAX:
            yield chunk
            chunk, jobs = [], 0
        chunk.append(place)
        jobs += len(place.takes) or 1
    if chunk:
        yield chunk
