"""A person's yes before money moves: asked once on a terminal, given as `--yes` elsewhere."""

from __future__ import annotations

import shlex
import sys
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import click

from batchrunner.campaign import Campaign
from batchrunner.cli.notes import show_notes
from batchrunner.cli.say import here
from batchrunner.cli.text import count, money
from batchrunner.engine.gate import Bounds
from batchrunner.errors import UsageError
from batchrunner.planning import ToPay

F = TypeVar("F", bound=Callable[..., Any])

ASK_ABOVE = "10"  # dollars: about 65 clips of 5 seconds


def parse_dollars(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    """Return dollars as micro-dollars; what is no amount is refused, so that nothing is let through by it."""
    try:
        amount = Decimal(value.strip().removeprefix("$"))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise click.BadParameter(f'"{value}" is not an amount in dollars')
    return int(amount * 1_000_000)


ASK_OPTION = click.option(
    "--ask-above",
    metavar="USD",
    envvar="BATCHRUNNER_ASK_ABOVE",
    default=ASK_ABOVE,
    show_default=True,
    show_envvar=True,
    callback=parse_dollars,
    help="Ask before a run that may cost more. The emulator never asks; a saved plan is a yes.",
)


def get_consent(
    campaign: Campaign, told: Sequence[str], bounds: Bounds, above_micros: int, *, yes: bool
) -> None:
    """Ask where a run may cost more than `above_micros`, or nobody knows what it costs; `yes`: it was said.

    `told`: the words behind `run` on the command line.
    What a plan would note of the manifest is told before, asked or not: once, for what is still to be paid.

    Raises:
        UsageError: the answer is no, or there is nobody to ask; nothing was sent.
    """
    if campaign.manifest.provider == "emulator":
        return
    notes = campaign.manifest.notes
    if yes and not notes:
        return
    due = campaign.to_pay()
    if not due.jobs:
        return
    show_notes(notes)
    if yes or (due.cost_micros is not None and due.cost_micros <= above_micros):
        return
    bill = bill_line(campaign, due)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"{bill}\nthat is more than {money(above_micros)}, and nobody is here to ask; nothing was sent\n"
            f"{_ways_to_say_yes(campaign, told, bounds)}"
        )
    if not _yes(f"{bill}\nGo on? [y/N] "):
        raise UsageError("nothing was sent")


def _ways_to_say_yes(campaign: Campaign, told: Sequence[str], bounds: Bounds) -> str:
    """Return the commands that go on: for just what was asked, and no other folder or further job."""
    by_word = f"say yes to it: {shlex.join(['batchrunner', 'run', '--yes', *told])}"
    if bounds != Bounds():  # a plan is of all there is to do
        return by_word
    plan = shlex.join(["batchrunner", "plan", str(campaign.manifest_path), "-o", f"{campaign.name}.plan"])
    return f"{by_word}; or save a plan and run that: {here(plan)}"


def bill_line(campaign: Campaign, due: ToPay) -> str:
    """Return what a run may cost in one line."""
    cost = "at a price that is not known" if due.cost_micros is None else f"at most {money(due.cost_micros)}"
    jobs = count(due.jobs, "job")
    return f"{campaign.name}: {jobs} to submit to {campaign.manifest.model}, {cost} still to pay"


def _yes(question: str) -> bool:
    with suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed before the question is no answer to it
    click.echo(question, err=True, nl=False)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        click.echo(err=True)
    return answer.strip().lower() in {"y", "yes"}
