"""`report`: the page to look at in the morning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from batchrunner.cli.options import CAMPAIGN, STATE, example
from batchrunner.cli.text import plain
from batchrunner.cli.why import near
from batchrunner.engine.outcome import Ended
from batchrunner.errors import BatchrunnerError
from batchrunner.report.write import write_report, written

JOBS_MAX = 20_000  # with more, the page takes longer than a run may, and more memory


@click.command(epilog=example("batchrunner report demo\nbatchrunner report night.yaml --output /mnt/clips"))
@CAMPAIGN
@STATE
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="BATCHRUNNER_OUTPUT",
    default=None,
    help="Folder of the outputs.  [default: where the last run put them]",
)
@click.option(
    "--redact-prompts",
    "redact",
    is_flag=True,
    help="Another page beside it, to show around: without prompts and addresses of pictures.",
)
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
def report(campaign: str, state: Path, output: Path | None, redact: bool, opens: bool) -> None:
    """Write the page of CAMPAIGN (its name or its manifest) beside its clips, and print its path.

    One HTML file that opens from disk and needs no server and no network: every clip, what failed and why,
    what is held and the command that settles it, cost and time. Every run ends by writing it, too.
    """
    page = write_report(state, campaign, output, redact=redact)
    click.echo(near(page))
    if opens:
        click.launch(page.absolute().as_uri())


def page_after_run(state: Path, campaign: str, ended: Ended, keep_on: Callable[[], bool]) -> Path | None:
    """Write the page at the end of a run; where that fails, say so in one sentence and go on."""
    folder, jobs = ended.output, sum(ended.totals.jobs.values()) + ended.totals.unlisted
    if not folder.is_dir():
        return None  # nothing was ever filed there
    if jobs > JOBS_MAX:
        click.echo(
            f"the page of {jobs:,} jobs is written when asked for: batchrunner report {campaign}", err=True
        )
        return None
    try:
        there = written(state, campaign, folder) if ended.idle else None
        return near(there or write_report(state, campaign, folder.parent, keep_on))
    except BatchrunnerError as error:
        told = str(error)
    except Exception as error:  # the run is over and told: nothing here may change how it ended
        told = repr(error)
    click.echo(f"the report page was not written: {plain(told)}", err=True)
    return None
