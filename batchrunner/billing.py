"""Making a bill from a plan, and telling what has changed since one was made.

A table that was only saved anew (other line ends, quotes, a mark at its beginning) does not count: of a table
nothing but its jobs is ever used, and these are compared one by one. The manifest itself does, byte for byte:
it also says limits, recovery and where clips go, which no job shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchrunner import __version__
from batchrunner.bills import Bill, relative
from batchrunner.errors import UsageError
from batchrunner.planning import Change, Plan
from batchrunner.values import Job, JobState, Manifest

DIFFERENCES_MAX = 20  # told one by one
BEYOND_MAX = 3


@dataclass
class Listing:
    """The jobs to submit, as they stream by: their positions as ranges, and a hash over what they send."""

    position: int = 0
    ranges: list[list[int]] = field(default_factory=list)
    changes: dict[Change, int] = field(default_factory=lambda: dict.fromkeys(Change, 0))
    _hash: Any = field(default_factory=hashlib.sha256)

    def see(self, job: Job, change: Change, state: JobState) -> None:
        """Take the manifest's next job."""
        self.position += 1
        if state is not JobState.PENDING:
            return
        self.changes[change] += 1
        self.add(job)
        if self.ranges and self.ranges[-1][1] == self.position - 1:
            self.ranges[-1][1] = self.position
        else:
            self.ranges.append([self.position, self.position])

    def add(self, job: Job) -> None:
        """Add a job to the hash."""
        self._hash.update(f"{job.id} {job.fingerprint}\n".encode())

    @property
    def sha256(self) -> str:
        """The hash over all jobs added so far."""
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
    )


def text_hash(manifest: Manifest) -> str:
    """Return the hash of a manifest's own text, without what it takes from other files."""
    return hashlib.sha256(manifest.text.encode()).hexdigest()


def table_hashes(manifest: Manifest, folder: Path) -> dict[str, str]:
    """Return the hashes of the tables and lists of a manifest, by their paths relative to a folder."""
    return {relative(manifest.path.parent / told, folder): sha256 for told, sha256 in manifest.tables}


def picture_hashes(manifest: Manifest, folder: Path) -> dict[str, str]:
    """Return the content hashes of a manifest's local pictures, by their paths relative to a folder."""
    return {relative(one.path, folder): one.sha256 for one in manifest.pictures if one.path and one.sha256}


class Held:
    """The manifest's jobs beside those that a bill means: fed with every job, it tells the differences."""

    def __init__(self, bill: Bill) -> None:
        self._bill = bill
        self._wanted = _positions(bill.submit)
        self._next = next(self._wanted, None)
        self._listing = Listing()
        self._cost = 0
        self.beyond: list[str] = []  # the first jobs that would be sent and are not in the bill
        self.beyond_count = 0

    def see(self, job: Job, _change: Change, state: JobState) -> None:
        """Take the manifest's next job."""
        self._listing.position += 1
        if self._listing.position == self._next:
            self._next = next(self._wanted, None)
            self._listing.add(job)
            self._cost += job.cost_micros or 0
        elif state is JobState.PENDING:
            self.beyond_count += 1
            if len(self.beyond) < BEYOND_MAX:
                self.beyond.append(job.id)

    def differences(self, manifest: Manifest, card_sha256: str, plan: Plan, state: Path) -> list[str]:
        """Return what has changed since the bill was made, a sentence each; nothing where it still holds."""
        bill, found = self._bill, []
        folder = bill.path.absolute().parent
        if bill.manifest_sha256 != text_hash(manifest):
            found.append(f"the manifest {bill.manifest_path} has changed")
        if bill.card_sha256 != card_sha256:
            found.append(f"the model's card ({manifest.model}) has changed")
        same = self._listing.sha256 == bill.submit_sha256 and self._next is None
        if not same or plan.jobs != bill.jobs or self.beyond_count:
            found += _tables(bill.tables, table_hashes(manifest, folder))
        found += _pictures(bill.pictures, picture_hashes(manifest, folder))
        if bill.price != plan.price:
            found.append(f"the price has changed: it was {bill.price}; it is {plan.price}")
        if relative(state, folder) != bill.state:
            found.append(f"the state table is not {bill.state}, but {relative(state, folder)}")
        if plan.jobs != bill.jobs:
            found.append(f"the manifest had {_jobs(bill.jobs)}; it has {plan.jobs:,}")
        elif not same:
            by = f" (planned by batchrunner {bill.version}, this is {__version__})"
            why = "" if bill.version == __version__ else by
            found.append(f"what the {_jobs(bill.to_submit, 'planned ')} would send has changed{why}")
        if same and bill.cost_micros is not None and self._cost != bill.cost_micros:
            found.append(
                f"the planned jobs cost at most {_usd(bill.cost_micros)} then, {_usd(self._cost)} now"
            )
        if self.beyond_count and plan.jobs == bill.jobs:  # else the places of jobs have moved
            more = ", …" if self.beyond_count > len(self.beyond) else ""
            jobs = _jobs(self.beyond_count)
            named = f"{', '.join(self.beyond)}{more}"
            found.append(f"{jobs} would be sent that the plan does not have: {named}")
        if not same or self.beyond_count:
            made = f"{_jobs(plan.to_submit)} for {_usd(plan.cost_micros)} at most"
            found.append(
                f"made now, the plan would be {made}; it was {bill.to_submit:,} for {_usd(bill.cost_micros)}"
            )
        return found


def refuse_changed(bill: Bill, differences: list[str]) -> None:
    """Refuse a plan that holds no more.

    Raises:
        UsageError: there are differences; the text names each.
    """
    if not differences:
        return
    shown = differences[:DIFFERENCES_MAX]
    more = len(differences) - len(shown)
    lines = [f"  {one}" for one in shown] + ([f"  … {more:,} more"] if more else [])
    raise UsageError(
        "\n".join(
            [
                f"{bill.path} holds no more; nothing was sent:",
                *lines,
                f"look at it again and make a new plan: batchrunner plan {bill.manifest_path} -o {bill.path}",
            ]
        )
    )


def _jobs(number: int, kind: str = "") -> str:
    return f"{number:,} {kind}job{'' if number == 1 else 's'}"


def _usd(micros: int | None) -> str:
    return "an unknown price" if micros is None else f"${micros / 1e6:,.2f}"


def _tables(then: Mapping[str, str], today: Mapping[str, str]) -> Iterator[str]:
    """Tell which tables differ; that one came or went the manifest itself shows."""
    yield from (f"{path} has changed" for path in then if path in today and then[path] != today[path])


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
