"""`run`: the main job. Signals, the view, the summary and the exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Protocol

import click

from batchrunner.bills import is_bill, read_bill
from batchrunner.campaign import Campaign
from batchrunner.cli.awake import awake
from batchrunner.cli.bounds import with_bounds
from batchrunner.cli.consent import ASK_OPTION, get_consent
from batchrunner.cli.notes import show_notes
from batchrunner.cli.notify import Notifier, targets
from batchrunner.cli.options import (
    IN_FLIGHT,
    JSON_OUTPUT,
    MANIFEST,
    OUTPUT,
    STATE,
    environment,
    example,
    print_json,
)
from batchrunner.cli.plan import show_plan
from batchrunner.cli.reach import access
from batchrunner.cli.report import page_after_run
from batchrunner.cli.say import say
from batchrunner.cli.text import count, lasted, money, plain
from batchrunner.cli.trouble import trouble_lines
from batchrunner.engine.gate import Bounds
from batchrunner.engine.outcome import Ended
from batchrunner.engine.progress import Progress
from batchrunner.engine.steps import Stop
from batchrunner.rules.hours import span
from batchrunner.standing import dollars, held_json
from batchrunner.values import JobState

MISSING_SHOWN = 5


class View(Protocol):
    """Shows a run while it goes on."""

    def __enter__(self) -> View: ...

    def __exit__(self, *_: object) -> None: ...

    def update(self, progress: Progress) -> None:
        """Show one tick."""


class Quiet:
    """Shows nothing."""

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, progress: Progress) -> None:
        """Show nothing."""


class Signals:
    """The first SIGINT or SIGTERM stops the run gently, the second at once; `number` is the first one's."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self.number: int | None = None

    def install(self) -> None:
        """Take over the signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.number is None:
            self.number = number
            self._campaign.stop()
        else:
            self._campaign.abort()

    def code(self, ended: Ended) -> int:
        """Return the run's exit code: 128 + signal where a signal is the worst that happened."""
        code = ended.exit_code
        return 128 + self.number if code == 130 and self.number is not None else code


