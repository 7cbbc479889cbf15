"""What must be true once nothing is left to do, and of the state table itself; `check` holds at any instant.

The legal moves are written out here once more, so that a change of rules/states.py has to be meant.
"""

from __future__ import annotations

import sqlite3
from collections import Counter

from sqlite_utils import Database

from batchrunner.rehearsal.oracle import OPEN, Found, attempts_of, check, is_paid, unowned
from batchrunner.rehearsal.provider import Provider
from batchrunner.store import reading

__all__ = ["check", "check_end"]

MOVES = frozenset(
    {
        *(
            (None, "submitting"),
            ("submitting", "accepted"),
            ("submitting", "refused"),
            ("submitting", "unknown"),
        ),
        *(("unknown", "accepted"), ("unknown", "held"), ("unknown", "waived")),
        *(("accepted", "ready"), ("accepted", "failed"), ("accepted", "cancelled"), ("accepted", "held")),
        *(("ready", "fetched"), ("ready", "held"), ("fetched", "done")),
        *(("held", "accepted"), ("held", "waived"), ("held", "cancelled")),
    }
)
# Each must be refused by the table itself, whatever the program asks for.
FORBIDDEN = (
    """INSERT INTO attempts (job, number, state, model, account, origin, payload, fingerprint, epoch)
       SELECT job, number + 90, 'submitting', model, account, origin, payload, fingerprint, epoch
       FROM attempts WHERE state = 'done' LIMIT 1""",
    """UPDATE attempts SET request_id = (SELECT request_id FROM attempts WHERE state = 'done' LIMIT 1)
       WHERE id = (SELECT id FROM attempts WHERE state = 'done' LIMIT 1 OFFSET 1)""",
    "UPDATE attempts SET state = 'waived' WHERE state = 'done'",
    "DELETE FROM attempts WHERE state = 'done'",
    "DELETE FROM events WHERE kind = 'intent'",
)


def check_end(provider: Provider, db: Database, *, out_of_budget: bool) -> Found:
    """Check what must hold once the weather is calm and nothing is left to do."""
    found = Found()
    attempts = attempts_of(db)
    owners = {one["request_id"]: one for one in attempts if one["request_id"]}
    jobs = list(db.query("SELECT id, state FROM jobs"))
    held = {one.job for one in reading.held_jobs(db)}
    states = {"done", "failed", "held"} | ({"pending"} if out_of_budget else set())
    for job in jobs:
        newest = [one for one in attempts if one["job"] == job["id"]][-1:]
        state = newest[0]["state"] if newest else "none"
        if job["state"] not in states:
            found.wrongs.append(f"{job['id']} is left {job['state']} (attempt {state})")
        if state in OPEN and job["state"] != ("done" if state == "done" else "held"):
            found.wrongs.append(f"{job['id']} is {job['state']}, its attempt {state}")
        if job["state"] == "done" and state != "done":
            found.wrongs.append(f"{job['id']} counts as done, its attempt is {state}")
        if state == "held" and job["id"] not in held:
            found.wrongs.append(f"{job['id']} is held, and nobody is told")
    waived = Counter(one["fingerprint"] for one in attempts if one["state"] == "waived")
    for print_ in provider.group:
        missed = len(unowned(provider, owners, print_)) - waived[print_]
        if missed > 0 and provider.world.schedule.timely:
            found.wrongs.append(f"{missed} requests stand in a readable list and were not found")
    billed = sum(one.ours and one.stands for one in provider.requests.values())
    cost = sum(one["cost_usd_micros"] or one["reserved_usd_micros"] or 0 for one in attempts if is_paid(one))
    spent, reserved = reading.money(db)
    price = provider.world.schedule.jobs[0].cost_micros
    assert price is not None, "a night without a price proves nothing about money"
    if spent + reserved != cost or cost < billed * price:
        found.wrongs.append(
            f"{billed} requests are billed; the table counts {spent} + {reserved}, not {cost}"
        )
    _check_events(db, found)
    _check_refusals(db, found)
    return found


def _check_events(db: Database, found: Found) -> None:
    """The events tell each attempt's life without a gap, by legal moves, to the state it is in."""
    at: dict[int, str | None] = {}
    for attempt, source, target in db.execute(
        """SELECT attempt, from_state, to_state FROM events
           WHERE attempt IS NOT NULL AND to_state IS NOT NULL ORDER BY id"""
    ).fetchall():
        if (source, target) not in MOVES or at.get(attempt) != source:
            found.wrongs.append(f"attempt {attempt} moved from {source} to {target} out of {at.get(attempt)}")
        at[attempt] = target
    held = {one["id"]: one["state"] for one in attempts_of(db)}
    if held != at:
        found.wrongs.append("the events do not lead to the states of the attempts")


def _check_refusals(db: Database, found: Found) -> None:
    """The table itself refuses what must never be written."""
    for statement in FORBIDDEN:
        db.conn.execute("BEGIN IMMEDIATE")
        try:
            if db.conn.execute(statement).rowcount > 0:
                found.wrongs.append(f"the table took: {' '.join(statement.split())}")
        except sqlite3.IntegrityError:
            pass
        finally:
            db.conn.execute("ROLLBACK")
