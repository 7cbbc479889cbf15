"""`verify`: everything that a campaign has on this disk, looked at to the last byte."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import click

from batchrunner.cli.options import CAMPAIGN, JSON_OUTPUT, STATE, example, print_json
from batchrunner.cli.reach import access
from batchrunner.cli.say import say
from batchrunner.cli.text import count, money, plain
from batchrunner.clock import SystemClock
from batchrunner.restoring import Unfetched, fetch_again
from batchrunner.verifying import Finding, Verified, mend_counts
from batchrunner.verifying import verify as look

SHOWN = 20  # findings; the rest are in --json


@click.command(epilog=example("batchrunner verify demo\nbatchrunner verify demo --fetch"))
@CAMPAIGN
@STATE
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="BATCHRUNNER_OUTPUT",
    default=None,
    help="Folder of the outputs.  [default: where the last run put them]",
)
@click.option("--mend", is_flag=True, help="Count anew where the table's own counts are wrong.")
@click.option(
    "--fetch",
    is_flag=True,
    help="Fetch clips that are gone from the provider again: free, while it has them.",
)
@JSON_OUTPUT
def verify(campaign: str, state: Path, output: Path | None, mend: bool, fetch: bool, as_json: bool) -> None:
    """Look at everything that CAMPAIGN has on this disk: the state table, every clip, every sidecar.

    A run looks at what can have changed since the last one; this looks at every page of the table and every
    byte of every clip. Without --mend and --fetch it asks nobody, changes nothing, and may be used while a
    run goes on.

    Exit 0: all is whole. Exit 8: it is not; each finding says what mends it.
    """
    with progress(shown=not as_json) as on_progress:
        found = look(state, campaign, output, on_progress)
    if mend and any(one.kind == "count" for one in found.findings):
        mend_counts(state, campaign, SystemClock())
        click.echo("counted anew", err=True)
        found = look(state, campaign, output)
    gone = [(one.job, one.path) for one in found.findings if one.kind == "missing" and one.job and one.path]
    if fetch and gone:
        left = fetch_again(state, found.campaign, gone, found.output, access(), SystemClock(), show_fetched)
        found = with_reasons(look(state, campaign, output), left)
    if as_json:
        print_json(found.as_json())
    else:
        show_verified(found)
    raise click.exceptions.Exit(found.exit_code)


def show_fetched(path: str) -> None:
    """Tell of a clip that is there again."""
    click.echo(f"fetched  {plain(path)}", err=True)


def with_reasons(found: Verified, left: list[Unfetched]) -> Verified:
    """Return what was found, with what became of each clip that did not come back."""
    told = {one.path: one for one in left}

    def reasoned(finding: Finding) -> Finding:
        one = told.get(finding.path or "") if finding.kind == "missing" else None
        if one is None:
            return finding
        way = (
            f"a new render costs {money(one.cost_micros)} at most, as another take or seed of the manifest"
            if one.lost
            else f"to try again: batchrunner verify {found.campaign} --fetch"
        )
        return replace(finding, mend=f"not fetched: {one.why}; {way}")

    return replace(found, findings=tuple(map(reasoned, found.findings)))


@contextlib.contextmanager
def progress(*, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Give what shows on a terminal how far the look has come."""
    if not (shown and sys.stderr.isatty()):
        yield lambda _done, _all: None
        return

    def show(done: int, every: int) -> None:
        click.echo(f"\r{done:,} of {count(every, 'job')} looked at", err=True, nl=False)

    try:
        yield show
    finally:
        click.echo("\r\x1b[K", err=True, nl=False)


def show_verified(found: Verified) -> None:
    """Print what was looked at and what was found, on stdout."""
    say(f"{found.campaign}: {found.state}, {count(found.clips, 'clip')} ({found.size / 1e6:,.1f} MB)")
    for one in found.findings[:SHOWN]:
        say(f"  {plain(one.what)}\n      {plain(one.mend)}")
    if len(found.findings) > SHOWN:
        more = len(found.findings) - SHOWN
        say(f"  … {more:,} more: batchrunner verify {found.campaign} --json")
    for told in found.unchecked:
        say(f"  not checked: {plain(told)}")
    if found.findings:
        say(f"not whole: {count(len(found.findings), 'finding')} (exit {found.exit_code})")
    else:
        say("whole" if not found.unchecked else "whole, as far as it was looked at")
