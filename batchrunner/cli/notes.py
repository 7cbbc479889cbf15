"""What is not wrong in a manifest and perhaps not meant: told before money moves, on stderr."""

from __future__ import annotations

from collections.abc import Sequence

import click

from batchrunner.cli.text import plain
from batchrunner.errors import Problem

SHOWN_MAX = 5  # a plan fits on one screen


def show_notes(notes: Sequence[Problem], most: int | None = SHOWN_MAX) -> None:
    """Print notes, the first ones of many."""
    for one in notes[:most]:
        click.echo(plain(f"note: {one}"), err=True)
    if most is not None and len(notes) > most:
        click.echo(f"note: … and {len(notes) - most:,} more: batchrunner validate tells all", err=True)
