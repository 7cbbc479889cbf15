"""`rehearse`: tonight's run, played many times at a simulated provider. Nothing is sent."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import click

from batchrunner.bills import is_bill, read_bill
from batchrunner.cli.bounds import start_option, with_bounds
from batchrunner.cli.options import IN_FLIGHT, JSON_OUTPUT, MANIFEST, STATE, example, print_json
from batchrunner.cli.reach import access
from batchrunner.cli.text import count, lasted, money, plain
from batchrunner.clock import SystemClock, local_text, utc_text
from batchrunner.engine.gate import Bounds
from batchrunner.errors import InvariantError
from batchrunner.rehearsal.rehearse import Range, Rehearsal, nights_for
from batchrunner.rehearsal.rehearse import rehearse as play
from batchrunner.rehearsal.stage import Call, Stage
from batchrunner.rehearsal.weather import WEATHERS
from batchrunner.standing import dollars
from batchrunner.values import JobState

REASONS_SHOWN = 3
INVENTED = "the weather is invented; no provider was measured"
ENDS = {
    0: "every job done",
    3: "some jobs failed",
    4: "some jobs held",
    6: "the budget used up",
    7: "the provider away for longer than limits.max_outage, again and again",
    8: "something wrong on this machine",
    10: "the time, or the number of jobs, that was asked for used up",
}
EXAMPLES = """\
batchrunner rehearse night.yaml
batchrunner rehearse night.yaml --weather storm --at 22:00 --for 9h"""


@click.command(epilog=example(EXAMPLES))
@MANIFEST
@STATE
@IN_FLIGHT
@click.option(
    "--weather",
    type=click.Choice(list(WEATHERS)),
    default="rough",
    show_default=True,
    help="Invented, not measured. calm: little goes wrong. rough: an outage, a kill, lost answers, less room "
    "at the provider. storm: all of it, and more of it, than anybody has told of.",
)
@click.option("--nights", type=click.IntRange(1, 1_000), help="How many nights.  [default: by the jobs]")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the weather.")
@start_option
@JSON_OUTPUT
@with_bounds
def rehearse(
    manifest: Path,
    state: Path,
    in_flight: int | None,
    weather: str,
    nights: int | None,
    seed: int,
    start_us: int | None,
    bounds: Bounds,
    as_json: bool,
) -> None:
    """Play tonight's run of MANIFEST many times: nothing is sent, no key is needed, no file is touched.

    The real engine, with the manifest's jobs, limits and policies, works through what is left to do, at a
    simulated provider on a simulated clock. A run that is killed, or that an outage ends, is started again
    within five minutes. Jobs that are done, at the provider, held or failed already are not played.

    Exit 0: played; a night that the budget or the hours end early is told, and no error. Exit 2: the
    manifest or the call is wrong. Exit 70: something was paid twice or lost, which is a bug.
    """
    started = time.monotonic()
    begins_us = start_us or SystemClock().now_us()
    path = read_bill(manifest).beside_manifest() if is_bill(manifest) else manifest
    stage = Stage(Call(path, state, access().base_url, in_flight, bounds))
    stage.check()
    number = (nights or nights_for(len(stage.script.jobs))) if stage.script.jobs else 0
    if not number and not as_json:
        click.echo(f"{stage.name}: {_not_played(stage)}: nothing is left to rehearse")
        return
    with _ended_cleanly():
        played = play(stage, weather, start_us=begins_us, nights=number, seed=seed, each=_progress(number))
    took_s = time.monotonic() - started
    if as_json:
        print_json(rehearsal_json(played, took_s))
    else:
        for line in lines(stage, played, took_s):
            click.echo(line)
    if played.lost or played.twice > played.gambled:
        raise InvariantError(f"a rehearsal in {weather} weather with --seed {seed} paid twice or lost")


def lines(stage: Stage, played: Rehearsal, took_s: float) -> Iterator[str]:
    """Yield what a person reads, a line each."""
    script, nights = played.script, len(played.nights)
    begins = local_text(played.start_us)
    yield (
        f"{script.campaign}: {count(len(script.jobs), 'job')} in {count(nights, 'night')} of "
        f"{played.weather} weather, each from {begins} on"
    )
    if besides := _not_played(stage):
        yield f"  not played  {besides}"
    allowed = f", {played.gambled:,} of them by recovery.on_absent: resubmit" if played.gambled else ""
    yield f"  paid twice  {played.twice:,}{allowed}"
    yield f"  lost        {played.lost:,}"
    found = sum(one.found for one in played.nights)
    yield (
        f"  crashes     {played.crashes:,}; {count(found, 'submission')} without an answer found again, "
        "nothing paid again"
    )
    for state, words in ((JobState.DONE, "done"), (JobState.FAILED, "failed"), (JobState.HELD, "held")):
        yield f"  {words:<10}  {_jobs(played.jobs(state))}"
        if state is JobState.HELD:
            for why, number in _reasons(played):
                yield f"              {number:,} in all nights: {why}"
    left = played.jobs(JobState.PENDING)
    if left.high:
        yield f"  left over   {_jobs(left)}"
    yield f"  over at     {_times(played.range_of([one.end_us for one in played.nights]))}"
    yield f"  to pay      {_sums(played)}"
    for code, number in played.ends.most_common():
        yield f"  {number:,} of {count(nights, 'night')}: {ENDS.get(code, 'stopped')} (exit {code})"
    meant = "5 % to 95 % of the nights" if played.quantiles else "the lowest and the highest of the nights"
    yield f"ranges: {meant}. They rest on"
    for how in dict.fromkeys(one.how for one in script.durations.values()):
        yield f"  how long a clip takes: {plain(how)}"
    yield f"  what it costs: {plain(script.price)}"
    yield f"  what goes wrong: {INVENTED}"
    yield f"Nothing was sent, and none of your files was touched. It took {lasted(took_s)}."


def rehearsal_json(played: Rehearsal, took_s: float) -> dict[str, object]:
    """Return a rehearsal for scripts: money in dollars, times in UTC; ranges as low, likely, high."""
    script, nights = played.script, played.nights
    return {
        "campaign": script.campaign,
        "weather": played.weather,
        "seed": played.seed,
        "nights": len(nights),
        "jobs": len(script.jobs),
        "start": utc_text(played.start_us),
        "paid_twice": played.twice,
        "gambles_lost": played.gambled,
        "lost": played.lost,
        "crashes": played.crashes,
        "found": sum(one.found for one in nights),
        **{str(one): _three(played.jobs(one), round) for one in JobState if nights},
        "held_why": dict(played.held),
        "finish": _three(played.range_of([one.end_us for one in nights]), lambda at: utc_text(int(at)))
        if nights
        else None,
        "spent": _three(_paid(played), lambda micros: dollars(int(micros)))
        if nights and _priced(played)
        else None,
        "exit_codes": {str(code): number for code, number in sorted(played.ends.items())},
        "range": "5 % to 95 %" if played.quantiles else "lowest to highest",
        "rests_on": {
            "durations": list(dict.fromkeys(one.how for one in script.durations.values())),
            "price": script.price,
            "weather": INVENTED,
        },
        "took": round(took_s, 1),
    }


# --- the parts ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _ended_cleanly() -> Iterator[None]:
    """Let SIGTERM end this as an exception does, so that nothing of the nights stays in memory."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _progress(nights: int) -> Callable[[int, int], None]:
    """Return what shows on a terminal how far it is."""
    shown = sys.stderr.isatty()

    def each(over: int, number: int) -> None:
        if shown:
            end = "\r" + " " * 40 + "\r" if over == number else ""
            click.echo(f"\rrehearsed {over:,} of {count(number, 'night')}{end}", err=True, nl=False)

    if shown:
        click.echo(f"rehearsing {count(nights, 'night')} …", err=True, nl=False)
    return each


