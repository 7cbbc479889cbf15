"""Does a manifest still send what was recorded of it, byte for byte? Reads only.

What is compared is each job's model and payload as text. A local picture stands in the payload by its
content hash, so that other bytes in the same file are seen; what lies behind a URL is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from sqlite_utils import Database

from batchrunner.cards import Card
from batchrunner.manifest.expand import expand
from batchrunner.store import recorded
from batchrunner.values import JSON, Job, Manifest, canonical

CHUNK = 500
SHOWN = 5  # jobs that are told one by one
VALUE_MAX = 60  # characters of a value in a sentence


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs: jobs that would be sent and are not recorded so, recorded ones that would not be sent."""

    differing: int
    absent: int
    first: tuple[str, ...]  # sentences on the first of them

    def __bool__(self) -> bool:
        return bool(self.differing or self.absent)


def drift(manifest: Manifest, card: Card, db: Database) -> Drift:
    """Hold every job of the manifest against the recorded ones."""
    told: list[str] = []
    differing = same = 0
    jobs = expand(manifest, card)
    while chunk := list(islice(jobs, CHUNK)):
        known = recorded.payload_texts(db, [job.id for job in chunk])
        for job in chunk:
            if known.get(job.id) == f"{job.model} {canonical(dict(job.payload))}":
                same += 1
                continue
            differing += 1
            if len(told) < SHOWN:
                told.append(_told(db, job))
    absent = recorded.position_count(db) - same
    if absent and not differing:
        ids = {job.id for job in expand(manifest, card)}
        told = [f"{job}: recorded, and not in the manifest" for job in recorded.first_not_in(db, ids, SHOWN)]
    return Drift(differing, absent, tuple(told))


def _told(db: Database, job: Job) -> str:
    """Say how a job differs from the recorded one that is most like it at its place, if there is one."""
    there = recorded.at_place(db, job.id.rpartition("-")[0])
    nearest = [(id_, list(_differences(json.loads(payload), job.payload))) for id_, payload in there]
    if not nearest:
        return f"{job.id}: not recorded"
    was, differences = min(nearest, key=lambda one: len(one[1]))
    return f"{job.id}: not recorded so; {was} has {', '.join(differences) or 'another model'}"


def _differences(before: Mapping[str, JSON], after: Mapping[str, JSON]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        old, new = (canonical(one[name]) if name in one else "nothing" for one in (before, after))
        if old != new:
            yield f"{name} {_short(old)}, not {_short(new)}"


def _short(text: str) -> str:
    return text if len(text) <= VALUE_MAX else f"{text[: VALUE_MAX - 1]}…"
