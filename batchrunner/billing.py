"""Making a bill from a plan, and telling what has changed since one was made.

A table that was only saved anew (other line ends, quotes, a mark at its beginning) does not count: of a table
nothing but its jobs is ever used, and these are compared one by one. Nor does the order of its rows, where it
is certain that the planned jobs are still just those: they send what they did and cost what they did, so it
is told, and the run goes on. The manifest itself counts byte for byte: it also says limits, recovery and
where clips go, which no job shows.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from batchrunner import __version__
from batchrunner.bills import Bill, relative
from batchrunner.errors import UsageError
from batchrunner.manifest.contents import Bag, contents
from batchrunner.planning import Change, Plan
from batchrunner.values import Job, JobState, Manifest

DIFFERENCES_MAX = 20  # told one by one
BEYOND_MAX = 3

Tables: TypeAlias = Mapping[str, Mapping[str, str]]  # hashes by path


@dataclass
class Listing:
    """The jobs to submit, as they stream by: their positions as ranges, and hashes over what they send."""

    position: int = 0
    ranges: list[list[int]] = field(default_factory=list)
    changes: dict[Change, int] = field(default_factory=lambda: dict.fromkeys(Change, 0))
    all: Bag = field(default_factory=Bag)
    waiting: Bag = field(default_factory=Bag)
    _hash: Any = field(default_factory=hashlib.sha256)

    def see(self, job: Job, change: Change, state: JobState) -> None:
        """Take the manifest's next job."""
        told = self.meet(job, state)
        if state is not JobState.PENDING:
            return
        self.changes[change] += 1
        self.add(told)
        if self.ranges and self.ranges[-1][1] == self.position - 1:
            self.ranges[-1][1] = self.position
        else:
            self.ranges.append([self.position, self.position])

    def meet(self, job: Job, state: JobState) -> bytes:
        """Take the next job into what no order changes; return what it sends, for `add`."""
        self.position += 1
        told = f"{job.id} {job.fingerprint}\n".encode()
        digest = hashlib.sha256(told).digest()
        self.all.add(digest)
        if state is JobState.PENDING:
            self.waiting.add(digest)
        return told

    def add(self, told: bytes) -> None:
        """Add a job to the hash in order."""
        self._hash.update(told)

    @property
    def sha256(self) -> str:
        """The hash over all jobs added so far, in their order."""
        digest: str = self._hash.hexdigest()
        return digest


def make_bill(
    path: Path, manifest: Manifest, card_sha256: str, plan: Plan, listing: Listing, *, state: Path, at: str
) -> Bill:
    """Return the bill for a plan, to be saved at `path`; `listing` has seen every job of it."""
    folder = path.absolute().parent
    return Bill(
        path=path,
        made_at=at,
        version=__version__,
        campaign=manifest.campaign,
        model=manifest.model,
        provider=manifest.provider,
        manifest=relative(manifest.path, folder),
        manifest_sha256=text_hash(manifest),
        card_sha256=card_sha256,
        tables=table_hashes(manifest, folder),
        pictures=picture_hashes(manifest, folder),
        state=relative(state, folder),
        price=plan.price,
        jobs=plan.jobs,
        jobs_any_order=listing.all.sha256,
        reasons={
            "new": listing.changes[Change.NEW],
            "changed": listing.changes[Change.CHANGED],
            "recorded, not sent yet": listing.changes[Change.UNCHANGED],
        },
        cost_micros=plan.cost_micros,
        expected_micros=plan.expected_micros,
        finish_s=plan.finish_s,
        submit=tuple((first, last) for first, last in listing.ranges),
        submit_sha256=listing.sha256,
        submit_any_order=listing.waiting.sha256,
    )


def text_hash(manifest: Manifest) -> str:
    """Return the hash of a manifest's own text, without what it takes from other files."""
    return hashlib.sha256(manifest.text.encode()).hexdigest()


