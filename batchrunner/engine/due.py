"""What may start now: everything whose time has come, and as many new submissions as nothing forbids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from batchrunner.engine.actions import Action, Download, Poll, Probe, Publish, Search, Submit, Upload
from batchrunner.engine.desk import Live
from batchrunner.engine.planner import Situation, action_for, reseeded, submit_wait
from batchrunner.engine.run import Run
from batchrunner.engine.steps import Stop
from batchrunner.errors import InvariantError
from batchrunner.rules import budget
from batchrunner.values import AttemptState, PendingJob

T = TypeVar("T")

SUBMITS_AHEAD = 32  # POSTs on record as under way: what a kill leaves in doubt at most
PUBLISH_TOGETHER = 32
# Where so many downloads are due at once, two are one order, and so on: each order costs both processes some
# turns of their threads. Fewer than that keep all downloaders busy best as they are.
DOWNLOADS_AN_ORDER, DOWNLOAD_TOGETHER = 32, 8


def start_due(run: Run) -> None:
    """Note every action whose time has come, and every new submission that may start now."""
    now_s, now_us = run.times()
    if run.finishing:
        return
    if sentence := run.health.outlasted(now_s):
        run.end(Stop.OUTAGE, sentence)
        return
    if run.health.wants_probe(now_s):
        run.actions.append(Probe())
    api = run.may_call
    run.price_polls()
    for one in run.desk.due(now_s, api=api):
        _plan_one(run, one)
    if api:
        in_flight = run.desk.in_flight
        ready = len(run.desk.live) - in_flight
        run.actions.extend(run.polls.start(now_s, in_flight, ready=ready, busy=run.busy))
    run.actions = joined(run.actions)
    if api:
        run.actions.extend(run.sweeper.start(now_s))
        models = run.searching.unlooked_models()
        run.actions.extend(Search(model) for model in models if run.searching.wants(model))
    _plan_submits(run, now_s, now_us)
    if api and run.ending is None:
        _plan_uploads(run, now_s)


def _plan_one(run: Run, one: Live) -> None:
    action = action_for(one.attempt, one.urls, refetch=one.tries.refetch)
    if isinstance(action, Search) and not run.searching.wants(action.model):
        return  # the look that is under way speaks for this attempt too
    if isinstance(action, Poll):
        run.polls.want(one.attempt)
    elif action is not None:
        run.actions.append(action)


def joined(actions: Sequence[Action]) -> list[Action]:
    """Let one worker publish what became ready together, and fetch some of very many clips.

    Making names durable costs the same for all.
    """
    publishes = [one for one in actions if isinstance(one, Publish)]
    downloads = [one for one in actions if isinstance(one, Download)]
    found: list[Action] = [one for one in actions if not isinstance(one, Publish | Download)]
    size = min(DOWNLOAD_TOGETHER, 1 + len(downloads) // DOWNLOADS_AN_ORDER)
    for some in _chunks(downloads, size):
        attempts = tuple(attempt for one in some for attempt in one.attempts)
        found.append(Download(attempts, tuple(urls for one in some for urls in one.urls)))
    for parts in _chunks(publishes, PUBLISH_TOGETHER):
        found.append(Publish(tuple(attempt for one in parts for attempt in one.attempts)))
    return found


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _plan_submits(run: Run, now_s: float, now_us: int) -> None:
    run.intake.peek(now_us)  # even while nothing may start: so that it is known whether anything is left
    run.opens_us = run.gate.opens_us(now_us)
    if run.ending is None and not run.intake.empty and (late := run.gate.over(now_s, now_us)):
        run.end(Stop.DEADLINE, late)
    room = min(SUBMITS_AHEAD, run.pace.wire) - run.hands[Submit]
    while not (wait := submit_wait(_situation(run, now_s))) and room > 0:
        job = run.intake.peek(now_us)
        if job is None:
            break
        if run.gate.enough(run.books.submissions):
            run.end(Stop.ENOUGH, "as many new submissions as were asked for")
            break
        lacking = run.intake.lacking(job, run.health.account or "")
        if lacking and (refusal := run.intake.refusal(lacking[0])):
            run.rule_out(run.intake.take(), refusal, now_us)
            continue
        if lacking:
            run.intake.set_aside(lacking[0])
            run.uploads.want(lacking[:1], now_s)
            continue
        run.short = not budget.fits(
            job.cost_micros,
            spent_micros=run.books.spent_micros,
            reserved_micros=run.books.reserved_micros,
            budget_micros=run.limits.budget_micros,
        )
        if run.short:
            break
        if why := run.tools.unwritable(job.name):
            run.end(Stop.FOLDER, f"{why}; nothing was paid for {job.id}, whose clip belongs there")
            break
        _intend(run, run.intake.take(), now_s, now_us)
        room -= 1
    run.wait = wait


def _situation(run: Run, now_s: float) -> Situation:
    run.no_room = run.space.lacks(len(run.desk.live), now_s)
    return Situation(
        stopping=run.ending is not None,
        account_known=run.health.account is not None,
        key_in_doubt=not run.health.key_known,
        outage=run.health.outage,
        unlooked=len(run.searching.doubtful),
        list_down=run.searching.list_down and bool(run.desk.in_state(AttemptState.UNKNOWN)),
        unswept=not run.sweeper.over,
        no_room=bool(run.no_room),
        off_hours=run.opens_us is not None,
        in_flight=run.desk.in_flight,
        in_flight_limit=run.limits.in_flight,
        pace_ready_s=run.pace.ready_at_s(now_s, run.desk.in_flight),
        now_s=now_s,
    )


def _intend(run: Run, job: PendingJob, now_s: float, now_us: int) -> None:
    """Put one paid submission into this tick: its row first, its POST after the commit."""
    payload = reseeded(run.intake.payload(job), job, run.terms.seed_field)
    attempt = run.begin(job, payload, now_us, now_us).attempt
    run.books.submissions += 1
    run.sending(attempt, now_s)
    run.actions.append(Submit(attempt, run.terms.submit_timeout_s))


def _plan_uploads(run: Run, now_s: float) -> None:
    run.uploads.want(run.intake.ahead(run.health.account or ""), now_s)
    for sha256 in run.uploads.start(now_s):
        picture = run.intake.picture(sha256)
        if picture is None:
            raise InvariantError(f"no picture with content {sha256} in the manifest")
        run.actions.append(Upload(picture))
