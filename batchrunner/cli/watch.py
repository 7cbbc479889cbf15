"""`status --watch`: a second terminal that follows a run. It reads the state table, when that has changed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click

LOOK_S = 1.0
AGAIN_S = 30.0  # also where nothing was written: a run that was killed writes nothing more


def watch(path: Path, lines: Callable[[], list[str]]) -> None:
    """Show some lines whenever a file changes, and now and then, until Ctrl-C.

    In place on a terminal, else one line each time. `lines()` is asked only then; its first line sums the
    others up.
    """
    with suppress(KeyboardInterrupt):
        if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
            _in_place(path, lines)
        else:
            _line_by_line(path, lines)


def _in_place(path: Path, lines: Callable[[], list[str]]) -> None:
    from rich.live import Live  # noqa: PLC0415 - on a terminal only
    from rich.text import Text  # noqa: PLC0415

    with Live(Text("\n".join(lines())), auto_refresh=False, vertical_overflow="crop") as live:
        for _change in _changes(path):
            live.update(Text("\n".join(lines())), refresh=True)


def _line_by_line(path: Path, lines: Callable[[], list[str]]) -> None:
    said = ""
    for _change in _changes(path):
        line = "; ".join(one.strip() for one in lines()[:6])
        if line != said:
            click.echo(f"{time.strftime('%H:%M:%S')}  {line}")
        said = line


def _changes(path: Path) -> Iterator[None]:
    """Yield at once, whenever the file has changed, and now and then."""
    while True:
        seen, until_s = _mark(path), time.monotonic() + AGAIN_S
        yield
        while _mark(path) == seen and time.monotonic() < until_s:
            time.sleep(LOOK_S)


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_mtime_ns, info.st_size
