"""A campaign on the stage: its real plan, run, limits and store; provider, clips and time are a world's.

It asks the real state table once, reading only, what is left to do and what was learned. From then on it
knows no folder but the one that it is given for a night, and no network.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from batchrunner.access import Access
from batchrunner.campaign import Campaign
from batchrunner.engine.gate import Bounds
from batchrunner.engine.run import Tools
from batchrunner.planning import Change
from batchrunner.rehearsal.clips import Shelf
from batchrunner.rehearsal.line import Customer, Line, public_url
from batchrunner.rehearsal.provider import Provider
from batchrunner.rehearsal.table import Table
from batchrunner.rehearsal.world import Crew, Mind, Watch, World
from batchrunner.rules.durations import Durations, Setting, setting
from batchrunner.store import reading
from batchrunner.store.learned import history, neighbours
from batchrunner.store.left import Left
from batchrunner.store.tables import Store
from batchrunner.values import Job, JobRow, JobState, Limits, fingerprint

PLENTY = 1 << 40  # bytes free on the disk


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be played: the jobs that are left, and what is known of them. Money in micro-dollars."""

    campaign: str
    jobs: tuple[Job, ...]  # as the state table has them
    sent: tuple[Job, ...]  # as they are sent: local pictures by their address
    states: Mapping[JobState, int]  # of all jobs of the manifest
    limits: Limits  # the budget is what is left of it
    used_micros: int  # spent and reserved before
    durations: Mapping[Setting, Durations]
    price: str
    cost_micros: int | None


@dataclass(frozen=True, slots=True)
class Scene:
    """One night's world, and where its state table lies."""

    world: World
    provider: Provider
    shelf: Shelf
    folder: Path


@dataclass(frozen=True, slots=True)
class Call:
    """Which campaign is played: the arguments of `Campaign`. `base_url`: whose durations count."""

    manifest: Path
    state: Path
    base_url: str
    in_flight: int | None = None
    bounds: Bounds = field(default_factory=Bounds)


class Stage(Campaign):
    """One campaign, played night after night; see `Campaign` for what its making raises."""

    def __init__(self, call: Call) -> None:
        super().__init__(
            call.manifest,
            state=call.state,
            output=os.devnull,
            in_flight=call.in_flight,
            bounds=call.bounds,
            access=Access(base_url=call.base_url),
        )
        self.call = call
        self._scene: Scene | None = None
        self._mind = Mind(0)
        self.script = self._read()

    @property
    def bounds(self) -> Bounds:
        """What was asked of this run alone."""
        return self._bounds

    def enter(self, scene: Scene, mind: Mind) -> None:
        """Begin another life in a scene: the process starts."""
        self._scene, self._mind = scene, mind
        self._state, self._outputs = scene.folder / "state", scene.folder / "outputs"
        self._clock = Watch(scene.world, mind)
        self._rng = random.Random(f"{scene.world.schedule.seed} runner {mind.number}")  # noqa: S311 - waits
        self._loop = None

    # --- what the campaign asks -----------------------------------------------------------------------

    @property
    def log_path(self) -> Path:
        """Nobody reads a rehearsal's log."""
        return Path(os.devnull)

    def check(self) -> None:
        """See `Campaign`. No key is needed."""
        self.check_price()

    def _limits(self) -> Limits:
        return self.script.limits if self._scene else super()._limits()

    def _rows(self) -> Iterator[JobRow]:
        return (job.row for job in self.script.jobs)

    def _open(self, left: Left | None) -> Store:
        scene = self._on_stage()
        return Table(self.state_path, scene.world, self._mind, left=left, create=True)

    @contextlib.contextmanager
    def _equipped(self) -> Iterator[Tools]:
        scene = self._on_stage()
        post, call, fetch, file = (
            Crew(scene.world, self._mind, verb) for verb in ("post", "call", "fetch", "file")
        )
        customer = Customer(Line(scene.provider, self._mind))
        yield Tools(customer, scene.shelf, self._clock, self._rng, post, call, fetch, file, lambda: PLENTY)

    # --- the parts ------------------------------------------------------------------------------------

    def _on_stage(self) -> Scene:
        if self._scene is None:
            raise RuntimeError("no night has begun")
        return self._scene

    def _read(self) -> Script:
        left = list[Job]()

        def see(job: Job, _change: Change, state: JobState) -> None:
            if state is JobState.PENDING:
                left.append(job)

        plan = self.plan(see)
        limits = super()._limits()
        with self._recorded() as db:
            used = sum(reading.money(db)) if db else 0
            past = history(db, neighbours(self.state_path), self._origin, self._prior())
        if limits.budget_micros is not None:
            limits = replace(limits, budget_micros=max(0, limits.budget_micros - used))
        settings = Counter(setting(job.model, job.payload) for job in left)
        return Script(
            campaign=self.name,
            jobs=tuple(left),
            sent=tuple(map(_sent, left)),
            states=plan.states,
            limits=limits,
            used_micros=used,
            durations={what: past.durations(what) for what in settings},
            price=plan.price,
            cost_micros=plan.cost_micros,
        )


def _sent(job: Job) -> Job:
    payload = {
        name: public_url(value) if isinstance(value, str) else value for name, value in job.payload.items()
    }
    return replace(job, payload=payload, fingerprint=fingerprint(job.model, payload), text="")
