"""The runs of a campaign: when each began, and how the last one ended.

The beginning and the end are two events. A run that is killed leaves no second one, and so do one that finds
the disk full at its end and one that meets a bug: then all that is known is when it last wrote something.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from sqlite_utils import Database

from batchrunner.clock import utc_us
from batchrunner.store.changes import Noted
from batchrunner.store.schema import UNUSUAL
from batchrunner.values import Order

BEGAN, ENDED, RECORDED = "run", "run ended", "recorded"  # kinds of the events
ASLEEP, SILENT = "suspend", "outage"  # of events that tell how long nobody could look: see `unwatched`
BROKE_OFF = "error"  # why a run ended, where it was none of the engine's reasons


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run. Times are wall time in microseconds UTC; `ended_us` None: it left no word of an end.

    `stop`: why it ended before its work did, in the engine's words; `BROKE_OFF` where it ended with an error.
    """

    began_us: int
    last_us: int  # when it last wrote anything
    ended_us: int | None = None
    stop: str | None = None
    detail: str = ""
    exit_code: int | None = None
    next_step: str = ""  # what it said to do now; empty once something has happened since


def end_of_run(at_us: int, exit_code: int, stop: str | None, detail: str, next_step: str = "") -> Noted:
    """Return the event that tells of a run's end."""
    evidence = {"exit_code": exit_code, "stop": stop, "next": next_step}
    told = {name: value for name, value in evidence.items() if value not in {None, ""}}
    return Noted(ENDED, at_us, detail=detail, evidence=told)


def last_event(db: Database) -> int:
    """Return the id of the newest event, 0 where there is none."""
    (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()
    return int(newest)


def last_run(db: Database) -> PastRun | None:
    """Return the newest run, or None where there was none yet."""
    rows = _rows(db, "ORDER BY id DESC LIMIT 2")  # it has the newest of these events, or the newest two
    began = next((row for row in rows if row.kind == BEGAN), None)
    if began is None:
        return None
    last_at, last_id = db.execute(
        "SELECT at, id FROM events WHERE epoch = ? ORDER BY id DESC LIMIT 1", [began.epoch]
    ).fetchone()
    (newest_id,) = db.execute("SELECT max(id) FROM events").fetchone()
    ended = next((row for row in rows if row.kind == ENDED and row.epoch == began.epoch), None)
    return _past(began, ended, last_at, told_last=last_id == newest_id)


class Terms(NamedTuple):
    """What the jobs were last written down with; money in micro-dollars."""

    budget_micros: int | None = None  # None: there is none
    order: Order = "coverage"
    window: str | None = None  # the hours in which submissions may start; None: all of them


def last_terms(db: Database) -> Terms:
    """Return the terms of the newest run, or of what was recorded since."""
    row = db.execute(
        f"""SELECT evidence FROM events WHERE kind IN ('{BEGAN}', '{RECORDED}') AND {UNUSUAL}
            ORDER BY id DESC LIMIT 1"""
    ).fetchone()
    told = json.loads(row[0] or "{}") if row else {}
    return Terms(told.get("budget_usd_micros"), told.get("order") or "coverage", told.get("window"))


def past_runs(db: Database) -> list[PastRun]:
    """Return all runs, oldest first. Looks at every event."""
    rows = _rows(db, "ORDER BY id")
    ends = {row.epoch: row for row in rows if row.kind == ENDED}
    words = dict(db.execute("SELECT epoch, max(at) FROM events GROUP BY epoch").fetchall())
    return [_past(row, ends.get(row.epoch), words[row.epoch]) for row in rows if row.kind == BEGAN]


class Unwatched(NamedTuple):
    """A stretch of time in which nobody could see what the provider did; wall time, microseconds UTC."""

    from_us: int
    to_us: int


def unwatched(db: Database, runs: Sequence[PastRun]) -> list[Unwatched]:
    """Return when no run was at work, the machine was asleep, or the provider did not answer, in order.

    `runs`: all of them. What overlaps is one stretch.
    """
    rows = db.execute(
        f"""SELECT at, coalesce(json_extract(evidence, '$.asleep_s'), json_extract(evidence, '$.silent_s'), 0)
            FROM events WHERE kind IN ('{ASLEEP}', '{SILENT}') AND {UNUSUAL}"""
    ).fetchall()
    found = [Unwatched(utc_us(at) - int(seconds * 1e6), utc_us(at)) for at, seconds in rows]
    found += [Unwatched(one.ended_us or one.last_us, after.began_us) for one, after in pairwise(runs)]
    merged: list[Unwatched] = []
    for from_us, to_us in sorted(found):
        if merged and from_us <= merged[-1].to_us:
            merged[-1] = Unwatched(merged[-1].from_us, max(to_us, merged[-1].to_us))
        elif to_us > from_us:
            merged.append(Unwatched(from_us, to_us))
    return merged


class _Row(NamedTuple):
    """An event that tells of a run's beginning or end."""

    kind: str
    at: str
    epoch: int
    detail: str | None
    evidence: str | None


def _rows(db: Database, which: str) -> list[_Row]:
    rows = db.execute(
        f"""SELECT kind, at, epoch, detail, evidence FROM events
            WHERE kind IN ('{BEGAN}', '{ENDED}') AND {UNUSUAL} {which}"""
    )
    return [_Row(*row) for row in rows.fetchall()]


def _past(began: _Row, ended: _Row | None, last_at: str, *, told_last: bool = False) -> PastRun:
    run = PastRun(utc_us(began.at), utc_us(last_at))
    if ended is None:
        return run
    told = json.loads(ended.evidence or "{}")
    return replace(
        run,
        ended_us=utc_us(ended.at),
        stop=told.get("stop"),
        detail=ended.detail or "",
        exit_code=told.get("exit_code"),
        next_step=told.get("next", "") if told_last else "",
    )
