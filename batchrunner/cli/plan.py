"""`validate` and `plan`: what a manifest says, before anything is sent."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from batchrunner.campaign import Campaign
from batchrunner.cli.options import JSON_OUTPUT, MANIFEST, OUTPUT, STATE, example, print_json
from batchrunner.cli.text import count, money
from batchrunner.errors import ManifestError
from batchrunner.planning import Plan
from batchrunner.standing import dollars


@click.command(epilog=example("batchrunner validate manifests/demo.yaml"))
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path))
@JSON_OUTPUT
def validate(manifests: tuple[Path, ...], as_json: bool) -> None:
    """Check MANIFESTS: every error, each with file, line and column. Exit 2 when there is one."""
    answers = []
    problems: list[str] = []
    for path in manifests:
        try:
            campaign = Campaign(path)
            answers.append({"manifest": str(path), "jobs": campaign.size(), "errors": []})
            if not as_json:
                click.echo(f"{path}: {count(campaign.size(), 'job')}, no errors")
        except ManifestError as error:
            problems += [str(problem) for problem in error.problems]
            errors = [asdict(problem) for problem in error.problems]
            answers.append({"manifest": str(path), "jobs": None, "errors": errors})
    if as_json:
        print_json(answers)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        click.echo(f"{count(len(problems), 'error')}; nothing was sent", err=True)
        raise click.exceptions.Exit(2)


@click.command(epilog=example("batchrunner plan manifests/demo.yaml --json"))
@MANIFEST
@STATE
@OUTPUT
@JSON_OUTPUT
def plan(manifest: Path, state: Path, output: Path | None, as_json: bool) -> None:
    """Tell what a run of MANIFEST would do and cost at most. Nothing is sent, nothing is written."""
    show_plan(Campaign(manifest, state=state, output=output), as_json=as_json)


def show_plan(campaign: Campaign, *, as_json: bool) -> None:
    """Print a campaign's plan on stdout."""
    made = campaign.plan()
    if as_json:
        print_json(plan_json(made))
        return
    click.echo(f"{made.campaign}: {count(made.jobs, 'job')} on {made.model} ({made.provider})")
    width = max(len(f"{number:,}") for number in (made.jobs, made.gone))
    for number, words in (
        (made.new, "new"),
        (made.changed, "changed since the last run (what they were before is kept)"),
        (made.unchanged, "unchanged since the last run"),
        (made.gone, "recorded, no longer in the manifest (kept)"),
        (made.done, "done already"),
        (made.to_submit, "to submit"),
    ):
        click.echo(f"  {number:>{width},}  {words}")
    click.echo(f"  at most {money(made.cost_micros)} still to pay ({made.price})")
    if made.again_micros:
        click.echo(f"  {money(made.again_micros)} of that for changed jobs that were paid for as they were")
    click.echo(f"  spent so far {money(made.spent_micros)}")
    if made.budget_micros is not None:
        click.echo(f"  budget {money(made.budget_micros)}")
    click.echo("Nothing was sent.")


def plan_json(made: Plan) -> dict[str, object]:
    """Return a plan as `--json` shows it: money in dollars."""
    values = asdict(made)
    for name in ("cost", "again", "total", "spent", "budget"):
        values[name] = dollars(values.pop(f"{name}_micros"))
    return values
