"""Before anything new is paid for: does the provider already have it?

A state table can be deleted, or be put back from an old copy. What was paid for meanwhile is then known to
the provider only. Seeds are derived, not drawn, so the same job is the same request again, to the byte: the
sweep looks for the requests of pending jobs among those in the provider's list that no attempt owns, once in
every run, before its first submission. What it finds is taken over and not paid for again.

Only jobs with a seed are looked for: without one, two equal requests are two different renders.

The same list shows whether a request that was given up as absent, and paid for again, was there after all.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from batchrunner.engine.actions import Sweep, Swept
from batchrunner.rules import retry
from batchrunner.rules.matching import Echo, Lost, compare, look
from batchrunner.store import lost, reading
from batchrunner.store.tables import Store
from batchrunner.values import UPLOAD, Attempt, Payload, PendingJob, RemoteJob, RemotePhase

WATCH_US = 72 * 3600 * 1_000_000  # how long a request that was given up may still turn up
TRIES = 3  # of a list that cannot be read, where nothing says that the state table lost anything


@dataclass(frozen=True, slots=True)
class Claim:
    """A pending job and the request that is its own; `proved` False: a picture of it cannot be read."""

    job: PendingJob
    sent: Payload
    remote: RemoteJob
    proved: bool = True


class Sweeper:
    """Which models are still to be swept.

    `must`: the state table is known to have lost something, so the list must be read, and be whole. A table
    that knows of no attempt at all may be a lost one too: then the list must at least be read. Neither
    counts where a person was not `patient`.
    """

    def __init__(self, store: Store, now_us: int, *, must: bool, patient: bool = True) -> None:
        self._db = store.db
        self._must_be_whole = must and patient
        self._must = patient and (must or reading.last_attempt_id(store.db) == 0)
        self._watched = lost.watched(store.db, now_us - WATCH_US)
        models = {*lost.pending_models(store.db), *(one.model for one in self._watched)}
        self._left: dict[str, float] = dict.fromkeys(sorted(models), 0.0)
        self._under_way: set[str] = set()
        self._failures = 0
        self._since_s: float | None = None  # when the list first could not be read

    @property
    def over(self) -> bool:
        """True once nothing stands in the way of a first submission."""
        return not self._left

    def start(self, now_s: float) -> list[Sweep]:
        """Return the lists to be asked for now (steady seconds)."""
        due = [model for model, at_s in self._left.items() if at_s <= now_s and model not in self._under_way]
        self._under_way.update(due)
        return [Sweep(model) for model in due]

    def next_s(self) -> float | None:
        """Return when the next list is to be asked for, or None when none is."""
        waiting = [at_s for model, at_s in self._left.items() if model not in self._under_way]
        return min(waiting, default=None)

    def failed(self, outcome: Swept, now_s: float, rng: random.Random) -> float:
        """The list could not be read: try again; go on without where nothing is known to be lost.

        Returns for how long nothing has been sent because of that, in seconds.
        """
        self._under_way.discard(outcome.model)
        self._failures += 1
        self._since_s = now_s if self._since_s is None else self._since_s
        if self._failures >= TRIES and not self._must:
            del self._left[outcome.model]
        else:
            self._left[outcome.model] = now_s + retry.trouble_s(self._failures, rng)
        return now_s - self._since_s if self._left else 0.0

    def partial(self, outcome: Swept) -> bool:
        """Tell whether a list is not all there is, although it must be: what it lacks may be paid for."""
        return self._must_be_whole and outcome.listing is not None and not outcome.listing.complete

    def unread(self, outcome: Swept, account: str) -> Sweep | None:
        """Return the action that reads the pictures on which a claim turns, where there are any."""
        if outcome.pictures is not None:
            return None
        alike = self._alike(outcome, account)
        urls = {url for job, some in alike for sent, _remote in some for url in pictures_of(job, sent)}
        return Sweep(outcome.model, outcome.listing, tuple(sorted(urls))) if urls else None

    def swept(self, outcome: Swept, account: str) -> list[Claim]:
        """Return the pending jobs that were paid for already, and those that may have been."""
        self._under_way.discard(outcome.model)
        del self._left[outcome.model]
        claims: list[Claim] = []
        taken: set[str] = set()
        for job, some in self._alike(outcome, account):
            claim = _claim(
                job, [one for one in some if one[1].request_id not in taken], outcome.pictures or {}
            )
            if claim is not None:
                claims.append(claim)
                taken.add(claim.remote.request_id)
        return claims

    def _alike(
        self, outcome: Swept, account: str
    ) -> list[tuple[PendingJob, list[tuple[Payload, RemoteJob]]]]:
        """Return the pending jobs with the unowned requests that equal them but for a picture's address."""
        listed = outcome.listing.jobs if outcome.listing else ()
        owned = reading.owned(self._db, account, [job.request_id for job in listed])
        by_seed = _by_number(job for job in listed if job.request_id not in owned)
        found = []
        for seed, job in lost.pending_with_seeds(self._db, outcome.model, by_seed.keys()):
            pairs = ((as_sent(job.payload, remote.payload or {}), remote) for remote in by_seed[seed])
            some = [(sent, remote) for sent, remote in pairs if compare(sent, remote.payload) is Echo.SAME]
            if some:
                found.append((job, some))
        return found

    def orphans(
        self, outcome: Swept, account: str, open_: Collection[str]
    ) -> list[tuple[Attempt, RemoteJob]]:
        """Return the attempts that were given up although the provider has them, with their requests.

        `open_`: the fingerprints of attempts whose own request may still be unknown.
        """
        if outcome.listing is None:
            return []
        owned = reading.owned(self._db, account, [job.request_id for job in outcome.listing.jobs])
        given_up = {one.id: one for one in self._watched if one.model == outcome.model}
        sought = [
            Lost(one.id, one.payload, one.submitted_us / 1e6, (one.lost_us or one.submitted_us) / 1e6)
            for one in given_up.values()
            if one.fingerprint not in open_
        ]
        return [
            (given_up[looked.attempt_id], looked.match)
            for looked in look(sought, outcome.listing, owned)
            if looked.match
        ]


