"""Finding a submission of unknown fate in the provider's list.

The provider knows no client tag and no idempotency key; a lost answer can only be found again by what was
sent and when. A listed request is a candidate when no attempt owns its id yet and it was created within
the window of the lost POST, in the provider's time. Among candidates, an echo that equals the payload is a
match. Requests with equal payloads are interchangeable, so matches are dealt out oldest to oldest. A
candidate without a readable echo proves nothing, neither presence nor absence: it is vague. So is a request
of another time that is equal, or may be.

Finding is always safe to act on: adopting a request never costs money. Not finding is not proof. Absence
is believed only when every look saw a complete list without vague candidates, at least twice, the last
one `grace_s` after the POST was given up (a request that was still on its way may land after a look), and
when each list showed the requests of ours that were accepted just before and after the lost one (controls):
one that lags, forgets, or has been filtered by something else speaks for nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from batchrunner.values import JSON, Listing, Payload, RemoteJob

CLOCKS_APART_S = 120.0  # how far the provider's clock and ours may disagree
LATE_S = 3600.0  # how long after the POST was given up the provider may still record it


@dataclass(frozen=True, slots=True)
class Lost:
    """An attempt whose POST was sent at `sent_s` and given up at `lost_s` (Unix seconds, our clock).

    `controls`: the ids of requests accepted shortly before and after it; a list of use shows them all.
    """

    attempt_id: int
    payload: Payload
    sent_s: float
    lost_s: float
    controls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look into the list found for one attempt: a match, or how many vague candidates."""

    attempt_id: int
    match: RemoteJob | None
    vague: tuple[str, ...] = ()
    complete: bool = True
    hidden: tuple[str, ...] = ()  # controls that the list does not show

    @property
    def clean(self) -> bool:
        """True when this look speaks for absence."""
        return self.match is None and self.complete and not self.vague and not self.hidden


class Echo(Enum):
    """How a listed payload compares with what was sent."""

    SAME = 1
    VAGUE = 2
    OTHER = 3


def normal(value: JSON) -> JSON:
    """Fold what a provider may rewrite without meaning anything by it: number types and Unicode forms."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return Decimal(str(value)).normalize()
    if isinstance(value, list | tuple):
        return [normal(item) for item in value]
    return {key: normal(item) for key, item in value.items()}


def compare(sent: Payload, echo: Payload | None) -> Echo:
    """Compare what was sent with what the list shows. An echo that agrees but is not the whole is vague."""
    if not echo:
        return Echo.VAGUE
    ours, theirs = normal(dict(sent)), normal(dict(echo))
    if ours == theirs:
        return Echo.SAME
    agrees = all(ours[key] == theirs[key] for key in ours.keys() & theirs.keys())
    return Echo.VAGUE if agrees else Echo.OTHER


def in_window(job: RemoteJob, one: Lost, ahead_s: float = 0.0) -> bool:
    """Tell whether a request can be the lost one by its time; one without a time can.

    `ahead_s`: how far the provider's clock is ahead of ours.
    """
    if job.created_s is None:
        return True
    created_s = job.created_s - ahead_s
    lost_s = max(one.sent_s, one.lost_s)  # our clock may have been set back in between
    return one.sent_s - CLOCKS_APART_S <= created_s <= lost_s + LATE_S + CLOCKS_APART_S


def look(lost: Sequence[Lost], listing: Listing, owned: Collection[str]) -> list[Looked]:
    """Deal the listed requests that nobody owns out to the lost attempts of one model, oldest first."""
    free = sorted(
        (job for job in listing.jobs if job.request_id not in owned),
        key=lambda job: (job.created_s or 0.0, job.request_id),
    )
    shown = {job.request_id for job in listing.jobs}
    found = []
    for one in sorted(lost, key=lambda one: (one.sent_s, one.attempt_id)):
        near = [
            (job, compare(one.payload, job.payload)) for job in free if in_window(job, one, listing.ahead_s)
        ]
        match = next((job for job, echo in near if echo is Echo.SAME), None)
        if match is not None:
            free.remove(match)
        vague = [job.request_id for job, echo in near if echo is Echo.VAGUE]
        vague += _at_other_times(one, free, listing.ahead_s)
        hidden = tuple(control for control in one.controls if control not in shown)
        found.append(Looked(one.attempt_id, match, () if match else tuple(vague), listing.complete, hidden))
    return found


def _at_other_times(one: Lost, free: Sequence[RemoteJob], ahead_s: float) -> list[str]:
    """Return the requests that equal a lost one, or may, and were not made in its window.

    They are not adopted, and yet speak against absence: this machine's clock may have been wrong by hours.
    """
    elsewhere = (job for job in free if not in_window(job, one, ahead_s))
    return [job.request_id for job in elsewhere if compare(one.payload, job.payload) is not Echo.OTHER]


@dataclass(frozen=True, slots=True)
class Search:
    """The looks for one lost attempt so far; times are steady seconds."""

    since_s: float
    looks: int = 0
    clean_since_s: float | None = None  # the first look of the unbroken series that speaks for absence

    def after(self, looked: Looked, now_s: float) -> Search:
        """Return the search with one more look."""
        first = self.clean_since_s if self.clean_since_s is not None else now_s
        return Search(self.since_s, self.looks + 1, first if looked.clean else None)

    def absent(self, now_s: float, grace_s: float) -> bool:
        """Tell whether absence is proved: clean looks far enough apart, the last one after the grace."""
        apart_s = min(300.0, grace_s / 2)
        return (
            self.clean_since_s is not None
            and now_s - self.clean_since_s >= apart_s
            and now_s - self.since_s >= grace_s
        )

    def next_s(self, now_s: float, grace_s: float, give_up_s: float) -> float:
        """Return when to look next: soon, then more rarely, and just when grace or patience ends."""
        wait_s = min(300.0, 3.0 * 2.0 ** min(self.looks, 10))
        ends = [self.since_s + end for end in (grace_s, give_up_s) if self.since_s + end > now_s]
        return min([now_s + wait_s, *ends])
