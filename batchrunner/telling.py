"""One job's story, in sentences, from its events: pure but for `read_story`, which reads the state table.

Every kind of event has a sentence of its own. A kind that this version does not know (a newer one wrote it)
is told by its name and detail, never left out: a story with a gap would mislead about money.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from batchrunner.clock import utc_us
from batchrunner.errors import LocalError, UsageError
from batchrunner.rules.states import UNSENT, EventKind
from batchrunner.standing import dollars, settle_command, state_path
from batchrunner.store import accounts, reading
from batchrunner.store.database import explained, open_readonly
from batchrunner.store.lost import DUPLICATE, LOOKS_PAID
from batchrunner.store.runs import ASLEEP, ENDED, SILENT
from batchrunner.values import HeldJob, JobState, Reason

Row: TypeAlias = Mapping[str, Any]
SAYS_LITTLE = frozenset({Reason.UNCLEAR, Reason.INTERRUPTED})  # beside words that say more


@dataclass(frozen=True, slots=True)
class Sentence:
    """One event in words. `at_us` is wall time, microseconds UTC."""

    at_us: int
    text: str
    event: Row


@dataclass(frozen=True, slots=True)
class Story:
    """A job, its attempts and its events as rows of the state table, oldest first."""

    campaign: str
    manifest: Path
    output: Path
    job: Row
    attempts: tuple[Row, ...] = ()
    events: tuple[Row, ...] = ()
    held: HeldJob | None = None

    @property
    def spent_micros(self) -> int:
        """What the job has cost, in micro-dollars."""
        return sum(row["cost_usd_micros"] or 0 for row in self.attempts)

    @property
    def reserved_micros(self) -> int:
        """What its open attempt may still cost, in micro-dollars."""
        return sum(row["reserved_usd_micros"] or 0 for row in self.attempts if row["cost_usd_micros"] is None)

    def as_json(self) -> dict[str, Any]:
        """Return the events with their sentences; money in dollars, times in UTC."""
        stands, command = standing_now(self)
        return {
            "campaign": self.campaign,
            "job": self.job["id"],
            "state": self.job["state"],
            "spent": dollars(self.spent_micros),
            "reserved": dollars(self.reserved_micros),
            "events": [{**one.event, "told": one.text} for one in tell(self)],
            "now": stands,
            "do": command or None,
        }


@dataclass(frozen=True, slots=True)
class Told:
    """What a sentence may draw on: the event, the attempt it is about, and the job."""

    event: Row
    attempt: Row = field(default_factory=dict)
    job: Row = field(default_factory=dict)

    @property
    def evidence(self) -> Row:
        """What the event was concluded from."""
        found: Row = self.event["evidence"] or {}
        return found

    @property
    def money(self) -> str:
        """What the attempt costs at most."""
        return money(self.attempt.get("reserved_usd_micros") or 0)

    @property
    def request(self) -> str:
        """The provider's id of the request."""
        return str(self.evidence.get("request_id") or self.attempt.get("request_id") or "an unknown request")

    @property
    def person(self) -> str:
        """Who said it, and why where they told; empty when nobody did."""
        who, why = self.evidence.get("who"), self.evidence.get("why")
        return f"{who} ({why})" if who and why else str(who or "")

    def because(self, *facts: str) -> str:
        """Return the evidence in brackets: some facts, the reason, and the words that came with it."""
        reason, detail = self.event["reason"] or "", self.event["detail"] or ""
        said = [*facts, "" if detail and reason in SAYS_LITTLE else reason.replace("_", " "), detail]
        return f" ({'; '.join(dict.fromkeys(one for one in said if one))})" if any(said) else ""

    @property
    def http(self) -> str:
        """The HTTP status of the POST's answer, where there was one."""
        status = self.evidence.get("http_status")
        return f"HTTP {status}" if status else ""


def money(micros: int) -> str:
    """Return micro-dollars as dollars."""
    return f"${micros / 1e6:,.2f}" if micros % 10_000 == 0 else f"${micros / 1e6:,.4f}".rstrip("0")


# --- a sentence for every kind --------------------------------------------------------------------------


