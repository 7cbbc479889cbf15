"""An account of the money: a campaign's state table, held against the provider's own list.

It asks the provider one free list for each model, and whose key this is; it reads the state table without a
lock and changes nothing. The comparison itself is pure: rules/audit.py.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrunner.access import Access, check_access, reached
from batchrunner.clock import Clock, utc_text, utc_us
from batchrunner.errors import BatchrunnerError, CredentialsError, LocalError, OutageError
from batchrunner.providers.base import Provider, ProviderError
from batchrunner.rules.audit import Books, Finding, Lists, Standing, compare_books
from batchrunner.rules.echoes import Sought, forms
from batchrunner.rules.states import CLOSED
from batchrunner.standing import dollars, state_path
from batchrunner.store import accounts, reading
from batchrunner.store.database import explained, open_readonly
from batchrunner.values import Attempt, AttemptState, Listing, Payload, Reason, RemoteJob


@dataclass(frozen=True, slots=True)
class Asked:
    """One model's list: how many requests it told of, and whether that was all there are."""

    model: str
    requests: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Audit:
    """Where the money of a campaign is. `unreadable`: listed requests that show too little of themselves."""

    campaign: str
    manifest: Path
    output: Path
    asked_us: int
    lists: tuple[Asked, ...]
    findings: tuple[Finding, ...]
    unreadable: int
    spent_micros: int
    reserved_micros: int

    @property
    def complete(self) -> bool:
        """True when the lists were whole and every request in them could be read."""
        return not self.unreadable and all(one.complete for one in self.lists)

    @property
    def disagreements(self) -> tuple[Finding, ...]:
        """The findings on which table and list do not agree, or that could not be checked."""
        return tuple(one for one in self.findings if one.why)

    @property
    def agrees(self) -> bool:
        """True when everything was seen, and all of it agrees."""
        return self.complete and not self.disagreements

    @property
    def exit_code(self) -> int:
        """0: all agrees · 8: paid clips are gone from the disk · 4: all else that a person must look at."""
        if any(one.standing is Standing.MISSING for one in self.findings):
            return 8
        return 0 if self.agrees else 4

    @property
    def billed_micros(self) -> int:
        """What the requests that the provider finished for this campaign cost, at the table's prices."""
        return sum(one.micros for one in self.findings if one.finished)

    def sums(self) -> dict[Standing, tuple[int, int]]:
        """Return count and micro-dollars of every standing."""
        found = dict.fromkeys(Standing, (0, 0))
        for one in self.findings:
            count, micros = found[one.standing]
            found[one.standing] = (count + 1, micros + one.micros)
        return found

    def adopted(self) -> tuple[int, int]:
        """Return count and micro-dollars of what was lost and found again; it is in `sums` already."""
        found = [one.micros for one in self.findings if one.adopted]
        return len(found), sum(found)

    def as_json(self) -> dict[str, Any]:
        """Return the account as `--json` shows it: money in dollars, times in UTC."""
        count, micros = self.adopted()
        sums = {one.name.lower(): _sum(*pair) for one, pair in self.sums().items()}
        return {
            "campaign": self.campaign,
            "agrees": self.agrees,
            "exit_code": self.exit_code,
            "asked": utc_text(self.asked_us),
            "lists": [
                {"model": one.model, "requests": one.requests, "complete": one.complete} for one in self.lists
            ],
            "unreadable": self.unreadable,
            **sums,
            "adopted": _sum(count, micros),
            "spent": dollars(self.spent_micros),
            "reserved": dollars(self.reserved_micros),
            "billed": dollars(self.billed_micros),
            "disagreements": [
                {
                    "job": one.job,
                    "standing": str(one.standing),
                    "request_id": one.request_id,
                    "money": dollars(one.micros),
                    "why": one.why,
                    "settle": settle(self, one),
                }
                for one in self.disagreements
            ],
        }


