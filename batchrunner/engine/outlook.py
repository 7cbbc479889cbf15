"""What is to be expected of a run that goes on: when it will be over, and what all will have cost by then."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass

from batchrunner.engine.run import Run
from batchrunner.engine.steps import Stop
from batchrunner.rules.budget import reach
from batchrunner.rules.durations import setting
from batchrunner.rules.expected import range_micros
from batchrunner.rules.foresight import Foresight, Share, foresee
from batchrunner.store import counters
from batchrunner.values import AttemptState


@dataclass(frozen=True, slots=True)
class Outlook:
    """Money in micro-dollars, of the whole campaign when the run is over; None where a price is not known.

    `within`: so many of the jobs that wait start before `ends` ends the run; None: all do. `cut`: a deadline
    comes before the finish. `least_micros` None: too few jobs have ended to say more than what it costs at
    most.
    """

    finish: Foresight | None
    within: int | None
    least_micros: int | None
    most_micros: int | None
    ends: Stop | None = None
    cut: bool = False


def look_ahead(run: Run) -> Outlook | None:
    """Work out what is to be expected from what was learned; None: the run is about to end."""
    if run.ending is not None:
        return None
    db, budget = run.store.db, run.limits.budget_micros
    pending, cost, dearest = counters.pending(db)
    open_, spent = run.books.reserved_micros, run.books.spent_micros
    starts, ends, most = pending, None, None
    if budget is not None and cost is not None and spent + open_ + cost > budget:
        order = counters.pending_in_order(db, run.terms.order)
        starts, ends, most = reach(order, max(0, budget - spent - open_)), Stop.BUDGET, budget
    rest = run.gate.rest(run.books.submissions)
    if rest is not None and rest < starts:
        starts, ends = rest, Stop.ENOUGH
        cost = None if cost is None else min(cost, rest * dearest)
    finish = _finish(run, starts)
    now_s, now_us = run.times()
    deadline_s = run.gate.ends_s(now_s, now_us)
    cut = deadline_s is not None and finish is not None and now_s + finish.likely_s > deadline_s
    least, at_most = None, None
    if cost is not None:
        jobs = (starts if ends is Stop.ENOUGH else pending) + run.desk.in_flight
        span = range_micros(open_ + cost, jobs, counters.shown(db))
        low, high = (None, open_ + cost) if span is None else span
        bound = math.inf if most is None else most
        at_most = int(min(spent + high, bound))
        least = None if low is None else int(min(spent + low, bound))
    within = None if ends is None else starts
    return Outlook(finish, within, least, at_most, ends, cut=cut)


def rest_s(run: Run) -> float | None:
    """Return how long the jobs that wait would take in another run; None: nothing is known of that."""
    job, (pending, _cost, _dearest) = run.intake.peek(run.times()[1]), counters.pending(run.store.db)
    if job is None or not pending:
        return None
    what = setting(job.model, job.payload)
    known = run.learning.durations(what)
    if not known.samples and run.learning.likely_s(what) is None:
        return None
    told = foresee(
        [Share(pending, known)],
        (),
        slots=run.limits.in_flight,
        per_minute=run.limits.submits_per_minute,
        tries=1.0,
        rng=random.Random(pending),  # noqa: S311 - plays nights, guards nothing
    )
    return told.likely_s if told else None


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
