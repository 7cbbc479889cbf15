"""What a run would do, from the manifest and, where there is one, the state table. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from sqlite_utils import Database

from batchrunner.cards import Card
from batchrunner.manifest.expand import expand
from batchrunner.store import reading, recorded
from batchrunner.values import Job, JobState, Manifest

CHUNK = 500
PAID = frozenset({JobState.DONE, JobState.ACTIVE, JobState.HELD})  # or may have been


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do. Money in micro-dollars, at most; None where a price is not known."""

    campaign: str
    model: str
    provider: str
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


def make_plan(manifest: Manifest, card: Card, db: Database | None) -> Plan:
    """Hold the manifest's jobs against what is recorded; `db` None: nothing is recorded yet."""
    jobs = new = changed = done = to_submit = total = cost = again = 0
    priced = True
    for chunk in _chunks(expand(manifest, card)):
        known = recorded.job_states(db, [job.id for job in chunk]) if db else {}
        fresh = [_place(job.id) for job in chunk if job.id not in known]
        before = recorded.states_of_places(db, fresh) if db else {}
        for job in chunk:
            state = known.get(job.id, JobState.PENDING)
            jobs += 1
            if job.id not in known:
                states = before.get(_place(job.id))
                new += states is None
                changed += states is not None
                again += (job.cost_micros or 0) if states and states & PAID else 0
            done += state is JobState.DONE
            to_submit += state is JobState.PENDING
            priced = priced and job.cost_micros is not None
            total += job.cost_micros or 0
            cost += (job.cost_micros or 0) if state is JobState.PENDING else 0
    known_jobs = recorded.count_jobs(db) if db else 0
    return Plan(
        campaign=manifest.campaign,
        model=manifest.model,
        provider=manifest.provider,
        jobs=jobs,
        new=new,
        changed=changed,
        unchanged=jobs - new - changed,
        gone=known_jobs - (jobs - new - changed),
        done=done,
        to_submit=to_submit,
        cost_micros=cost if priced else None,
        again_micros=again if priced else None,
        total_micros=total if priced else None,
        spent_micros=reading.money(db)[0] if db else 0,
        budget_micros=manifest.limits.budget_micros,
        price=card.price_text(manifest.price),
    )


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
