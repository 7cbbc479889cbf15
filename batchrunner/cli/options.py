"""Options that several commands share, and what the environment gives."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from batchrunner.bills import is_bill, read_bill
from batchrunner.errors import UsageError
from batchrunner.manifest.slugs import ID

F = TypeVar("F", bound=Callable[..., Any])

MANIFEST = click.argument("manifest", type=click.Path(path_type=Path))
JSON_OUTPUT = click.option("--json", "as_json", is_flag=True, help="Answer as JSON on stdout.")
STATE = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="BATCHRUNNER_STATE",
    default=Path("state"),
    show_default=True,
    help="Folder of the state tables.",
)
OUTPUT = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="BATCHRUNNER_OUTPUT",
    default=None,
    help="Folder of the outputs.  [default: the manifest's output.folder, else outputs]",
)
IN_FLIGHT = click.option(
    "--in-flight",
    type=click.IntRange(1, 10_000),
    default=None,
    help="Jobs at the provider at once; wins over limits.in_flight.",
)


def example(text: str) -> str:
    """Return an epilog that click does not re-wrap."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in text.strip().splitlines())


def campaign_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Accept a campaign's name, its manifest file or a saved plan of it."""
    if value is None:
        return None
    path = Path(value)
    if is_bill(path):
        return read_bill(path).campaign
    if path.suffix in {".yaml", ".yml"}:
        from batchrunner.manifest.load import load  # noqa: PLC0415 - a campaign's name needs no manifest

        return load(path)[0].campaign
    if ID.fullmatch(value) and not (path.suffix and path.is_file()):
        return value
    wrong = "neither a manifest nor a saved plan" if path.exists() else "no campaign's name, and no file"
    raise UsageError(f"{value} is {wrong}: name a campaign, its manifest (.yaml) or a saved plan of it")


def refuse_bill(path: Path, instead: str) -> None:
    """Refuse a saved plan where only its manifest will do.

    Raises:
        UsageError: it is one; the text names the manifest, and what to do with a plan `instead`.
    """
    if is_bill(path):
        named = read_bill(path).manifest_path
        raise UsageError(f"{path} is a saved plan, not a manifest: give {named}; {instead}")


CAMPAIGN = click.argument("campaign", callback=campaign_name)
MAYBE_CAMPAIGN = click.argument("campaign", callback=campaign_name, required=False)


def environment() -> dict[str, str]:
    """Return the environment over what a `.env` file here says."""
    from dotenv import dotenv_values  # noqa: PLC0415 - only commands that talk to the provider need it

    stored = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return {**stored, **os.environ}


def print_json(value: object) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
