"""`validate`: is a manifest right? Quick enough for a hook, and in the words that GitHub marks lines with."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from batchrunner.cli.notes import show_notes
from batchrunner.cli.options import JSON_OUTPUT, environment, example, print_json, refuse_bill
from batchrunner.cli.reach import access
from batchrunner.cli.text import count
from batchrunner.errors import ManifestError, Problem, UsageError
from batchrunner.manifest.characters import PROBLEMS_MAX
from batchrunner.manifest.expand import count as size
from batchrunner.manifest.load import load
from batchrunner.providers.addresses import is_loopback
from batchrunner.values import Manifest

EXAMPLE = "batchrunner validate manifests/*.yaml\nbatchrunner validate manifests/*.yaml --format github"


@click.command(epilog=example(EXAMPLE))
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="`github`: annotations that GitHub shows at the lines of a pull request.",
)
@click.option("--notify", "tries", is_flag=True, help="Send a test message to each address under `notify:`.")
@JSON_OUTPUT
def validate(manifests: tuple[Path, ...], form: str, tries: bool, as_json: bool) -> None:
    """Check MANIFESTS: every error, each with file, line and column. Exit 2 when there is one."""
    form = "json" if as_json else form
    answers = []
    most = 0  # errors of one manifest
    problems: list[Problem] = []
    notes: list[Problem] = []
    for path in manifests:
        jobs, found, noted = check(path, tries=tries)
        problems += found
        most = max(most, len(found))
        notes += noted
        told = {"errors": [asdict(one) for one in found], "notes": [asdict(one) for one in noted]}
        answers.append({"manifest": str(path), "jobs": jobs, **told})
        if form == "text" and jobs is not None:
            click.echo(f"{path}: {count(jobs, 'job')}, no errors")
    if form == "json":
        print_json(answers)
    if form == "text":
        show_notes(notes, PROBLEMS_MAX)
    elif form == "github":
        for note in notes:
            click.echo(annotation(note, "notice"))
    for problem in problems:
        if form == "github":
            click.echo(annotation(problem))
        else:
            click.echo(str(problem) if problem.line else f"{problem.file}: {problem.message}", err=True)
    if problems:
        more = " and perhaps more, for so many are told at once" if most >= PROBLEMS_MAX else ""
        click.echo(f"{count(len(problems), 'error')}{more}; nothing was sent", err=True)
        raise click.exceptions.Exit(2)


def check(path: Path, *, tries: bool = False) -> tuple[int | None, list[Problem], tuple[Problem, ...]]:
    """Return how many jobs it makes, or None; what is wrong (line 0: the whole file); what is noted.

    `tries`: send a test message to each address that a run would notify, too.
    """
    # Not through Campaign: that brings the engine and all that a run needs.
    try:
        refuse_bill(path, "it holds itself to its manifest when it is run")
        manifest, card = load(path, far=not is_loopback(access().base_url))
        silent = try_notify(manifest, path) if tries else []
    except ManifestError as error:
        return None, error.problems, ()
    except UsageError as error:
        return None, [Problem(str(path), 0, 0, "", str(error))], ()
    return None if silent else size(manifest, card), silent, manifest.notes


def try_notify(manifest: Manifest, path: Path) -> list[Problem]:
    """Send a test message to each address that a run would notify; return who was not reached.

    Raises:
        UsageError: as `targets`.
    """
    from batchrunner.cli.notify import deliver, targets  # noqa: PLC0415 - brings what a run needs

    found = []
    for one in targets(manifest, path, environment()):
        words = f"A run would tell: {', '.join(sorted(one.on))}."
        if deliver(one, ("success", f"{manifest.campaign}: a test", words)):
            click.echo(f"{path}: {one.variable} was told", err=True)
        else:
            found.append(Problem(str(path), 0, 0, "", f"{one.variable}: the message was not delivered"))
    return found


def annotation(problem: Problem, kind: str = "error") -> str:
    """Return a problem as a workflow command of GitHub Actions, with all that ends one escaped."""
    places = {"file": problem.file, "line": problem.line, "col": problem.column}
    told = ",".join(f"{name}={_property(str(value))}" for name, value in places.items() if value)
    message = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return f"::{kind} {told}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
