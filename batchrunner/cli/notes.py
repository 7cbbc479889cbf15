"""What is not wrong in a manifest and perhaps not meant: told before money moves, on stderr."""

from __future__ import annotations

from collections.abc import Sequence

import click

from batchrunner.cli.text import plain
from batchrunner.errors import Problem
from batchrunner.manifest.characters import PROBLEMS_MAX

SHOWN_MAX = 5  # a plan fits on one screen


def show_notes(notes: Sequence[Problem], most: int = SHOWN_MAX) -> None:
    """Print notes, the first ones of many."""
    for one in notes[:most]:
        click.echo(plain(f"note: {one}"), err=True)
    if len(notes) > most:
        where = ": batchrunner validate tells more of them" if most < PROBLEMS_MAX else ""
        click.echo(f"note: … and {len(notes) - most:,} more{where}", err=True)
