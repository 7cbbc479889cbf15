"""Plain lines with times: one for each thing that happened to a job, for logs and pipes."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from batchrunner.cli.text import lasted, money, plain, size
from batchrunner.clock import local_text
from batchrunner.engine.planner import Wait
from batchrunner.engine.progress import Progress
from batchrunner.rules.states import EventKind
from batchrunner.store.changes import Change, Intended, JobRuled, Moved, Noted
from batchrunner.store.runs import ASLEEP
from batchrunner.values import AttemptState, JobState, Reason


class LineView:
    """Writes to stderr; stdout is for results."""

    def __init__(self, give_up_s: float) -> None:
        self._give_up_s = give_up_s
        self._said_outage = False
        self._said_problem = ""
        self._said_opens: int | None = None

    def __enter__(self) -> LineView:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, progress: Progress) -> None:
        """Write what this tick brought."""
        for change in progress.changes:
            if words := describe(change):
                _say(words + self._until(change))
        if progress.problem != self._said_problem and not progress.changes:
            _say(f"trouble  {plain(progress.problem)}")
        self._said_problem = progress.problem
        outage = progress.waiting_for is Wait.OUTAGE
        if outage and not self._said_outage:
            _say(f"the provider does not answer; asking now and then ({plain(progress.problem)})")
        if self._said_outage and not outage:
            _say("the provider answers again")
        self._said_outage = outage
        if progress.opens_us is not None and progress.opens_us != self._said_opens:
            _say(f"waiting for {Wait.HOURS}, until {local_text(progress.opens_us)}")
        self._said_opens = progress.opens_us

    def _until(self, change: Change) -> str:
        """Say until when a submission in doubt is looked for."""
        if not isinstance(change, Moved) or change.attempt.state is not AttemptState.UNKNOWN:
            return ""
        return (
            f" until {datetime.now().astimezone() + timedelta(seconds=self._give_up_s):%H:%M} at the latest"
        )


def describe(change: Change) -> str:
    """Return one change in words, or nothing where it is not worth a line."""
    match change:
        case Intended(attempt):
            again = f" (attempt {attempt.number})" if attempt.number > 1 else ""
            return f"submit   {attempt.job}{again}"
        case Noted(kind, detail=detail) if kind == ASLEEP:
            return f"woke up  {detail}; going on"
        case JobRuled():
            return f"{change.state:<8} {change.job}: {plain(change.detail)}"
        case Moved():
            return _moved(change)
    return ""


def _moved(change: Moved) -> str:
    one = change.attempt
    match one.state:
        case AttemptState.DONE:
            file = one.files[0]
            what = f"{file.seconds:.1f} s, {file.width}x{file.height}, {size(file.size)}"
            return f"done     {one.job}  {file.path}  {what}"
        case AttemptState.ACCEPTED if change.kind is EventKind.FOUND:
            return f"found    {one.job}: at the provider as {one.request_id}; nothing paid again"
        case AttemptState.UNKNOWN:
            return f"unknown  {one.job}: {plain(change.detail)}; looking for it in the provider's list"
        case AttemptState.HELD:
            return f"held     {one.job}: {plain(change.detail)}, {money(one.reserved_micros)} at stake"
        case AttemptState.REFUSED | AttemptState.FAILED | AttemptState.CANCELLED | AttemptState.WAIVED:
            then = "failed for good" if change.job is JobState.FAILED else _again(change)
            return f"{one.state:<8} {one.job}: {plain(change.detail)}; {then}"
    return ""


def _again(change: Moved) -> str:
    if change.attempt.reason is Reason.CREDIT:
        return "it stays pending"
    wait_s = max(0.0, ((change.due_us or change.at_us) - change.at_us) / 1e6)
    return f"tries again in {lasted(wait_s)}"


def _say(words: str) -> None:
    click.echo(f"{datetime.now().astimezone():%H:%M:%S}  {words}", err=True)
