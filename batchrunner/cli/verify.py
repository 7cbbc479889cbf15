"""`verify`: is everything still as it was recorded?"""

from __future__ import annotations

from pathlib import Path

import click

from batchrunner.cli.options import CAMPAIGN, JSON_OUTPUT, STATE, example, print_json
from batchrunner.cli.say import say
from batchrunner.cli.text import count, plain, size
from batchrunner.cli.why import near
from batchrunner.verifying import verify as look

DAMAGED = 8
SHOWN = 50


@click.command(epilog=example("batchrunner verify demo\nbatchrunner verify night.yaml --json"))
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
def verify(campaign: str, state: Path, output: Path | None, as_json: bool) -> None:
    """Read the whole state table of CAMPAIGN and every clip, and compare them with what was recorded.

    A run looks at names and sizes only. Exit 0: all is as it was. Exit 8: something is not.
    """
    found = look(state, campaign, output)
    if as_json:
        print_json(found.as_json())
    else:
        for one in found.flaws[:SHOWN]:
            where = f"{one.job}: {near(found.output)}/{one.path} " if one.path else ""
            say(f"  {plain(where + one.what)}")
        if len(found.flaws) > SHOWN:
            say(f"  … {len(found.flaws) - SHOWN:,} more: --json has them all")
        told = f"{count(found.files, 'file')}, {size(found.size)}"
        verdict = count(len(found.flaws), "flaw") if found.flaws else "all as recorded"
        say(f"{found.campaign}: {told}: {verdict}")
    if found.flaws:
        if any(one.path for one in found.flaws):
            back = f"what brings it back from the provider: batchrunner audit {campaign}"
            say(f"move a changed clip away; {back}", err=True)
        raise click.exceptions.Exit(DAMAGED)
