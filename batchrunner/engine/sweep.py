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
from collections.abc import Collection, Iterable, Iterator, Mapping

from batchrunner.engine.actions import Sweep, Swept
from batchrunner.rules import retry
from batchrunner.rules.matching import Echo, Lost, compare, look
from batchrunner.store import lost, reading
from batchrunner.store.tables import Store
from batchrunner.values import UPLOAD, Attempt, Payload, PendingJob, RemoteJob, RemotePhase

WATCH_US = 72 * 3600 * 1_000_000  # how long a request that was given up may still turn up
TRIES = 3  # of a list that cannot be read, where nothing says that the state table lost anything


class Sweeper:
    """Which models are still to be swept. `must`: the state table is known to have lost something."""

    def __init__(self, store: Store, now_us: int, *, must: bool) -> None:
        self._db = store.db
        self._must = must
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

    def swept(self, outcome: Swept, account: str) -> Iterator[tuple[PendingJob, Payload, RemoteJob]]:
        """Yield the pending jobs that were paid for already: job, payload as it was sent, request."""
        self._under_way.discard(outcome.model)
        del self._left[outcome.model]
        listed = outcome.listing.jobs if outcome.listing else ()
        owned = reading.owned(self._db, account, [job.request_id for job in listed])
        by_seed = _by_number(job for job in listed if job.request_id not in owned)
        for seed, job in lost.pending_with_seeds(self._db, outcome.model, by_seed.keys()):
            for remote in by_seed[seed]:
                sent = as_sent(job.payload, remote.payload or {})
                if compare(sent, remote.payload) is Echo.SAME:
                    by_seed[seed].remove(remote)
                    yield job, sent, remote
                    break

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


def as_sent(payload: Payload, echo: Payload) -> Payload:
    """Return a payload with the addresses that the echo has for its local pictures.

    A picture gets a new address with every upload; which picture it was, the address does not tell. The
    seed, which is derived from the picture's name too, does.
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
