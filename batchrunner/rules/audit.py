"""Holding the state table against the provider's list: pure.

Every attempt, and every listed request that could only have been made for one of the campaign's jobs, gets
one finding: where its money went. A finding without a `why` is one on which table and list agree. Nothing is
called agreed that was not seen: an id that a partial list does not show is `UNCHECKED`, an echo that cannot
be read is counted by itself.

Money is what the table reserved or counted; for a request that no attempt has, the job's own price.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from batchrunner.rules.echoes import Forms, Sought
from batchrunner.rules.matching import CLOCKS_APART_S
from batchrunner.rules.states import LIVE
from batchrunner.values import Attempt, AttemptState, Listing, Reason, RemoteJob, RemotePhase

LIST_LAG_S = 600.0  # a list may lag so far behind an acceptance (as engine/lifecycle.py allows for ids)


class Standing(StrEnum):
    """Where the money of one request is."""

    ON_DISK = "paid and on disk"
    HELD = "paid and held"
    IN_FLIGHT = "in flight"
    FAILED = "failed, not billed"
    GIVEN_UP = "given up by decision"
    ORPHANED = "orphaned"
    TWICE = "paid twice"
    MISSING = "missing on disk"
    UNKNOWN = "unknown"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One request, or one attempt at it. `why` is empty where table and list agree.

    `finished`: the provider's list says that it succeeded, so it was billed.
    """

    standing: Standing
    job: str
    micros: int
    attempt: Attempt | None = None
    remote: RemoteJob | None = None
    why: str = ""
    adopted: bool = False

    @property
    def finished(self) -> bool:
        """True when the provider says that this request succeeded."""
        return self.remote is not None and self.remote.phase is RemotePhase.SUCCESS

    @property
    def request_id(self) -> str | None:
        """The provider's id, as the list or the table has it."""
        return self.remote.request_id if self.remote else self.attempt.request_id if self.attempt else None


@dataclass(frozen=True, slots=True)
class Books:
    """What this side knows. `broken`: attempts whose published files are gone or have another size.

    `since_s`: when the campaign began, Unix seconds.
    """

    account: str
    attempts: Sequence[Attempt]
    jobs: Sequence[Sought]
    adopted: Collection[int]
    broken: Collection[int]
    since_s: float


@dataclass(frozen=True, slots=True)
class Lists:
    """What the provider told, by model, when it was asked at `asked_s` (Unix seconds)."""

    listings: Mapping[str, Listing]
    asked_s: float


@dataclass(frozen=True, slots=True)
class Compared:
    """All findings, and how many listed requests show too little to tell whose they are."""

    findings: tuple[Finding, ...]
    unreadable: int


def compare_books(books: Books, lists: Lists) -> Compared:
    """Hold the two against each other."""
    listed = {job.request_id: job for listing in lists.listings.values() for job in listing.jobs}
    findings = [_of_attempt(one, listed.get(one.request_id or ""), books, lists) for one in books.attempts]
    owned = _owned_twice(findings)
    unowned, unreadable = _unowned(books, lists)
    orphans = _deal(unowned, owned)
    replaced = {one.attempt.id for one in orphans if one.attempt}
    kept = [one for one in owned if one.attempt is None or one.attempt.id not in replaced]
    return Compared((*kept, *orphans), unreadable)


# --- what the table has -------------------------------------------------------------------------------


def _of_attempt(one: Attempt, remote: RemoteJob | None, books: Books, lists: Lists) -> Finding:
    listing = lists.listings.get(one.model, Listing((), complete=False))
    standing, why = _stands(one, remote, listing, books, lists.asked_s)
    micros = one.spent_micros + one.open_micros
    if why and not micros and standing is Standing.UNKNOWN:
        micros = one.reserved_micros  # closed as free, and that is just what is in doubt
    return Finding(standing, one.job, micros, one, remote, why, one.id in books.adopted)


def _stands(
    one: Attempt, remote: RemoteJob | None, listing: Listing, books: Books, asked_s: float
) -> tuple[Standing, str]:
    if one.state is AttemptState.REFUSED:
        return Standing.FAILED, ""
    if one.id in books.broken:
        return Standing.MISSING, "paid for, and its clip is not where it was put, or not whole"
    if one.account != books.account and remote is None:
        return Standing.UNCHECKED, f"was made in another account ({one.account})"
    if one.request_id is None:
        return _without_id(one)
    if remote is not None:
        return _with_both(one, remote)
    return _not_listed(one, listing, asked_s)


def _without_id(one: Attempt) -> tuple[Standing, str]:
    if one.state in {AttemptState.WAIVED, AttemptState.CANCELLED}:
        return Standing.GIVEN_UP, ""
    before = {
        AttemptState.HELD: "held: ",
        AttemptState.SUBMITTING: "on the wire, or was when its runner ended: ",
    }.get(one.state, "")
    return Standing.UNKNOWN, f"{before}whether the provider took it is not known, and the list does not tell"


def _not_listed(one: Attempt, listing: Listing, asked_s: float) -> tuple[Standing, str]:
    if one.state is AttemptState.WAIVED or _abandoned(one):
        return Standing.GIVEN_UP, ""
    young = asked_s - (one.accepted_us or one.submitted_us) / 1e6 < LIST_LAG_S
    if young and one.state in LIVE:
        return Standing.IN_FLIGHT, ""
    if young or not listing.complete:
        why = "is too new for the list" if young else "is not in the part of the list that was told"
        return Standing.UNCHECKED, f"request {one.request_id} {why}"
    if one.state in {AttemptState.FAILED, AttemptState.CANCELLED}:
        return Standing.FAILED, ""
    return Standing.UNKNOWN, f"the table has it as '{one.state}', the list does not show {one.request_id}"


