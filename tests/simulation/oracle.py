"""What must be true, whatever the weather was: the provider's ledger against the state table.

`check` holds at every instant at which a runner may die; `check_end` once nothing is left to do. Jobs that
send the same payload are interchangeable, so requests and attempts are compared by payload, in numbers.
The legal moves are written out here once more, so that a change of rules/states.py has to be meant.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from sqlite_utils import Database

from batchrunner.store import reading
from tests.simulation.clips import Shelf, sha256_of
from tests.simulation.provider import Provider, Request
from tests.simulation.schedule import Schedule

OPEN = frozenset({"submitting", "unknown", "accepted", "ready", "fetched", "done", "held"})
IN_DOUBT = frozenset({"submitting", "unknown", "held"})
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


@dataclass(slots=True)
class Found:
    """What is wrong, in words and in numbers."""

    wrongs: list[str] = field(default_factory=list)
    duplicates: int = 0
    lost: int = 0
    gambles_lost: int = 0


def check(schedule: Schedule, provider: Provider, shelf: Shelf, db: Database) -> Found:
    """Check what must hold at any instant."""
    found = Found([*provider.wrongs, *shelf.wrongs])
    attempts = _attempts(db)
    owners = {one["request_id"]: one for one in attempts if one["request_id"]}
    by_payload: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in attempts:
        by_payload[one["fingerprint"]].append(one)
    _check_owners(provider, owners, found)
    _check_waived(schedule, attempts, found)
    for print_ in provider.group:
        some = by_payload[print_]
        waived = sum(one["state"] == "waived" for one in some)
        doubted = sum(one["state"] in IN_DOUBT and not one["request_id"] for one in some)
        _check_paid_once(schedule, provider.duplicates[print_], waived, found)
        lost = len(_unowned(provider, owners, print_)) - doubted - waived
        if lost > 0:
            found.lost += lost
            found.wrongs.append(f"{lost} accepted requests of the payload {print_[:8]} are known to nobody")
        _check_one_open(provider, some, found)
    _check_files(shelf, attempts, found)
    return found


def check_end(provider: Provider, db: Database, *, out_of_budget: bool) -> Found:
    """Check what must hold once the weather is calm and nothing is left to do."""
    found = Found()
    attempts = _attempts(db)
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
        missed = len(_unowned(provider, owners, print_)) - waived[print_]
        if missed > 0 and provider.world.schedule.timely:
            found.wrongs.append(f"{missed} requests stand in a readable list and were not found")
    billed = sum(one.ours and one.stands for one in provider.requests.values())
    cost = sum(one["cost_usd_micros"] or one["reserved_usd_micros"] or 0 for one in attempts if _paid(one))
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


# --- the parts ----------------------------------------------------------------------------------------


def _attempts(db: Database) -> list[dict[str, Any]]:
    return list(
        db.query(
            """SELECT id, job, number, state, fingerprint, request_id, cost_usd_micros,
                      reserved_usd_micros, files FROM attempts ORDER BY id"""
        )
    )


def _unowned(provider: Provider, owners: dict[str, dict[str, Any]], print_: str) -> list[Request]:
    return [
        one
        for one in provider.requests.values()
        if one.ours and one.stands and one.fingerprint == print_ and one.id not in owners
    ]


def _paid(one: dict[str, Any]) -> bool:
    return one["state"] in OPEN or one["state"] == "waived"


def _check_owners(provider: Provider, owners: dict[str, dict[str, Any]], found: Found) -> None:
    """Whoever owns a request sent it, and has not given it up while it stands."""
    for id_, one in owners.items():
        request = provider.requests[id_]
        if request.fingerprint != one["fingerprint"]:
            found.wrongs.append(f"{one['job']} has taken {id_}, which it never sent")
        elif request.stands and one["state"] not in OPEN:
            found.lost += 1
            found.wrongs.append(f"{id_} of {one['job']} stands, its attempt is {one['state']}")


def _check_waived(schedule: Schedule, attempts: list[dict[str, Any]], found: Found) -> None:
    """Only a policy may gamble here, within its risk, and the money counts as spent."""
    waived = [one for one in attempts if one["state"] == "waived"]
    allowed = schedule.recovery.risk if schedule.recovery.on_absent == "resubmit" else 0
    if len(waived) > allowed:
        found.wrongs.append(f"{len(waived)} attempts were given up, {allowed} may be")
    if any(one["cost_usd_micros"] != one["reserved_usd_micros"] for one in waived):
        found.wrongs.append("an attempt that was given up does not count as spent")


def _check_paid_once(schedule: Schedule, duplicates: int, waived: int, found: Found) -> None:
    """A second request stands only where a policy gambled, and lost because the provider was too late."""
    gambles = 0 if schedule.bounded else min(duplicates, waived)
    found.gambles_lost += gambles
    if duplicates > gambles:
        found.duplicates += duplicates - gambles
        found.wrongs.append(f"{duplicates} jobs paid twice, {gambles} of them allowed")


def _check_one_open(provider: Provider, some: list[dict[str, Any]], found: Found) -> None:
    count = Counter(one["job"] for one in some if one["state"] in OPEN)
    for job, number in count.items():
        if number > 1:
            found.wrongs.append(f"{job} has {number} open attempts")


def _check_files(shelf: Shelf, attempts: list[dict[str, Any]], found: Found) -> None:
    """A finished job has its own clip under its name; a name is only there once its hash is committed."""
    by_id = {one["id"]: one for one in attempts}
    for path, name in shelf.names.items():
        one = by_id.get(name.attempt_id, {"state": "nothing", "files": None})
        files = json.loads(one["files"] or "[]")
        if one["state"] not in {"fetched", "done"} or name.sha256 not in {file["sha256"] for file in files}:
            found.wrongs.append(f"{path} was published before its hash was committed")
    for one in attempts:
        if one["state"] == "done":
            for file in json.loads(one["files"] or "[]"):
                name_ = shelf.names.get(file["path"])
                if name_ is None or name_.sha256 != sha256_of(str(one["request_id"])):
                    found.wrongs.append(f"{one['job']} is done, its clip is not there")


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
    held = {one["id"]: one["state"] for one in _attempts(db)}
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
