"""What must be true at any instant, whatever the weather was: the provider's ledger against the state table.

Jobs that send the same payload are interchangeable, so requests and attempts are compared by payload, in
numbers. It reads the state table with SQL of its own, so that it does not share a mistake with store/.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from sqlite_utils import Database

from batchrunner.rehearsal.clips import Shelf, sha256_of
from batchrunner.rehearsal.provider import Provider, Request
from batchrunner.rehearsal.schedule import Schedule

OPEN = frozenset({"submitting", "unknown", "accepted", "ready", "fetched", "done", "held"})
IN_DOUBT = frozenset({"submitting", "unknown", "held"})


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
    attempts = attempts_of(db)
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
        lost = len(unowned(provider, owners, print_)) - doubted - waived
        if lost > 0:
            found.lost += lost
            found.wrongs.append(f"{lost} accepted requests of the payload {print_[:8]} are known to nobody")
        _check_one_open(provider, some, found)
    _check_files(shelf, attempts, found)
    return found


def attempts_of(db: Database) -> list[dict[str, Any]]:
    """Return every attempt, oldest first, with what is asked about it here."""
    return list(
        db.query(
            """SELECT id, job, number, state, fingerprint, request_id, cost_usd_micros,
                      reserved_usd_micros, files FROM attempts ORDER BY id"""
        )
    )


def unowned(provider: Provider, owners: dict[str, dict[str, Any]], print_: str) -> list[Request]:
    """Return the requests of a payload that stand and that no attempt has."""
    return [one for one in provider.by_print[print_] if one.stands and one.id not in owners]


def is_paid(one: dict[str, Any]) -> bool:
    """Tell whether an attempt's money counts as spent or may yet be."""
    return one["state"] in OPEN or one["state"] == "waived"


# --- the parts ----------------------------------------------------------------------------------------


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
