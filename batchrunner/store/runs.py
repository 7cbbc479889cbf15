"""The runs of a campaign: when each began, and how the last one ended.

The beginning and the end are two events. A run that is killed leaves no second one, and so do one that finds
the disk full at its end and one that meets a bug: then all that is known is when it last wrote something.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlite_utils import Database

from batchrunner.clock import utc_us
from batchrunner.store.changes import Noted
from batchrunner.store.schema import UNUSUAL

BEGAN, ENDED = "run", "run ended"  # kinds of the events
BROKE_OFF = "error"  # why a run ended, where it was none of the engine's reasons


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run. Times are wall time in microseconds UTC; `ended_us` None: it left no word of an end.

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


def last_run(db: Database) -> LastRun | None:
    """Return the newest run, or None where there was none yet."""
    began = _newest(db, BEGAN)
    if began is None:
        return None
    _id, at, epoch, _detail, _evidence = began
    newest_id, last_at = db.execute(
        "SELECT id, at FROM events WHERE epoch = ? ORDER BY id DESC LIMIT 1", [epoch]
    ).fetchone()
    ended = _newest(db, ENDED)
    if ended is None or ended[2] != epoch:
        return LastRun(utc_us(at), utc_us(last_at))
    id_, ended_at, _epoch, detail, evidence = ended
    told = json.loads(evidence or "{}")
    (last_id,) = db.execute("SELECT max(id) FROM events").fetchone()
    return LastRun(
        began_us=utc_us(at),
        last_us=utc_us(last_at),
        ended_us=utc_us(ended_at),
        stop=told.get("stop"),
        detail=detail or "",
        exit_code=told.get("exit_code"),
        next_step=told.get("next", "") if last_id == id_ == newest_id else "",
    )


def _newest(db: Database, kind: str) -> tuple[int, str, int, str | None, str | None] | None:
    row = db.execute(
        f"SELECT id, at, epoch, detail, evidence FROM events WHERE kind = ? AND {UNUSUAL} "
        "ORDER BY id DESC LIMIT 1",
        [kind],
    ).fetchone()
    return tuple(row) if row else None
