"""What this run knows of how long requests take, and the timetables of polls that follow from it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from batchrunner.engine.desk import Live
from batchrunner.rules.durations import LEARNED, UNKNOWN, Durations, Setting, Took, setting
from batchrunner.rules.polling import Timetable, timetable
from batchrunner.rules.states import EventKind
from batchrunner.store.changes import Moved
from batchrunner.store.learned import TOOK, History
from batchrunner.values import AttemptState

RELEARN = 1.1  # with so many times more samples a setting is worked out anew


class Learning:
    """Starts from what the state tables tell and goes on with every request that this run sees finished."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._newer: dict[Setting, list[Took]] = defaultdict(list)
        self._at: dict[Setting, int] = {}  # samples at which a setting is worked out (again)
        self._stale: set[Setting] = {*history.own, *history.others}
        self.timetables: Mapping[Setting, Timetable] = {}

    def noted(self, change: Moved) -> None:
        """Learn from a request that has just been seen finished."""
        if change.kind is not EventKind.READY or TOOK not in change.evidence:
            return
        took = Took(*change.evidence[TOOK])
        if not took.tells:
            return
        what = setting(change.attempt.model, change.attempt.payload)
        newer = self._newer[what]
        newer.append(took)
        if len(newer) >= self._at.get(what, 1):
            self._stale.add(what)

    def durations(self, what: Setting, live: Iterable[Live] = ()) -> Durations:
        """Return what is known of a setting; those of `live` that still run count as longer than so far."""
        running_s = [
            one.tries.running_s
            for one in live
            if one.attempt.state is AttemptState.ACCEPTED
            and one.tries.running_s > 0
            and setting(one.attempt.model, one.attempt.payload) == what
        ]
        return self._history.durations(what, running_s, self._newer[what])

    def likely_s(self, what: Setting) -> float | None:
        """Return within how many seconds a request very probably ends; None where that is a mere guess."""
        known = self.durations(what)
        return known.quantile_s(0.95) if known.learned or self._history.prior != UNKNOWN else None

    def relearn(self, live: Iterable[Live]) -> bool:
        """Work timetables out anew where enough has been seen since; tell whether there are new ones."""
        stale, self._stale = self._stale, set()
        new = {}
        for what in stale:
            known = self.durations(what, live)
            seen, before = len(self._newer[what]), known.samples - len(self._newer[what])
            wanted = max(LEARNED, math.ceil(known.samples * RELEARN)) - before
            self._at[what] = max(seen + 1, wanted)
            if known.learned:
                new[what] = timetable(known)
        self.timetables = {**self.timetables, **new}
        return bool(new)