def _with_both(one: Attempt, remote: RemoteJob) -> tuple[Standing, str]:
    says = f"the provider says '{remote.status}' of {remote.request_id}"
    billed = remote.phase is RemotePhase.SUCCESS
    dead = remote.phase in {RemotePhase.FAILED, RemotePhase.CANCELLED}
    match one.state:
        case AttemptState.DONE if billed:
            return Standing.ON_DISK, ""
        case AttemptState.HELD if dead:
            return Standing.FAILED, f"held, and {says}: it is not billed"
        case AttemptState.HELD:
            standing = Standing.HELD if billed else Standing.UNKNOWN
            why = str(one.reason or "no reason is known").replace("_", " ")
            return standing, f"held ({why}); {says}"
        case AttemptState.ACCEPTED if dead:
            return Standing.FAILED, ""  # the next run hears of it
        case AttemptState.ACCEPTED:
            return Standing.IN_FLIGHT, ""
        case AttemptState.READY | AttemptState.FETCHED if billed:
            return Standing.IN_FLIGHT, ""
        case AttemptState.WAIVED:
            return Standing.GIVEN_UP, ""
        case AttemptState.CANCELLED if _abandoned(one):
            return Standing.GIVEN_UP, ""
        case AttemptState.FAILED | AttemptState.CANCELLED if dead:
            return Standing.FAILED, ""
    return Standing.UNKNOWN, f"the table has it as '{one.state}', {says}"


def _abandoned(one: Attempt) -> bool:
    return one.state is AttemptState.CANCELLED and one.reason is not Reason.CANCELLED


def _owned_twice(findings: Iterable[Finding]) -> list[Finding]:
    """Mark all but one of the requests that finished for the same job."""
    found = list(findings)
    finished: dict[str, list[Finding]] = defaultdict(list)
    for one in found:
        if one.finished:
            finished[one.job].append(one)
    twice = {}
    for same in finished.values():
        # The clip on disk is the one that was wanted; else the newest try is.
        first = next((one for one in same if one.standing is Standing.ON_DISK), same[-1])
        for one in same:
            if one is not first:
                why = f"{one.request_id} finished as well as {first.request_id}"
                twice[id(one)] = replace(one, standing=Standing.TWICE, why=why)
    return [twice.get(id(one), one) for one in found]


# --- what only the list has ---------------------------------------------------------------------------


def _unowned(books: Books, lists: Lists) -> tuple[list[tuple[RemoteJob, Sequence[Sought]]], int]:
    """Return the requests that no attempt has, each with the jobs it equals, and the count of vague ones."""
    forms = Forms(books.jobs)
    ids = {one.request_id for one in books.attempts}
    matched: list[tuple[RemoteJob, Sequence[Sought]]] = []
    unreadable = 0
    for model, listing in lists.listings.items():
        for remote in listing.jobs:
            if remote.request_id in ids or remote.phase in {RemotePhase.FAILED, RemotePhase.CANCELLED}:
                continue  # what failed is not billed, whoever made it
            jobs = forms.jobs(model, remote.payload) if remote.payload else ()
            if jobs:
                matched.append((remote, jobs))
            elif forms.vague(model, remote.payload) and _recent(remote, books.since_s):
                unreadable += 1
    return sorted(matched, key=lambda pair: (pair[0].created_s or 0.0, pair[0].request_id)), unreadable


def _recent(remote: RemoteJob, since_s: float) -> bool:
    return remote.created_s is None or remote.created_s >= since_s - CLOCKS_APART_S


def _deal(
    unowned: Iterable[tuple[RemoteJob, Sequence[Sought]]], findings: Iterable[Finding]
) -> list[Finding]:
    """Deal the requests that nobody has out to the jobs they equal, first to those that lack a clip.

    Where an attempt of that job has lost its id, the request is taken for that attempt's.
    """
    served: set[str] = set()
    lost: dict[str, list[Attempt]] = defaultdict(list)
    for one in findings:
        if one.finished:
            served.add(one.job)
        if one.attempt and not one.attempt.request_id and one.attempt.state is not AttemptState.REFUSED:
            lost[one.job].append(one.attempt)
    dealt = []
    for remote, jobs in unowned:
        job = min(jobs, key=lambda one: (one.id in served, not lost[one.id]))
        attempt = lost[job.id].pop() if lost[job.id] else None  # the newest: it is the open one
        dealt.append(_orphan(remote, job, attempt, again=job.id in served))
        if remote.phase is RemotePhase.SUCCESS:
            served.add(job.id)
    return dealt


def _orphan(remote: RemoteJob, job: Sought, attempt: Attempt | None, *, again: bool) -> Finding:
    if again and remote.phase is RemotePhase.SUCCESS:
        why = f"{remote.request_id} finished for it too, and no attempt of this campaign has it"
        return Finding(Standing.TWICE, job.id, job.cost_micros, attempt, remote, why)
    what = f"request {remote.request_id} ('{remote.status}')"
    if attempt and attempt.state in {AttemptState.SUBMITTING, AttemptState.UNKNOWN}:
        why = (
            f"{what} has just this payload: a run at work, or the next one, adopts it; nothing is paid again"
        )
        return Finding(Standing.ORPHANED, job.id, job.cost_micros, attempt, remote, why)
    why = f"{what} has just this payload, and no attempt of this campaign has it"
    return Finding(Standing.ORPHANED, job.id, job.cost_micros, attempt, remote, why)