def _intended(told: Told) -> str:
    number = told.attempt.get("number", "?")
    if told.event["detail"]:
        return f"attempt {number} begins without a submission: {told.event['detail']}"
    return f"submitted (attempt {number}, {told.money} reserved)"


def _interrupted(told: Told) -> str:
    if told.event["detail"] == UNSENT:
        return "nothing was sent: that request is asked for instead"
    return (
        f"the runner had ended before an answer: whether the provider took it was not known{told.because()}"
    )


def _found(told: Told) -> str:
    if told.person:
        return f"adopted as {told.request} on the word of {told.person}: nothing paid again"
    return f"found in the provider's list as {told.request}: adopted, nothing paid again"


def _gave_up(told: Told) -> str:
    looks = told.evidence.get("looks")
    looked = f"{looks} look{'' if looks == 1 else 's'} into the list" if looks else ""
    repeated = "looks" in (told.event["detail"] or "")
    return f"held for a person, {told.money} at stake{told.because('' if repeated else looked)}"


def _waived(told: Told) -> str:
    by = told.person or "the manifest's recovery.on_absent"
    return f"given up by {by}; {told.money} count as spent, and the job may try again{told.because()}"


def _fetched(told: Told) -> str:
    hashes = told.evidence.get("files") or []
    return f"downloaded whole and checked{''.join(f' (sha256 {str(sha)[:12]}…)' for sha in hashes)}"


def _filed(told: Told) -> str:
    file = told.job.get("file")
    return f"filed as {file}: done" if file else "filed under its final name: done"


SENTENCES: Mapping[EventKind, Callable[[Told], str]] = {
    EventKind.INTENT: _intended,
    EventKind.ACCEPTED: lambda told: (
        f"taken by the provider as {told.request}"
        f"{told.because(told.http, _quoted(told.evidence.get('status')))}"
    ),
    EventKind.REFUSED: lambda told: f"refused by the provider, nothing paid{told.because(told.http)}",
    EventKind.NEVER_LEFT: lambda told: f"never left this machine, nothing paid{told.because()}",
    EventKind.UNCLEAR: lambda told: (
        f"no answer came: whether the provider took it was not known{told.because(told.http)}"
    ),
    EventKind.INTERRUPTED: _interrupted,
    EventKind.FOUND: _found,
    EventKind.GAVE_UP: _gave_up,
    EventKind.REOPENED: lambda told: f"a new run asks the provider for {told.request} once more, free",
    EventKind.READY: lambda told: f"finished at the provider: {told.money} paid",
    EventKind.FAILED: lambda told: f"failed at the provider, not billed{told.because()}",
    EventKind.CANCELLED: lambda told: f"cancelled at the provider, not billed{told.because()}",
    EventKind.FETCHED: _fetched,
    EventKind.UNFETCHABLE: lambda told: (
        f"paid, but the clip could not be had: held for a person, {told.money} at stake{told.because()}"
    ),
    EventKind.PUBLISHED: _filed,
    EventKind.WAIVED: _waived,
    EventKind.ABANDONED: lambda told: (
        f"abandoned for good by {told.person or 'a person'}; {told.money} count as spent"
    ),
}

# The kinds of `Noted`, `JobRuled` and `Stored` in use; of a run and an upload no job's story tells.
NOTES: Mapping[str, Callable[[Told], str]] = {
    "run": lambda told: f"a run began (batchrunner {told.evidence.get('version', '?')})",
    ENDED: lambda told: f"the run ended{told.because()}",
    "recorded": lambda _told: "the jobs were recorded; nothing was sent",
    "uploaded": lambda told: f"a picture was uploaded (sha256 {str(told.evidence.get('sha256', ''))[:12]}…)",
    "fetched again": lambda _told: "downloaded once more: nothing paid again",
    "part vanished": lambda told: f"the downloaded file had vanished from this disk{told.because()}",
    "picture refused": lambda told: f"failed unsent: its picture cannot be sent{told.because()}",
    "spared": lambda told: f"held back unsent, because others like it were refused{told.because()}",
    LOOKS_PAID: lambda told: f"held back unsent, because it may have been paid for{told.because()}",
    DUPLICATE: lambda told: f"what had been given up turned up: paid twice{told.because()}",
    ASLEEP: lambda told: told.event["detail"],
    SILENT: lambda told: told.event["detail"],
    "retry": lambda told: f"{told.person or 'a person'} lets it try again, with a fresh count of failures",
}


