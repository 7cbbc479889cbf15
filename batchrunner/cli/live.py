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
from batchrunner.cli.text import count, lasted, money, plain
from batchrunner.clock import local_text
from batchrunner.engine.planner import Wait
from batchrunner.engine.progress import Progress
from batchrunner.engine.steps import Stop
from batchrunner.rules.states import EventKind
from batchrunner.store.changes import Moved
from batchrunner.values import JobState

REFRESH_S = 0.1
TICK_S = 1.0  # redrawn so often while nothing happens: time goes on, and the newest tick is always shown
OUTLOOK_S = 10.0
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
        self._look_ahead(progress, now_s)
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
        return f"{why}{self._seen_ahead}Ctrl-C stops safely, the same command goes on"

    def _look_ahead(self, progress: Progress, now_s: float) -> None:
        """Note when all will be done and what it will have cost, every few seconds."""
        if now_s < self._look_s:
            return
        self._look_s = now_s + OUTLOOK_S
        told, left_micros = self._campaign.foresight(), self._campaign.to_finish_micros()
        if told is None:
            self._seen_ahead = ""
            return
        now_us = time.time_ns() // 1000
        low, high = (local_text(now_us + int(at_s * 1e6))[-5:] for at_s in (told.low_s, told.high_s))
        at = f"done between {low} and {high}" if low != high else f"done about {low}"
        least = progress.spent_micros + progress.reserved_micros
        cost = "" if left_micros is None else f", at most {money(least + left_micros)} in all"
        self._seen_ahead = f"{at}{cost}; "
