"""What is to be expected of a run that goes on: when it will be over, and what all will have cost by then."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass

from batchrunner.engine.run import Run
from batchrunner.rules.budget import reach
from batchrunner.rules.durations import setting
from batchrunner.rules.expected import range_micros
from batchrunner.rules.foresight import Foresight, Share, foresee
from batchrunner.store import counters
from batchrunner.values import AttemptState


@dataclass(frozen=True, slots=True)
class Outlook:
    """Money in micro-dollars, of the whole campaign when the run is over; None where a price is not known.

    `within`: so many of the jobs that wait fit into the budget, which then ends the run; None: all do.
    `least_micros` None: too few jobs have ended to say more than what it costs at most.
    """

    finish: Foresight | None
    within: int | None
    least_micros: int | None
    most_micros: int | None


def look_ahead(run: Run) -> Outlook:
    """Work out what is to be expected from what was learned."""
    db, budget = run.store.db, run.limits.budget_micros
    pending, cost, _dearest = counters.pending(db)
    open_, used = run.books.reserved_micros, run.books.spent_micros + run.books.reserved_micros
    within = None
    if budget is not None and cost is not None and used + cost > budget:
        within = reach(counters.pending_in_order(db, run.terms.order), max(0, budget - used))
    finish = _finish(run, pending if within is None else within)
    if cost is None:
        return Outlook(finish, within, None, None)
    span = range_micros(open_ + cost, pending + run.desk.in_flight, counters.shown(db))
    low, high = span or (None, open_ + cost)
    spent, most = run.books.spent_micros, budget if within is not None else None

    def whole(micros: int) -> int:
        return spent + micros if most is None else min(spent + micros, most)

    return Outlook(finish, within, None if low is None else whole(low), whole(high))


def _finish(run: Run, to_start: int) -> Foresight | None:
    """Tell when what runs and so many more will be done; None where nothing is left or known yet."""
    live = list(run.desk.live.values())
    running = [one for one in live if one.attempt.state is AttemptState.ACCEPTED]
    settings = Counter(setting(one.attempt.model, one.attempt.payload) for one in live)
    known = {what: run.learning.durations(what, running) for what in settings}
    if not any(one.samples for one in known.values()):
        return None
    now_us = run.tools.clock.now_us()
    shares = [
        Share(math.ceil(to_start * number / len(live)), known[what]) for what, number in settings.items()
    ]
    ages = [
        (
            max(0.0, now_us - (one.attempt.accepted_us or now_us)) / 1e6,
            known[setting(one.attempt.model, one.attempt.payload)],
        )
        for one in running
    ]
    return foresee(
        shares if to_start else (),
        ages,
        slots=run.limits.in_flight,
        per_minute=run.limits.submits_per_minute,
        tries=1.0,
        rng=random.Random(to_start),  # noqa: S311 - plays nights, guards nothing
    )