def table_hashes(manifest: Manifest, folder: Path) -> Tables:
    """Return the hashes of the tables and lists of a manifest, by their paths relative to a folder."""
    found: dict[str, Mapping[str, str]] = {}
    for told, sha256, kind in manifest.tables:
        path = manifest.path.parent / told
        read = contents(path, kind)
        same = read is not None and read.sha256 == sha256  # else it changed since the manifest was read
        found[relative(path, folder)] = asdict(read) if read is not None and same else {"sha256": sha256}
    return found


def picture_hashes(manifest: Manifest, folder: Path) -> dict[str, str]:
    """Return the content hashes of a manifest's local pictures, by their paths relative to a folder."""
    return {relative(one.path, folder): one.sha256 for one in manifest.pictures if one.path and one.sha256}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What has changed since a bill was made, a sentence each; and what did, though the bill still holds."""

    differences: list[str]
    note: str = ""


class Held:
    """The manifest's jobs beside those that a bill means: fed with every job, it tells the differences."""

    def __init__(self, bill: Bill) -> None:
        self._bill = bill
        self._wanted = _positions(bill.submit)
        self._next = next(self._wanted, None)
        self._listing = Listing()
        self._cost = 0
        self._waiting_cost = 0
        self.beyond: list[str] = []  # the first jobs that would be sent and are not in the bill
        self.beyond_count = 0

    def see(self, job: Job, _change: Change, state: JobState) -> None:
        """Take the manifest's next job."""
        told = self._listing.meet(job, state)
        if state is JobState.PENDING:
            self._waiting_cost += job.cost_micros or 0
        if self._listing.position == self._next:
            self._next = next(self._wanted, None)
            self._listing.add(told)
            self._cost += job.cost_micros or 0
        elif state is JobState.PENDING:
            self.beyond_count += 1
            if len(self.beyond) < BEYOND_MAX:
                self.beyond.append(job.id)

    def against(self, manifest: Manifest, card_sha256: str, plan: Plan, state: Path) -> Verdict:
        """Tell what has changed since the bill was made, once every job was seen."""
        bill = self._bill
        folder = bill.path.absolute().parent
        found = list(self._around(manifest, card_sha256, plan.price))
        if relative(state, folder) != bill.state:
            found.append(
                f"the state table is not {bill.state}, but {relative(state, folder)}{_own_state(bill, state)}"
            )
        same = self._listing.sha256 == bill.submit_sha256 and self._next is None
        if same and not self.beyond_count and plan.jobs == bill.jobs:
            return Verdict([*found, *self._dearer(self._cost)])
        tables = table_hashes(manifest, folder)
        if plan.jobs == bill.jobs and self._listing.all.sha256 == bill.jobs_any_order and not same:
            return self._sorted_anew(found, list(_reordered(bill.tables, tables)))
        found[:0] = _changed(bill.tables, tables)
        return Verdict([*found, *self._otherwise(plan, same=same)])

    def _around(self, manifest: Manifest, card_sha256: str, price: str) -> Iterator[str]:
        """Tell what has changed beside the jobs."""
        bill = self._bill
        if bill.manifest_sha256 != text_hash(manifest):
            yield f"the manifest {bill.manifest_path} has changed"
        if bill.card_sha256 != card_sha256:
            yield f"the model's card ({manifest.model}) has changed"
        yield from _pictures(bill.pictures, picture_hashes(manifest, bill.path.absolute().parent))
        if bill.price != price:
            yield f"the price has changed: it was {bill.price}; it is {price}"

    def _sorted_anew(self, found: list[str], tables: list[str]) -> Verdict:
        """Tell that all jobs are as they were, in another order; refuse where the planned ones are unsure."""
        bill, which = self._bill, f" ({', '.join(tables)})" if tables else ""
        moved = f"only the order of the jobs has changed{which}: each sends what it did"
        if bill.to_submit == bill.jobs:
            return Verdict([*found, *self._dearer(self._cost)], moved)
        if self._listing.waiting.sha256 == bill.submit_any_order:
            return Verdict([*found, *self._dearer(self._waiting_cost)], moved)
        lost = "but not all that was planned still waits, or more does, and which jobs it was cannot be told"
        return Verdict([*found, f"{moved}; {lost}"])

    def _dearer(self, cost_micros: int) -> Iterator[str]:
        then = self._bill.cost_micros
        if then is not None and cost_micros != then:
            yield f"the planned jobs cost at most {_usd(then)} then, {_usd(cost_micros)} now"

    def _otherwise(self, plan: Plan, *, same: bool) -> Iterator[str]:
        """Tell how the jobs differ. `same`: those that were planned do not."""
        bill = self._bill
        if plan.jobs != bill.jobs:
            yield f"the manifest had {_jobs(bill.jobs)}; it has {plan.jobs:,}"
        elif not same:
            by = f" (planned by batchrunner {bill.version}, this is {__version__})"
            why = "" if bill.version == __version__ else by
            yield f"what the {_jobs(bill.to_submit, 'planned ')} would send has changed{why}"
        if same:
            yield from self._dearer(self._cost)
        if self.beyond_count and plan.jobs == bill.jobs:  # else the places of jobs have moved
            more = ", …" if self.beyond_count > len(self.beyond) else ""
            named = f"{', '.join(self.beyond)}{more}"
            yield f"{_jobs(self.beyond_count)} would be sent that the plan does not have: {named}"
        if not same or self.beyond_count:
            made = f"{_jobs(plan.to_submit)} for {_usd(plan.cost_micros)} at most"
            then = f"{bill.to_submit:,} for {_usd(bill.cost_micros)}"
            yield f"made now, the plan would be {made}; it was {then}"


