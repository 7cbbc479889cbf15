"""Lines for people, whose commands work when they are pasted: in the folders of the call that says them."""

from __future__ import annotations

from pathlib import Path

import click

from batchrunner.ways import placed


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