def make_audit(
    folder: Path, campaign: str, access: Access, clock: Clock, output: Path | None = None
) -> Audit:
    """Hold a campaign's state table against the provider's list. Costs nothing, changes nothing.

    `output`: the folder of outputs, where it is not the one that the last run used.

    Raises:
        UsageError: there is no such state table.
        CredentialsError: there is no key, or the provider does not take it.
        OutageError: the provider's list cannot be read.
        LocalError: the state table cannot be read, or the emulator is busy with a run.
    """
    path = state_path(folder, campaign)
    with explained(path):
        db = open_readonly(path)
        try:
            row = reading.campaign(db)
            if row is None:
                raise LocalError(f"{path} is not a state table of batchrunner")
            # The list first: what the table learns meanwhile is then younger than the list, never older.
            asked_us = clock.now_us()
            account, listings = _ask(folder, row["slug"], row["provider"], accounts.models(db), access)
            clips = output / row["slug"] if output else Path(row["output_folder"])
            with accounts.snapshot(db):
                attempts = accounts.attempts(db)
                wanted = accounts.wanted(db)
                spent, reserved = reading.money(db)
                adopted, uploads = accounts.adopted(db), accounts.upload_urls(db, account)
        finally:
            db.close()
    books = Books(
        account=account,
        attempts=attempts,
        jobs=_sought(wanted, attempts, uploads),
        adopted=adopted,
        broken={one.id for one in attempts if not _whole(one, clips)},
        since_s=utc_us(row["created_at"]) / 1e6,
    )
    compared = compare_books(books, Lists(listings, asked_us / 1e6))
    return Audit(
        campaign=row["slug"],
        manifest=Path(row["manifest_path"]),
        output=clips,
        asked_us=asked_us,
        lists=tuple(Asked(model, len(one.jobs), one.complete) for model, one in listings.items()),
        findings=compared.findings,
        unreadable=compared.unreadable,
        spent_micros=spent,
        reserved_micros=reserved,
    )


def settle(audit: Audit, one: Finding) -> str:
    """Return the command that settles a disagreement, or that tells most about it."""
    run, why = (
        f"batchrunner run {shlex.quote(str(audit.manifest))}",
        f"batchrunner why {audit.campaign} {one.job}",
    )
    resolve = f"batchrunner resolve {audit.campaign} {one.job}"
    state = one.attempt.state if one.attempt else None
    match one.standing:
        case Standing.MISSING:
            return f"batchrunner verify {audit.campaign} --fetch"
        case Standing.ORPHANED if state in {AttemptState.SUBMITTING, AttemptState.UNKNOWN}:
            return run  # it looks first, and adopts
        case Standing.ORPHANED if state is AttemptState.HELD or state in CLOSED:
            return f"{resolve} --adopt {one.request_id}"
        case Standing.ORPHANED:
            return _load(audit, one) or why
        case Standing.HELD | Standing.FAILED:
            return run  # every run asks for held requests again, free
        case Standing.UNKNOWN if state is AttemptState.HELD and not one.request_id:
            return f"{resolve} --adopt REQUEST_ID | --resubmit | --abandon"
        case Standing.UNKNOWN if state in {AttemptState.FAILED, AttemptState.CANCELLED}:
            return _load(audit, one) or why
        case Standing.UNKNOWN if state is not AttemptState.DONE:
            return run
        case Standing.TWICE:
            return f"{why}   (nothing here undoes it: ask the provider about {one.request_id})"
    return why


# --- the parts ----------------------------------------------------------------------------------------


def _ask(
    folder: Path, campaign: str, provider: str, models: list[str], access: Access
) -> tuple[str, dict[str, Listing]]:
    """Return whose key it is, and each model's list."""
    with provider_of(folder, campaign, provider, access) as asked:
        try:
            return asked.account().id, {model: asked.recent(model) for model in models}
        except ProviderError as error:
            told = (
                f"the provider's list cannot be read: {error.detail}; nothing was compared, try again later"
            )
            raise _unanswered(error, told) from error


