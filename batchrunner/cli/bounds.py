"""What may be asked of one run alone: until when, how many, for how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import wraps
from typing import Any

import click

from batchrunner.clock import SystemClock
from batchrunner.engine.gate import Bounds
from batchrunner.rules.hours import length_s, until_us


def with_bounds(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options below; it gets one argument for all of them, `bounds`."""
    return _bounded(command, _OPTIONS)


def with_bounds_of_plan(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command those of the options that change what it costs and when it is over."""
    return _bounded(command, {name: option for name, option in _OPTIONS.items() if name != "fresh"})


def _bounded(command: Callable[..., Any], options: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    @wraps(command)
    def gathered(**told: Any) -> Any:
        bounds = Bounds(**{name: told.pop(name) for name in options})
        return command(bounds=bounds, **told)

    for option in reversed(tuple(options.values())):
        gathered = option(gathered)
    return gathered


def _read_by(read: Callable[[str], object]) -> Callable[[click.Context, click.Parameter, str | None], object]:
    """Return a callback for an option whose text `read` reads, or refuses with a ValueError in words."""

    def callback(ctx: click.Context, param: click.Parameter, value: str | None) -> object:
        try:
            return None if value is None else read(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None

    return callback


def _micros(text: str) -> int:
    try:
        micros = Decimal(text.removeprefix("$")) * 1_000_000
    except InvalidOperation:
        micros = Decimal(-1)
    if not (micros.is_finite() and 0 <= micros <= 10**15):
        raise ValueError("a sum is written in dollars, like 52.40")
    return int(micros)


def _until(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Read a deadline, reckoned from `--at` where the command has that and it was given."""
    start_us: int | None = ctx.params.get("start_us")
    try:
        return None if value is None else until_us(value, start_us or SystemClock().now_us())
    except ValueError as error:
        late = start_us is not None and "passed" in str(error)
        told = f"{value} is not after --at" if late else str(error)
        raise click.BadParameter(told, ctx, param) from None


start_option = click.option(
    "--at",
    "start_us",
    is_eager=True,  # `--until` is reckoned from it
    metavar="TIME",
    callback=_read_by(lambda text: until_us(text, SystemClock().now_us())),
    help="When the run will start, written like --until.  [default: now]",
)
_OPTIONS: Mapping[str, Callable[..., Any]] = {
    "until_us": click.option(
        "--until",
        "until_us",
        metavar="TIME",
        callback=_until,
        help="Start nothing that would not be done by then: 07:00 (the next one), 2026-11-24T07:00 (here, or "
        "with an offset: Z, +02:00), or a day alone, for its beginning.",
    ),
    "for_s": click.option(
        "--for",
        "for_s",
        metavar="LENGTH",
        callback=_read_by(length_s),
        help="The same by length: 8h, 90m, 1h30m, 10s.",
    ),
    "max_new": click.option(
        "--max-new", type=click.IntRange(0), help="Submit at most so many jobs in this run: try a few first."
    ),
    "budget_micros": click.option(
        "--budget",
        "budget_micros",
        metavar="DOLLARS",
        callback=_read_by(_micros),
        help="For the whole campaign, spent and reserved; wins over limits.budget.",
    ),
    "fresh": click.option(
        "--fresh",
        is_flag=True,
        help="Send although the provider's list cannot tell what a lost state table had paid for.",
    ),
}
