"""Word to whoever sleeps: done, stopped, held, budget nearly used up. Through apprise, the extra `notify`.

An address to notify is a secret, so a manifest names the environment variable that has it. Messages are
sent by a thread of their own: one that is slow or lost delays nothing, and does not change how a run ends.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeAlias

import click

from batchrunner.cli.say import here
from batchrunner.cli.text import count, money, plain
from batchrunner.engine.outcome import Ended
from batchrunner.engine.progress import Progress
from batchrunner.engine.steps import Stop
from batchrunner.errors import (
    BatchrunnerError,
    LockedError,
    ManifestError,
    MissingExtraError,
    Problem,
    UsageError,
)
from batchrunner.store.changes import Change, JobRuled, Moved
from batchrunner.values import JobState, Manifest, NotifyEvent

if TYPE_CHECKING:
    from apprise import Apprise

EVERYTHING: frozenset[NotifyEvent] = frozenset({"done", "stopped", "held", "budget"})
VARIABLE = "BATCHRUNNER_NOTIFY"  # an address, or some with blanks between: for every run
NEARLY = 0.8  # of the budget
WAIT_S = 10.0  # for messages that are still on their way when all is done

# How a phone is to take it: apprise makes a colour, a sound or a priority of it.
Weight: TypeAlias = Literal["success", "warning", "failure"]
Message: TypeAlias = tuple[Weight, str, str]  # and its title and body
WANTED = frozenset({Stop.DEADLINE, Stop.ENOUGH, Stop.SIGNAL})  # somebody asked for these ends


@dataclass(frozen=True, slots=True)
class Target:
    """Where word goes. `variable` is what it is called: the address itself is never shown."""

    variable: str
    on: frozenset[NotifyEvent]
    door: Apprise = field(repr=False)


def targets(manifest: Manifest, path: Path, environment: Mapping[str, str]) -> list[Target]:
    """Return whom a run tells; `path` is the manifest as messages name it.

    Raises:
        ManifestError: a variable that the manifest names is not set.
        UsageError: what is in one is no address.
        MissingExtraError: there are some, and the extra is not installed.
    """
    unset = [
        Problem(
            str(path),
            *one.place,
            f"notify[{number}].env",
            f"the environment variable {one.env} is not set, here or in .env",
        )
        for number, one in enumerate(manifest.notify)
        if not environment.get(one.env)
    ]
    if unset:
        raise ManifestError(unset)
    named = [(one.env, one.on) for one in manifest.notify]
    if environment.get(VARIABLE):
        named.append((VARIABLE, EVERYTHING))
    return [Target(name, on, _door(name, environment[name])) for name, on in named]


def _door(variable: str, addresses: str) -> Apprise:
    try:
        from apprise import Apprise  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as missing:
        raise MissingExtraError("notify", "notify") from missing
    # It tells addresses in what it logs.
    logging.getLogger("apprise").addHandler(logging.NullHandler())
    logging.getLogger("apprise").propagate = False
    door = Apprise()
    if not all(door.add(address) for address in addresses.split()):
        raise UsageError(
            f"{variable} is no address that apprise can notify, such as ntfys://ntfy.sh/a-long-topic"
        )
    return door


class Notifier:
    """Tells targets what happens in one run; a context manager that waits a little for the last words."""

    def __init__(self, campaign: str, told: list[Target], budget_micros: int | None) -> None:
        self._campaign = campaign
        self._targets = told
        self._budget_micros = budget_micros
        self._seen: set[NotifyEvent] = set()
        self._queue: SimpleQueue[tuple[Target, Message] | None] = SimpleQueue()
        self._failed: dict[str, None] = {}
        self._thread = threading.Thread(target=self._send, name="notify", daemon=True)

    def __enter__(self) -> Notifier:
        if self._targets:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, BatchrunnerError) and not isinstance(error, LockedError):
            self._tell({"stopped"}, "failure", "stopped", str(error))
        elif isinstance(error, Exception) and not isinstance(error, BatchrunnerError):
            what = "the state table is left as it is; please report it"
            self._tell({"stopped"}, "failure", "stopped by a bug", what)
        if self._targets:
            self._queue.put(None)
            self._thread.join(WAIT_S)
            if self._thread.is_alive():
                click.echo("a notification is still on its way, and not waited for any longer", err=True)
        for variable in self._failed:
            click.echo(f"a notification through {variable} was not delivered", err=True)

    def progress(self, progress: Progress) -> None:
        """Look at what one tick has committed; the first held job and the budget are told at once."""
        if not self._targets:
            return
        used = progress.spent_micros + progress.reserved_micros
        budget = self._budget_micros
        if budget is not None and used >= NEARLY * budget and "budget" not in self._seen:
            self._seen.add("budget")
            text = f"{money(used)} of {money(budget)} spent or reserved; what does not fit is not started"
            self._tell({"budget"}, "warning", f"{used / budget:.0%} of the budget is used", text)
        held = next((words for one in progress.changes if (words := _held(one))), None)
        if held and "held" not in self._seen:
            self._seen.add("held")
            more = f"The rest goes on. What settles it: batchrunner status {self._campaign}"
            self._tell({"held"}, "warning", "a job is held", f"{held}\n{more}")

    def ended(self, ended: Ended, summary: list[str]) -> None:
        """Tell how the run ended, unless it found nothing to do."""
        jobs, tally = ended.totals.jobs, ended.tally
        if ended.stop is None and not (tally.submissions or tally.downloads or jobs[JobState.HELD]):
            return
        events: set[NotifyEvent] = {"stopped" if ended.stop else "done"}
        if jobs[JobState.HELD]:
            events.add("held")
        rest = [f"{jobs[state]:,} {state}" for state in (JobState.HELD, JobState.FAILED) if jobs[state]]
        why = [f"stopped: {ended.stop}"] if ended.stop else []
        done = f"{jobs[JobState.DONE]:,} of {count(sum(jobs.values()), 'job')} done"
        title = ", ".join([done, *rest, *why])
        failed = ended.stop is not None and ended.stop not in WANTED
        weight: Weight = "failure" if failed else "warning" if rest else "success"
        body = "\n".join([*summary, *([ended.next_step] if ended.next_step else [])])
        self._tell(events, weight, title, body)

    def _tell(self, events: set[NotifyEvent], weight: Weight, title: str, body: str) -> None:
        for target in self._targets:
            if target.on & events:
                self._queue.put((target, (weight, f"{self._campaign}: {title}", here(body))))

    def _send(self) -> None:
        while (item := self._queue.get()) is not None:
            target, message = item
            if not deliver(target, message):
                self._failed[target.variable] = None


def deliver(target: Target, message: Message) -> bool:
    """Send one message and tell whether it was taken. Takes seconds, and never raises."""
    weight, title, body = message
    try:
        return bool(target.door.notify(title=title, body=body, notify_type=weight))
    except Exception:  # whatever a service does: the run must not know
        return False


def _held(change: Change) -> str:
    match change:
        case Moved(job=JobState.HELD):
            return f"{change.attempt.job}: {plain(change.detail or str(change.attempt.reason or ''))}"
        case JobRuled(state=JobState.HELD):
            return f"{change.job}: {plain(change.detail or str(change.reason or ''))}"
    return ""
