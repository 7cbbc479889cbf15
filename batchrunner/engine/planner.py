"""What to do next: pure.

Two questions. What does an attempt need now? And how many new submissions may start at this moment?
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from batchrunner.engine.actions import Action, Download, Poll, Publish, Search
from batchrunner.values import (
    Attempt,
    AttemptState,
    Payload,
    PendingJob,
    Reason,
    content_of,
    local_pictures,
)


def action_for(attempt: Attempt, urls: tuple[str, ...], *, refetch: bool = False) -> Action | None:
    """Return what an attempt needs when its time has come; None while its POST is on the wire.

    `refetch`: the fetched file has vanished, so its address is asked for again.
    """
    match attempt.state:
        case AttemptState.UNKNOWN:
            return Search(attempt.model)
        case AttemptState.READY if urls:
            return Download((attempt,), (urls,))
        case AttemptState.FETCHED if not urls and not refetch:
            return Publish((attempt,))
        case AttemptState.FETCHED if urls:
            return Download((attempt,), (urls,))
        case AttemptState.ACCEPTED | AttemptState.READY | AttemptState.FETCHED if attempt.request_id:
            # A ready attempt without an address: it was lost with the last run, or has expired.
            return Poll(attempt.id, attempt.request_id)
    return None


class Wait(StrEnum):
    """Why no submission may start now, in the words of the live view."""

    STOPPING = "stopping"
    KEY = "checking the key"
    OUTAGE = "the provider is out of reach"
    LOOKING = "looking for submissions in doubt"
    FULL = "in-flight limit"
    SPACE = "room on the disk"
    HOURS = "the hours of limits.window"
    PACE = "submission pace"
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """What bears on new submissions; times in steady seconds."""

    stopping: bool
    account_known: bool
    key_in_doubt: bool
    outage: bool
    unlooked: int  # attempts of unknown fate that no list has been searched for yet
    list_down: bool
    unswept: bool  # the list has not been searched yet for what the state table may have lost
    no_room: bool
    off_hours: bool
    in_flight: int
    in_flight_limit: int
    pace_ready_s: float
    now_s: float


def submit_wait(situation: Situation) -> Wait:
    """Tell what stands in the way of one more submission, the gravest reason first."""
    checks = (
        (situation.stopping, Wait.STOPPING),
        (situation.outage, Wait.OUTAGE),
        (not situation.account_known or situation.key_in_doubt, Wait.KEY),
        (situation.unlooked > 0 or situation.list_down or situation.unswept, Wait.LOOKING),
        (situation.no_room, Wait.SPACE),
        (situation.off_hours, Wait.HOURS),
        (situation.in_flight >= situation.in_flight_limit, Wait.FULL),
        (situation.pace_ready_s > situation.now_s, Wait.PACE),
    )
    return next((wait for stands, wait in checks if stands), Wait.NOTHING)


def reseeded(payload: Payload, job: PendingJob, seed_field: str | None) -> Payload:
    """Return a payload with another seed, where the one of before rendered what was then moderated away.

    The new seed follows from the old one and the number of attempts: the same story, told again, ends alike.
    """
    if job.reason is not Reason.OUTPUT or seed_field is None or job.seed is None:
        return payload
    digest = hashlib.sha256(f"{job.seed}|{job.attempts}".encode()).digest()
    return {**payload, seed_field: int.from_bytes(digest[:4], "big") & 0x7FFF_FFFF}


def missing_uploads(payload: Payload) -> list[str]:
    """Return the content hashes of the local pictures that a payload still stands in for."""
    return [content_of(one)[0] for one in local_pictures(payload).values()]


def with_uploads(payload: Payload, urls: dict[str, str]) -> dict[str, object]:
    """Return the payload as it is sent: every local picture replaced by its public URL."""
    uploaded = {key: urls[content_of(one)[0]] for key, one in local_pictures(payload).items()}
    return {**payload, **uploaded}