@click.command(
    epilog=example(
        "batchrunner run manifests/demo.yaml\nbatchrunner run night.yaml --in-flight 8 --output /mnt/clips"
    )
)
@MANIFEST
@STATE
@OUTPUT
@IN_FLIGHT
@click.option("--dry-run", "-n", is_flag=True, help="The same as `plan`: nothing is sent.")
@ASK_OPTION
@click.option("--yes", "-y", is_flag=True, help="Ask nothing, whatever it costs.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, only the summary.")
@JSON_OUTPUT
@with_bounds
def run(
    manifest: Path,
    state: Path,
    output: Path | None,
    in_flight: int | None,
    bounds: Bounds,
    dry_run: bool,
    ask_above: int,
    yes: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Work through MANIFEST (or a saved plan) until every clip is on disk. Run it again to go on."""
    bill = read_bill(manifest) if is_bill(manifest) else None
    path = bill.beside_manifest() if bill else manifest
    campaign = Campaign(path, state=state, output=output, in_flight=in_flight, bounds=bounds, access=access())
    if bill and (note := campaign.check_bill(bill)):  # before the key: what is stale needs none
        say(f"note: {note}", err=True)
    if dry_run:
        show_plan(campaign.plan(), as_json=as_json)
        show_notes(campaign.manifest.notes)
        if not as_json:
            say("Nothing was sent.")
        return
    campaign.check()
    told = targets(campaign.manifest, path, environment())
    if not bill:
        get_consent(campaign, sys.argv[2:], bounds, ask_above, yes=yes)
    signals = Signals(campaign)
    signals.install()
    with Notifier(campaign.name, told, campaign.budget_micros) as notifier:
        with awake(os.environ.get("BATCHRUNNER_AWAKE") != "0"), make_view(campaign, quiet=quiet) as view:

            def on_progress(progress: Progress) -> None:
                view.update(progress)
                notifier.progress(progress)

            ended = campaign.run(on_progress, bill=bill)
        summary = list(end_lines(ended))
        if not as_json:
            for line in summary:  # first: the page may take a while
                say(line)
        notifier.ended(ended, summary)
        page = page_after_run(state, campaign.name, ended, lambda: signals.number is None)
    if as_json:
        print_json({**ended_json(ended), "report": str(page) if page else None})
    elif page:
        say(f"page: {page}")
    if ended.next_step:
        say(ended.next_step, err=True)
    raise click.exceptions.Exit(signals.code(ended))


def make_view(campaign: Campaign, *, quiet: bool) -> View:
    """Choose the live view on a terminal, plain lines elsewhere."""
    if quiet:
        return Quiet()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from batchrunner.cli.live import LiveView  # noqa: PLC0415 - rich is loaded on a terminal only

        return LiveView(campaign)
    from batchrunner.cli.lines import LineView  # noqa: PLC0415 - the other branch needs none of it

    return LineView(campaign.manifest.recovery.give_up_s)


def end_lines(ended: Ended) -> Iterator[str]:
    """Yield the summary: what was done, what is left and why, where the clips are."""
    jobs, tally, totals = ended.totals.jobs, ended.tally, ended.totals
    total = sum(jobs.values())
    if jobs[JobState.DONE] == total and not tally.submissions and not tally.downloads:
        yield f"{ended.campaign}: all {count(total, 'job')} done already: 0 submissions, 0 downloads"
    else:
        yield f"{ended.campaign}: {jobs[JobState.DONE]:,} of {count(total, 'job')} done"
    rows = [(f"{jobs[state]:,}", str(state)) for state in JobState if jobs[state]]
    width = max((len(number) for number, _word in rows), default=1)
    for number, word in rows:
        yield f"  {number:>{width}}  {word}"
    if totals.unlisted:
        yield f"  {totals.unlisted:>{width},}  no longer in the manifest (kept)"
    reserved = f", {money(totals.reserved_micros)} reserved for open ones" if totals.reserved_micros else ""
    yield f"  spent {money(totals.spent_micros)} in all{reserved}"
    if tally.submissions or tally.downloads:
        yield (
            f"  this run: {count(tally.submissions, 'submission')}, {count(tally.downloads, 'download')}, "
            f"{lasted(ended.elapsed_s)}"
        )
    if tally.asleep_s:
        yield f"  the machine was asleep for {span(tally.asleep_s)} meanwhile"
    if ended.limits_found:
        found = ", ".join(f"{name}: {limit}" for name, limit in ended.limits_found.items())
        yield f"  slowed down: the provider refused some as too many; if it is its limit, limits: {{{found}}}"
    if tally.in_doubt or tally.unclear:
        lost = [held for held in ended.held if held.sent and held.request_id is None]
        stake = f", {money(sum(held.at_stake_micros for held in lost))} at stake" if lost else ""
        doubt = f"{count(tally.in_doubt, 'submission')} in doubt at the start, {tally.unclear:,} since"
        found = f"{tally.found:,} found at the provider (nothing paid again)"
        yield f"  {doubt}: {found}, {len(lost):,} held{stake}"
    if tally.duplicates:
        twice = f"{count(tally.duplicates, 'request')} that had been given up as absent"
        yield f"  {twice} turned up at the provider after all: paid twice; no more is given up this way"
    if tally.spared:
        saved = f"{count(tally.spared, 'job')} ({money(tally.spared_micros)})"
        yield f"  {saved} held back, because others like them were refused: see below"
    if tally.swept:
        paid = f"{count(tally.swept, 'request')} that this state table had lost, or another campaign made"
        yield f"  {paid}: found at the provider and taken over (nothing paid again)"
    if ended.missing:
        named = ", ".join(ended.missing[:MISSING_SHOWN]) + (
            " …" if len(ended.missing) > MISSING_SHOWN else ""
        )
        yield f"  {count(len(ended.missing), 'finished clip')} not in {ended.output} any more: {named}"
    yield from _trouble_lines(ended)
    yield f"clips: {ended.output}"


def _trouble_lines(ended: Ended) -> Iterator[str]:
    """Yield what failed and what is held, and why the run stopped."""
    yield from trouble_lines(ended.campaign, ended.failed, ended.held)
    more = ended.totals.jobs[JobState.FAILED] - len(ended.failed)
    if more > 0:
        yield f"  … {more:,} more failed: batchrunner jobs {ended.campaign} --state failed"
    if ended.stop not in {None, Stop.SIGNAL}:
        why = f": {plain(ended.detail)}" if ended.detail else ""
        yield f"  stopped: {ended.stop}{why}"


def ended_json(ended: Ended) -> dict[str, object]:
    """Return the end of a run as `--json` shows it: money in dollars, times in seconds."""
    return {
        "campaign": ended.campaign,
        "exit_code": ended.exit_code,
        "stop": str(ended.stop) if ended.stop else None,
        "detail": ended.detail,
        "jobs": {str(state): ended.totals.jobs[state] for state in JobState},
        "submissions": ended.tally.submissions,
        "downloads": ended.tally.downloads,
        "in_doubt": ended.tally.in_doubt,
        "found": ended.tally.found,
        "spent": dollars(ended.totals.spent_micros),
        "reserved": dollars(ended.totals.reserved_micros),
        "held": [held_json(ended.campaign, held) for held in ended.held],
        "failed": list(ended.failed),
        "missing": list(ended.missing),
        "elapsed": round(ended.elapsed_s, 3),
        "output": str(ended.output),
        "next": ended.next_step,
    }
