"""One calm view on a terminal: a bar, counts by state, spend, what is in flight, the last problem."""

from __future__ import annotations

import threading
import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batchrunner.campaign import Campaign
from batchrunner.cli.text import count, lasted, money, plain, to_cents
from batchrunner.clock import local_text
from batchrunner.engine.outlook import Outlook
from batchrunner.engine.planner import Wait
from batchrunner.engine.progress import Progress
from batchrunner.engine.steps import Stop
from batchrunner.rules.foresight import Foresight
from batchrunner.rules.states import EventKind
from batchrunner.store.changes import Moved
from batchrunner.values import JobState

REFRESH_S = 0.1
TICK_S = 1.0  # redrawn so often while nothing happens: time goes on, and the newest tick is always shown
OUTLOOK_S = 10.0
DAY_NAMED_S = 16 * 3600.0
STYLES = {
    JobState.PENDING: "dim",
    JobState.ACTIVE: "cyan",
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.HELD: "yellow",
}


class LiveView:
    """Redraws at most ten times a second, on stderr."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._began_s = time.monotonic()
        self._drawn_s = float("-inf")
        self._latest = ""
        self._look_s = float("-inf")
        self._seen_ahead = ""
        self._newest: Progress | None = None
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="view", daemon=True)

    def __enter__(self) -> LiveView:
        self._live.start()
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._ticker.join()
        self._live.stop()

    def update(self, progress: Progress) -> None:
        """Redraw, unless it was just done."""
        for change in progress.changes:
            if isinstance(change, Moved) and change.kind is EventKind.PUBLISHED:
                self._latest = change.attempt.files[0].path
        now_s = time.monotonic()
        self._newest = progress
        self._look_ahead(now_s)
        if now_s - self._drawn_s >= REFRESH_S or progress.stop is not None:
            self._drawn_s = now_s
            self._live.update(self._draw(progress), refresh=True)

    def _tick(self) -> None:
        while not self._over.wait(TICK_S):
            if self._newest is not None:
                self._live.update(self._draw(self._newest), refresh=True)

    def _draw(self, progress: Progress) -> RenderableType:
        total = sum(progress.jobs.values())
        done = progress.jobs[JobState.DONE]
        head = Table.grid(padding=(0, 2), expand=True)
        head.add_column(no_wrap=True)
        head.add_column(ratio=1)
        head.add_column(no_wrap=True, justify="right")
        bar = ProgressBar(total=max(1, total), completed=done, complete_style="green", finished_style="green")
        passed = lasted(time.monotonic() - self._began_s)
        head.add_row(Text(self._campaign.name, style="bold"), bar, f"{done:,} of {total:,}  {passed}")
        lines: list[RenderableType] = [head, self._counts(progress), self._money(progress)]
        if self._seen_ahead and progress.stop is None:
            lines.append(Text(f"ahead    {self._seen_ahead}", overflow="ellipsis", no_wrap=True))
        lines.append(Text(f"latest   {self._latest or 'no clip yet'}", overflow="ellipsis", no_wrap=True))
        problem = plain(progress.problem) or "none"
        lines.append(Text(f"problem  {problem}", style="yellow" if progress.problem else "dim", no_wrap=True))
        lines.append(Text(self._footer(progress), style="dim", no_wrap=True))
        return Group(*lines)

    def _counts(self, progress: Progress) -> Text:
        text = Text("jobs     ", no_wrap=True, overflow="ellipsis")
        for state in JobState:
            number = progress.jobs.get(state, 0)
            text.append(f"{number:,} {state}   ", style=STYLES[state] if number else "dim")
        return text

    def _money(self, progress: Progress) -> Text:
        spent, reserved = money(progress.spent_micros), money(progress.reserved_micros)
        budget = self._campaign.budget_micros
        cap = f" of {money(budget)}" if budget is not None else ""
        flight = f"{progress.in_flight:,} at the provider, {count(progress.downloading, 'download')}"
        words = f"spend    {spent} spent, {reserved} reserved{cap}   {flight}"
        return Text(words, no_wrap=True, overflow="ellipsis")

    def _footer(self, progress: Progress) -> str:
        if progress.stop is Stop.SIGNAL:
            return "stopping: waiting for the submissions on the wire; Ctrl-C again to stop at once"
        if progress.stop is not None:
            return f"stopping ({progress.stop}): finishing what is paid for"
        if progress.waiting_for is Wait.OUTAGE:
            return f"no answer from the provider for {lasted(progress.outage_s)}; asking now and then"
        if progress.opens_us is not None:
            return f"waiting for {Wait.HOURS}, until {local_text(progress.opens_us)}"
        waits = {Wait.PACE, Wait.LOOKING, Wait.KEY}
        why = f"waiting: {progress.waiting_for}; " if progress.waiting_for in waits else ""
        return f"{why}Ctrl-C stops safely, the same command goes on"

    def _look_ahead(self, now_s: float) -> None:
        """Note when it will be over and what all will have cost, every few seconds."""
        if now_s < self._look_s:
            return
        self._look_s = now_s + OUTLOOK_S
        told = self._campaign.outlook()
        self._seen_ahead = outlook_words(told, time.time_ns() // 1000) if told is not None else ""


def outlook_words(told: Outlook, now_us: int) -> str:
    """Say when a run will be over and what all will have cost, as far as anybody can."""
    ends = "done"
    if told.within is not None:
        what = "--max-new" if told.ends is Stop.ENOUGH else "the budget"
        ends = f"{what} ends it after {_more(told.within)},"
    when = f"{ends} {_span_words(told.finish, now_us)}" if told.finish else ends.rstrip(",")
    when += " but for the deadline" if told.cut else ""
    known = when if told.finish or told.within is not None else ""
    return ", ".join(words for words in (known, _cost_words(told)) if words)


def _span_words(finish: Foresight, now_us: int) -> str:
    low, high = (_clock(now_us, after_s) for after_s in (finish.low_s, finish.high_s))
    return f"between {low} and {high}" if low != high else f"about {low}"


def _clock(now_us: int, after_s: float) -> str:
    """Return a time to come: with its day where the hour alone may be taken for another day's."""
    text = local_text(now_us + int(after_s * 1e6))
    return text if after_s >= DAY_NAMED_S else text.split()[1]


def _more(jobs: int) -> str:
    return f"about {jobs:,} more job{'' if jobs == 1 else 's'}" if jobs else "what is under way"


def _cost_words(told: Outlook) -> str:
    if told.most_micros is None:
        return ""
    most = money(to_cents(told.most_micros))
    if told.least_micros is None:
        return f"at most {most} in all"
    least = money(to_cents(told.least_micros))
    return f"{least} to {most} in all" if least != most else f"{most} in all"
