"""Lines for people, whose commands work when they are pasted: in the folders of the call that says them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

COMMAND = re.compile(
    r"\bbatchrunner (run|status|jobs|retry|resolve|audit|why|report|export)\b[^\n;|]*?(?=$|\n|;| \||  | &&)"
)
WITH_OUTPUT = frozenset({"run", "audit", "report"})


def placed(text: str, state: Path, output: Path | None = None) -> str:
    """Return a text whose commands name the folders of this call, where they are not the usual ones.

    Pasted without them, a command would look into another state table; a `run` would pay again.
    """
    words = [] if state == Path("state") else ["--state", shlex.quote(str(state))]
    more = [] if output is None else ["--output", shlex.quote(str(output))]

    def told(match: re.Match[str]) -> str:
        return " ".join([match[0], *words, *(more if match[1] in WITH_OUTPUT else [])])

    return COMMAND.sub(told, text) if words or more else text


def here(text: str) -> str:
    """Return a text whose commands name the folders that the command at work was called with."""
    context = click.get_current_context(silent=True)
    told = context.params if context else {}
    state, output = told.get("state"), told.get("output")
    return (
        placed(text, state, output if isinstance(output, Path) else None) if isinstance(state, Path) else text
    )


def say(text: str, *, err: bool = False) -> None:
    """Print a line; the folders are those that the command at work was called with."""
    click.echo(here(text), err=err)
