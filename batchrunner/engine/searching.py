"""Looking for submissions of unknown fate: whose turn it is, and what a listing means for each.

Attempts that are still open are looked for until they are found or patience runs out; attempts that were
held without an id are looked for once in every run, because finding one is always safe.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from batchrunner.engine.actions import Search as SearchAction
from batchrunner.engine.actions import Searched
from batchrunner.rules.matching import Echo, Looked, Lost, Search, compare, in_window, look
from batchrunner.store import reading
from batchrunner.store.lost import controls_near
from batchrunner.store.tables import Store
from batchrunner.values import Attempt, Listing

UNREAD_MAX = 20  # requests without an echo that one look asks for one by one


class Searching:
    """The search for lost attempts. `doubtful` are those whose first look is still to come."""

    def __init__(self, store: Store) -> None:
        self._db = store.db
        self._searches: dict[int, Search] = {}
        self._under_way: set[str] = set()
        self.held: dict[int, Attempt] = {}
        self.doubtful: set[int] = set()
        self.list_down = False

    def begin(self, attempts: Iterable[Attempt], held: Iterable[Attempt], now_s: float) -> int:
        """Take up what was in doubt when the run started; return how many that are."""
        self.held = {attempt.id: attempt for attempt in held}
        for attempt in attempts:
            self.doubtful.add(attempt.id)
            self._searches[attempt.id] = Search(now_s)
        return len(self.doubtful) + len(self.held)

    def unlooked_models(self) -> set[str]:
        """Return the models with held attempts that this run has not looked for yet."""
        return set() if self.list_down else {attempt.model for attempt in self.held.values()}

    def wants(self, model: str) -> bool:
        """Tell whether a look for this model may start now; if so it counts as started."""
        if model in self._under_way:
            return False
        self._under_way.add(model)
        return True

    def failed(self, outcome: Searched) -> None:
        """The list could not be read."""
        self._under_way.discard(outcome.model)
        self.list_down = True

    def unread(self, outcome: Searched, lost: list[Attempt], account: str) -> SearchAction | None:
        """Return the action that asks for missing echoes, where a look turns on them."""
        if outcome.reread or outcome.listing is None:
            return None
        listing = outcome.listing
        owned = self._owned(listing, account)
        everyone = [
            self._lost(attempt) for attempt in (*lost, *self.held.values()) if attempt.model == outcome.model
        ]
        vague = [
            job
            for job in listing.jobs
            if job.request_id not in owned
            and any(compare(one.payload, job.payload) is Echo.VAGUE for one in everyone)
        ]
        # Those that can be adopted first; the others can only speak against absence.
        vague.sort(key=lambda job: not any(in_window(job, one, listing.ahead_s) for one in everyone))
        if not vague:
            return None
        return SearchAction(outcome.model, listing, tuple(job.request_id for job in vague[:UNREAD_MAX]))

    def looked(self, outcome: Searched, lost: list[Attempt], account: str, now_s: float) -> list[Looked]:
        """Return what a finished look found for each lost attempt, held ones included."""
        self._under_way.discard(outcome.model)
        self.list_down = False
        assert outcome.listing is not None  # noqa: S101 - only a look that succeeded is finished
        everyone = [*lost, *(one for one in self.held.values() if one.model == outcome.model)]
        owned = self._owned(outcome.listing, account)
        found = look([self._lost(attempt) for attempt in everyone], outcome.listing, owned)
        for one in found:
            self.doubtful.discard(one.attempt_id)
            if one.attempt_id not in self.held:
                self._searches[one.attempt_id] = self.search(one.attempt_id, now_s).after(one, now_s)
        return found

    def search(self, attempt_id: int, now_s: float) -> Search:
        """Return how far the search for an attempt has come; it begins now if it has not yet."""
        return self._searches.setdefault(attempt_id, Search(now_s))

    def over(self, attempt_id: int) -> None:
        """Forget an attempt that was found or given up."""
        self._searches.pop(attempt_id, None)
        self.held.pop(attempt_id, None)
        self.doubtful.discard(attempt_id)

    def _owned(self, listing: Listing, account: str) -> Collection[str]:
        return reading.owned(self._db, account, [job.request_id for job in listing.jobs])

    def _lost(self, attempt: Attempt) -> Lost:
        """Say what to look for. Equal payloads share one window: any of them may have the other's request."""
        own = (attempt.submitted_us, attempt.lost_us or attempt.submitted_us)
        sent_us, lost_us = reading.lost_span_us(self._db, attempt.fingerprint) or own
        controls = tuple(controls_near(self._db, attempt))
        return Lost(attempt.id, attempt.payload, sent_us / 1e6, lost_us / 1e6, controls)