def _not_played(stage: Stage) -> str:
    states = stage.script.states
    words = {
        JobState.DONE: "done already",
        JobState.ACTIVE: "at the provider",
        JobState.HELD: "held",
        JobState.FAILED: "failed for good",
    }
    return ", ".join(
        f"{count(states[state], 'job')} {told}" for state, told in words.items() if states[state]
    )


def _reasons(played: Rehearsal) -> list[tuple[str, int]]:
    """Return why jobs were held, the commonest first; how often it was looked for makes no difference."""
    found: dict[str, int] = {}
    for why, number in played.held.items():
        alike = plain(re.sub(r"\d+ (looks|minutes)", r"some \1", why))
        found[alike] = found.get(alike, 0) + number
    return sorted(found.items(), key=lambda one: -one[1])[:REASONS_SHOWN]


def _jobs(found: Range) -> str:
    likely = count(int(found.likely), "job")
    return likely if found.low == found.high else f"{likely} ({found.low:,.0f} to {found.high:,.0f})"


def _times(found: Range) -> str:
    likely, low, high = (local_text(int(us)) for us in (found.likely, found.low, found.high))
    day = likely.split()[0]
    return f"{likely} ({low.removeprefix(day).strip()} to {high.removeprefix(day).strip()})"


def _priced(played: Rehearsal) -> bool:
    return played.script.cost_micros is not None


def _paid(played: Rehearsal) -> Range:
    return played.range_of([one.spent_micros for one in played.nights])


def _sums(played: Rehearsal) -> str:
    if not _priced(played):
        return "unknown: no price is known"
    paid = _paid(played)
    likely, low, high = (money(int(micros)) for micros in (paid.likely, paid.low, paid.high))
    span = "" if low == high else f" ({low} to {high})"
    budget = played.script.limits.budget_micros
    return f"{likely}{span}" + ("" if budget is None else f", of {money(budget)} that the budget leaves")


def _three(found: Range, shown: Callable[[float], object] = lambda value: value) -> list[object]:
    return [shown(found.low), shown(found.likely), shown(found.high)]