def sentence(told: Told) -> str:
    """Return one event in words."""
    kind = told.event["kind"]
    speak = SENTENCES[EventKind(kind)] if kind in set(EventKind) else NOTES.get(kind)
    return speak(told) if speak else f"{kind}{told.because(f'by {told.person}' if told.person else '')}"


def tell(story: Story) -> list[Sentence]:
    """Return the story, a sentence an event, in the order in which the table learnt it."""
    by_id = {row["id"]: row for row in story.attempts}
    return [
        Sentence(
            utc_us(event["at"]), sentence(Told(event, by_id.get(event["attempt"], {}), story.job)), event
        )
        for event in story.events
    ]


def standing_now(story: Story) -> tuple[str, str]:
    """Return how the job stands, and the command that goes on from there (empty: nothing is to be done)."""
    job, run = story.job, f"batchrunner run {shlex.quote(str(story.manifest))}"
    why = job["detail"] or str(job["reason"] or "").replace("_", " ")
    because = f": {why}" if why else ""
    paid = f"{money(story.spent_micros)} paid"
    if job["state"] == JobState.HELD and story.held is not None:
        held = story.held
        return f"held{because} ({money(held.at_stake_micros)} at stake)", _settle(story.campaign, held, run)
    if job["state"] == JobState.DONE:
        return f"done: {story.output / str(job['file'])}, {paid}", ""
    if job["state"] == JobState.FAILED:
        return f"failed{because}, {paid}", f"batchrunner retry {story.campaign} {job['id']} && {run}"
    if job["position"] is None and job["state"] == JobState.PENDING:
        return f"no longer in the manifest: never submitted again, {paid}", ""
    if job["state"] == JobState.PENDING:
        first = "waits for its first try" if not story.attempts else f"waits for another try{because}"
        return f"{first}, {paid}", run
    newest = story.attempts[-1]["state"] if story.attempts else job["state"]
    return f"under way ('{newest}'), {paid}, {money(story.reserved_micros)} reserved", run


def read_story(folder: Path, campaign: str, prefix: str) -> Story:
    """Read one job's story; `prefix` is the beginning of its id, as much as makes it the only one.

    Raises:
        UsageError: there is no state table, no such job, or more than one.
        LocalError: the state table cannot be read.
    """
    path = state_path(folder, campaign)
    with explained(path):
        db = open_readonly(path)
        try:
            row = reading.campaign(db)
            if row is None:
                raise LocalError(f"{path} is not a state table of batchrunner")
            with accounts.snapshot(db):
                job = _only(campaign, prefix, accounts.job_ids(db, prefix))
                held = (one for one in reading.held_jobs(db) if one.job == job)
                return Story(
                    campaign=row["slug"],
                    manifest=Path(row["manifest_path"]),
                    output=Path(row["output_folder"]),
                    job=accounts.job(db, job),
                    attempts=tuple(accounts.job_attempts(db, job)),
                    events=tuple(accounts.job_events(db, job)),
                    held=next(held, None),
                )
        finally:
            db.close()


def _only(campaign: str, prefix: str, found: list[str]) -> str:
    if not found:
        raise UsageError(
            f"no job of {campaign} begins with {prefix!r}; they are: batchrunner jobs {campaign}"
        )
    if len(found) > 1:
        shown = ", ".join(found[: accounts.PREFIXES_SHOWN])
        more = ", …" if len(found) > accounts.PREFIXES_SHOWN else ""
        raise UsageError(f"{prefix!r} begins more than one job of {campaign}: {shown}{more}")
    return found[0]


def _settle(campaign: str, held: HeldJob, run: str) -> str:
    if held.request_id:
        return f"{run}   (asks for it again, free; or: batchrunner resolve {campaign} {held.job} --abandon)"
    return settle_command(campaign, held)


def _quoted(status: object) -> str:
    return f"'{status}'" if status else ""
