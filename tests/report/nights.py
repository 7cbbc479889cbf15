"""Campaigns in every condition, written through the real store, with films under the clips' names."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from batchrunner.cards import load_card
from batchrunner.manifest.expand import expand
from batchrunner.manifest.load import load_bytes
from batchrunner.rules.states import EventKind
from batchrunner.store.changes import Change, Intended, JobRuled, Moved, Noted
from batchrunner.store.runs import end_of_run
from batchrunner.store.tables import Store
from batchrunner.values import Attempt, AttemptState, Job, JobState, MediaFile, Reason
from tests.fakes import START_US

MANIFEST = """\
version: 1
campaign: {campaign}
model: {model}
provider: gmi
seed: 7
takes: {takes}
parameters: {{aspect_ratio: "{ratio}"}}
matrix: {{quality: {qualities}}}
{images}prompts:
{prompts}
"""
SECOND = 1_000_000
Fate = Callable[[int, Job], str]


@dataclass
class NightMaker:
    """A campaign to be told of. `fate` names each job's end: see `_end`."""

    root: Path
    films: Sequence[Path] = ()
    images: Sequence[str] = ("fox", "harbour", "lighthouse")
    prompts: Sequence[tuple[str, str]] = (("push-in", "Slow push-in, soft light"), ("drift", "Camera drifts"))
    model: str = "pixverse-v5.6-i2v"
    takes: int = 2
    qualities: Sequence[str] = ("540p",)
    ratio: str = "16:9"
    campaign: str = "night"
    slots: int = 8
    fate: Fate = lambda _number, _job: "done"
    url: str = "https://example.com/{image}.png"
    stopped: str | None = None  # why the last run ended before its work did, in a word
    killed: bool = False  # it left no word of an end
    pauses: Sequence[int] = ()  # jobs before which nothing happens for half a day
    _ids: int = 0
    _free: list[int] = field(default_factory=list)
    _rng: random.Random = field(default_factory=lambda: random.Random(3))

    @property
    def state(self) -> Path:
        """The folder of state tables."""
        return self.root / "state"

    @property
    def folder(self) -> Path:
        """The folder of the clips."""
        return self.root / "outputs" / self.campaign

    def make(self) -> NightMaker:
        """Write the state table and the clips."""
        self.state.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = (f'  - {{id: {one}, url: "{self.url.format(image=one)}"}}\n' for one in self.images)
        images = "".join(["images:\n", *rows]) if self.images else ""
        prompts = "\n".join(f"  - id: {id_}\n    text: {json.dumps(text)}" for id_, text in self.prompts)
        text = MANIFEST.format(
            campaign=self.campaign,
            model=self.model,
            takes=self.takes,
            ratio=self.ratio,
            qualities=list(self.qualities),
            images=images,
            prompts=prompts,
        )
        manifest, card = load_bytes(text.encode(), self.root / "night.yaml")
        jobs = list(expand(manifest, card or load_card("pixverse-v5.6-i2v")))
        store = Store(self.state / f"{self.campaign}.db")
        try:
            store.record(
                manifest, "card", lambda: jobs, output_folder=self.folder, version="1", now_us=START_US
            )
            self._free = [START_US + SECOND] * self.slots
            for number, job in enumerate(jobs):
                if number in self.pauses:
                    self._free = [max(self._free) + 43_200 * SECOND] * self.slots
                    store.take_over()
                    store.commit([Noted("run", self._free[0], evidence={"version": "1"})])
                self._play(store, number, job, self.fate(number, job))
            if not self.killed:
                words = "it was so" if self.stopped else ""
                store.commit([end_of_run(max(self._free) + SECOND, 10 if words else 0, self.stopped, words)])
        finally:
            store.close()
        return self

    def _play(self, store: Store, number: int, job: Job, fate: str) -> None:
        slot = self._free.index(min(self._free))
        at = self._free[slot] + self._rng.randrange(SECOND // 2)
        if fate == "spared":
            words = "others with this picture were refused"
            store.commit([JobRuled(job.id, JobState.HELD, at, "spared", Reason.MODERATION, words)])
        elif fate != "pending":
            changes, ended = self._tries(number, job, fate, at)
            for change in changes:
                store.commit([change]) if len(changes) < 4 else None
            if len(changes) >= 4:
                store.commit(changes[:-1])
                store.commit(changes[-1:])
            self._free[slot] = ended

    def _tries(self, number: int, job: Job, fate: str, at: int) -> tuple[list[Change], int]:
        took = int(self._rng.lognormvariate(0, 0.35) * 75 * SECOND)
        self._ids += 1
        begun = Attempt(
            id=self._ids,
            job=job.id,
            number=1,
            name=job.name,
            failures=0,
            state=AttemptState.SUBMITTING,
            model=job.model,
            account="org",
            origin="https://x.test",
            payload=job.payload,
            fingerprint=job.fingerprint,
            reserved_micros=job.cost_micros or 0,
            submitted_us=at,
        )
        changes: list[Change] = [Intended(begun, at)]
        now = begun

        def go(kind: EventKind, state: AttemptState, when: int, job_: JobState, **more: Any) -> None:
            nonlocal now
            detail = more.pop("detail", "")
            after = replace(now, state=state, **more)
            changes.append(Moved(after, now.state, kind, when, job_, detail))
            now = after

        active = JobState.ACTIVE
        if fate == "lost":
            lost = at + 180 * SECOND
            go(EventKind.UNCLEAR, AttemptState.UNKNOWN, lost, active, lost_us=lost, reason=Reason.UNCLEAR)
            words = "no trace of it in the provider's list after 3 looks"
            go(EventKind.GAVE_UP, AttemptState.HELD, lost + 600 * SECOND, JobState.HELD, detail=words)
            return changes, lost
        taken = at + SECOND // 3
        id_ = f"r{self._ids}"
        go(EventKind.ACCEPTED, AttemptState.ACCEPTED, taken, active, request_id=id_, accepted_us=taken)
        if fate == "active":
            return changes, taken + took
        if fate.startswith("failed"):
            words = fate.partition(":")[2] or "content moderation: the prompt was refused"
            reason = Reason.MODERATION
            ended = taken + took // 3
            go(
                EventKind.FAILED,
                AttemptState.FAILED,
                ended,
                JobState.FAILED,
                reason=reason,
                cost_micros=0,
                detail=words,
            )
            return changes, ended
        ready = taken + took
        go(EventKind.READY, AttemptState.READY, ready, active, cost_micros=job.cost_micros)
        if fate == "unfetchable":
            words = "the clip's address answers 404"
            go(
                EventKind.UNFETCHABLE,
                AttemptState.HELD,
                ready + SECOND,
                JobState.HELD,
                reason=Reason.NO_MEDIA,
                detail=words,
            )
            return changes, ready + SECOND
        file = self._file(number, job)
        fetched = ready + int(self._rng.uniform(0.5, 4) * SECOND)
        go(EventKind.FETCHED, AttemptState.FETCHED, fetched, active, files=(file,))
        filed = fetched + SECOND // 20
        go(EventKind.PUBLISHED, AttemptState.DONE, filed, JobState.DONE)
        return changes, filed

    def _file(self, number: int, job: Job) -> MediaFile:
        path = self.folder / f"{job.name}.mp4"
        size = 1000
        if self.films:
            path.parent.mkdir(parents=True, exist_ok=True)
            film = self.films[number % len(self.films)]
            os.link(film, path)
            size = path.stat().st_size
        wide, _, high = self.ratio.partition(":")
        sha256 = hashlib.sha256(job.id.encode()).hexdigest()
        return MediaFile(f"{job.name}.mp4", sha256, size, 5.0, int(wide) * 40, int(high) * 40)
