"""`audit`: the state table held against the provider's list, in money, on one screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from batchrunner.auditing import Audit, make_audit, settle
from batchrunner.cli.options import CAMPAIGN, JSON_OUTPUT, STATE, example, print_json
from batchrunner.cli.reach import access
from batchrunner.cli.say import say
from batchrunner.cli.text import count, money, plain
from batchrunner.cli.why import near
from batchrunner.clock import SystemClock
from batchrunner.rules.audit import Finding, Standing

SHOWN = 20  # disagreements; the rest are in --json
ALWAYS = {Standing.ON_DISK, Standing.ORPHANED, Standing.TWICE}  # a nought here is an answer


@click.command(epilog=example("batchrunner audit demo\nbatchrunner audit manifests/demo.yaml --json"))
@CAMPAIGN
@STATE
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="BATCHRUNNER_OUTPUT",
    default=None,
    help="Folder of the outputs.  [default: where the last run put them]",
)
@JSON_OUTPUT
def audit(campaign: str, state: Path, output: Path | None, as_json: bool) -> None:
    """Hold the state table of CAMPAIGN against the provider's list: where is every dollar?

    Asks the provider one free list for each model; submits nothing and changes nothing.

    Exit 0: table, list and clips agree. Exit 4: something is held, not known, orphaned, paid twice, or could
    not be checked. Exit 8: clips that were paid for are not on disk.
    """
    found = make_audit(state, campaign, access(), SystemClock(), output)
    found = replace(found, manifest=near(found.manifest), output=near(found.output))
    if as_json:
        print_json(found.as_json())
    else:
        show_audit(found)
    raise click.exceptions.Exit(found.exit_code)


def show_audit(found: Audit) -> None:
    """Print the account on stdout: what was asked, the table of money, what disagrees, the verdict."""
    say(f"{found.campaign}: the state table against the provider's list")
    for told in found.lists:
        partial = "" if told.complete else "; THE LIST MAY NOT BE ALL THERE IS"
        say(f"  {plain(told.model)}: {count(told.requests, 'request')} in the list{partial}")
    rows = [(str(one), *pair) for one, pair in found.sums().items() if pair[0] or one in ALWAYS]
    number, micros = found.adopted()
    if number:
        rows.append(("of these adopted", number, micros))
    width = max(len(name) for name, _number, _micros in rows)
    for name, number, micros in rows:
        say(f"  {name:<{width}}  {number:>6,}  {money(micros):>10}")
    say(f"  the table: {money(found.spent_micros)} spent, {money(found.reserved_micros)} reserved")
    say(f"  the list: {money(found.billed_micros)} for what it shows as finished, at the same prices")
    single = [one for one in found.disagreements if one.standing is not Standing.UNCHECKED]
    for one in single[:SHOWN]:
        say(disagreement(found, one))
    if len(single) > SHOWN:
        say(f"  … {len(single) - SHOWN:,} more: batchrunner audit {found.campaign} --json")
    for line in doubts(found):
        say(line)
    say(verdict(found))


def disagreement(found: Audit, one: Finding) -> str:
    """Return one disagreement and the command that settles it."""
    return (
        f"  {one.standing}: {one.job}: {plain(one.why)} ({money(one.micros)})"
        f"\n      {plain(settle(found, one))}"
    )


def doubts(found: Audit) -> list[str]:
    """Return what could not be checked, and why."""
    unchecked: dict[str, list[Finding]] = {}
    for one in found.disagreements:
        if one.standing is Standing.UNCHECKED:
            why = one.why.replace(f"request {one.request_id} ", "")
            unchecked.setdefault(why, []).append(one)
    lines = [
        f"  not checked: {count(len(same), 'attempt')}: {plain(why)}, first {same[0].job}"
        for why, same in unchecked.items()
    ]
    if found.unreadable:
        requests = count(found.unreadable, "listed request")
        lines.append(f"  not checked: {requests} without a readable payload: nobody can say whose")
    if not all(one.complete for one in found.lists):
        lines.append("  not checked: what the list left out; orphans and double payments may be among it")
    return lines


def verdict(found: Audit) -> str:
    """Return the last line: whether all agrees, and the exit code that says so."""
    if found.agrees:
        return "agreed: table, list and clips"
    single = [one for one in found.disagreements if one.standing is not Standing.UNCHECKED]
    if not single:
        return (
            f"not agreed: what was seen agrees, but not everything could be checked (exit {found.exit_code})"
        )
    at_stake = money(sum(one.micros for one in single))
    return f"not agreed: {count(len(single), 'line')} to settle, {at_stake} (exit {found.exit_code})"