def _own_state(bill: Bill, state: Path) -> str:
    """Return how a plan's own table is named from here; nothing where this is another campaign's."""
    own = bill.path.absolute().parent / bill.state
    if own.name != state.name:
        return ""
    return f"; the plan's own: --state {shlex.quote(os.path.relpath(own.parent))}"


def refuse_changed(bill: Bill, differences: list[str]) -> None:
    """Refuse a plan that holds no more.

    Raises:
        UsageError: there are differences; the text names each.
    """
    if not differences:
        return
    shown = differences[:DIFFERENCES_MAX]
    again = shlex.join(["batchrunner", "plan", str(bill.manifest_path), "-o", str(bill.path)])
    more = len(differences) - len(shown)
    lines = [f"  {one}" for one in shown] + ([f"  … {more:,} more"] if more else [])
    raise UsageError(
        "\n".join(
            [
                f"{bill.path} holds no more; nothing was sent:",
                *lines,
                f"look at it again and make a new plan: {again}",
            ]
        )
    )


def _jobs(number: int, kind: str = "") -> str:
    return f"{number:,} {kind}job{'' if number == 1 else 's'}"


def _usd(micros: int | None) -> str:
    return "an unknown price" if micros is None else f"${micros / 1e6:,.2f}"


def _changed(then: Tables, today: Tables) -> Iterator[str]:
    """Tell which tables have other rows; that one came or went the manifest itself shows."""
    for path in then:
        if path in today and _rows(then[path]) != _rows(today[path]):
            yield f"{path} has changed"


def _reordered(then: Tables, today: Tables) -> Iterator[str]:
    """Tell which tables have their rows in another order."""
    for path in then:
        if path in today and then[path].get("rows") != today[path].get("rows"):
            yield f"{path} has its rows in another order"


def _rows(hashes: Mapping[str, str]) -> str:
    return hashes.get("any_order") or hashes["sha256"]


def _pictures(then: Mapping[str, str], today: Mapping[str, str]) -> Iterator[str]:
    for path in then:
        if path not in today:
            yield f"the picture {path} is no longer in the manifest"
        elif then[path] != today[path]:
            yield f"the picture {path} has other bytes"
    yield from (f"the picture {path} was not there" for path in today if path not in then)


def _positions(ranges: tuple[tuple[int, int], ...]) -> Iterator[int]:
    for first, last in ranges:
        yield from range(first, last + 1)