def look_up(folder: Path, campaign: str, access: Access, request_id: str) -> RemoteJob | None:
    """Return the provider's record of one request; None: it knows none of that id.

    Raises:
        CredentialsError: there is no key, or the provider does not take it.
        OutageError: it does not answer.
        LocalError: the state table cannot be read.
    """
    path = state_path(folder, campaign)
    with explained(path), contextlib.closing(open_readonly(path)) as db:
        row = reading.campaign(db) or {"provider": "gmi"}
    with provider_of(folder, campaign, row["provider"], access) as asked:
        return ask_for(asked, request_id)


def ask_for(provider: Provider, request_id: str) -> RemoteJob | None:
    """Return the provider's record of one request; None: it knows none of that id.

    Raises:
        CredentialsError: it does not take the key.
        OutageError: it does not answer.
    """
    try:
        return provider.status(request_id)
    except ProviderError as error:
        if error.reason is Reason.MISSING or error.status == 200:  # no such request, or no such id
            return None
        told = f"the provider cannot be asked for {request_id}: {error.detail}; nothing was changed"
        raise _unanswered(error, told) from error


def whose_key(provider: Provider) -> str:
    """Return the account that the key belongs to.

    Raises:
        CredentialsError: the provider does not take the key.
        OutageError: it does not answer.
    """
    try:
        return provider.account().id
    except ProviderError as error:
        told = f"the provider does not answer: {error.detail}; nothing was changed, try again later"
        raise _unanswered(error, told) from error


def _unanswered(error: ProviderError, told: str) -> BatchrunnerError:
    if error.reason is Reason.CREDENTIALS:
        return CredentialsError(
            f"the provider does not take the key: {error.detail}; set a valid GMI_API_KEY"
        )
    return OutageError(told)


@contextlib.contextmanager
def provider_of(folder: Path, campaign: str, provider: str, access: Access) -> Iterator[Provider]:
    """Give the provider of a campaign; the emulator is started over what it has kept.

    Raises:
        CredentialsError: there is no key.
        LocalError: the emulator cannot be started.
    """
    check_access(provider, access)
    root = folder / f"{campaign}.emulator"
    if provider == "emulator" and not root.is_dir():
        raise LocalError(
            f"the emulator's folder {root} is gone, and its list with it: nothing to compare with"
        )
    with contextlib.ExitStack() as stack:
        try:
            asked, _http = stack.enter_context(reached(provider, access, root))
        except LocalError as error:
            raise LocalError(
                f"{error}; a run of {campaign} may be at work: audit again once it has ended"
            ) from error
        yield asked


def _sought(
    wanted: list[accounts.Wanted], attempts: list[Attempt], uploads: Mapping[str, list[str]]
) -> list[Sought]:
    sent: dict[str, list[Payload]] = {}
    for one in attempts:
        sent.setdefault(one.job, []).append(one.payload)
    return [
        Sought(job.id, job.model, (*sent.get(job.id, ()), *forms(job.payload, uploads)), job.cost_micros)
        for job in wanted
    ]


def _whole(one: Attempt, folder: Path) -> bool:
    """Tell whether an attempt's published files are there in their full size; others have none yet."""
    if one.state is not AttemptState.DONE:
        return True
    try:
        return all((folder / file.path).stat().st_size == file.size for file in one.files)
    except OSError:
        return False


def _load(audit: Audit, one: Finding) -> str:
    """Return the command that loads what was paid for from the provider, while it is there; else nothing.

    It comes to lie beside the clips, under its request's id.
    """
    folder, urls = audit.output, one.remote.media if one.remote else ()
    named = [folder / f"{one.job}-{one.request_id}-{number}.mp4" for number in range(1, len(urls) + 1)]
    return " && ".join(
        f"curl --create-dirs -fLo {shlex.quote(str(name))} {shlex.quote(url)}"
        for name, url in zip(named, urls, strict=True)
    )


def _sum(count: int, micros: int) -> dict[str, Any]:
    return {"requests": count, "money": dollars(micros)}