def pictures_of(job: PendingJob, sent: Payload) -> dict[str, str]:
    """Return the local pictures of a job: the address that was sent, and the content it must have."""
    return {
        str(sent[key]): value.removeprefix(UPLOAD).partition(".")[0]
        for key, value in job.payload.items()
        if isinstance(value, str) and value.startswith(UPLOAD)
    }


def _claim(
    job: PendingJob, some: Iterable[tuple[Payload, RemoteJob]], pictures: Mapping[str, str | None]
) -> Claim | None:
    doubtful: Claim | None = None
    for sent, remote in some:
        found = [(pictures.get(url), sha256) for url, sha256 in pictures_of(job, sent).items()]
        if all(is_there == wanted for is_there, wanted in found):
            return Claim(job, sent, remote)
        if all(is_there in {None, wanted} for is_there, wanted in found):
            doubtful = doubtful or Claim(job, sent, remote, proved=False)
    return doubtful


def as_sent(payload: Payload, echo: Payload) -> Payload:
    """Return a payload with the addresses that the echo has for its local pictures.

    A picture gets a new address with every upload, so the address does not tell which one it was; its
    content does (`pictures_of`).
    """
    return {
        key: echo.get(key) if isinstance(value, str) and value.startswith(UPLOAD) else value
        for key, value in payload.items()
    }


def _by_number(jobs: Iterable[RemoteJob]) -> Mapping[int, list[RemoteJob]]:
    """Index requests that run or have succeeded by each whole number in their payload, done ones first."""
    found: dict[int, list[RemoteJob]] = defaultdict(list)
    alive = (job for job in jobs if job.phase in {RemotePhase.SUCCESS, RemotePhase.RUNNING})
    for job in sorted(alive, key=lambda job: job.phase is not RemotePhase.SUCCESS):
        for value in (job.payload or {}).values():
            if isinstance(value, int) and not isinstance(value, bool):
                found[value].append(job)
    return found
