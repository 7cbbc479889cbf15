"""`export`, and `jobs --like`: from what was recorded or filed back to a manifest."""

from __future__ import annotations

import json
from pathlib import Path

import click

from batchrunner.cli.options import CAMPAIGN, STATE, example
from batchrunner.cli.text import count, plain
from batchrunner.errors import UsageError
from batchrunner.exporting import export as export_campaign
from batchrunner.recreating import recreate
from batchrunner.saving import save
from batchrunner.sidecars import find_like, manifest_folder, read_sidecar
from batchrunner.writing import Exported

SHOWN = 5  # files that are named one by one


@click.command(epilog=example("batchrunner export night -o night-export.yaml"))
@CAMPAIGN
@STATE
@click.option(
    "--out",
    "-o",
    "target",
    type=click.Path(path_type=Path),
    help="Write to this file, which must not be there yet.  [default: stdout]",
)
def export(campaign: str, state: Path, target: Path | None) -> None:
    """Write a manifest of every job that CAMPAIGN has now: words and settings spelled out, seeds fixed.

    Another person gets the same payloads from it, byte for byte. Local pictures, and a card of your own, must
    go along with it. What is recorded and no longer in the manifest is left out, and told.
    """
    if target is not None and not target.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {target.parent}")
    place = target or Path(f"{campaign}-export.yaml")
    made = export_campaign(state, campaign, place)
    if target is None:
        click.echo(made.text, nl=False)
    else:
        save(target, made.text, mode=0o644, ours=lambda _path: False)
        click.echo(f"wrote {target}", err=True)
    if made.left:
        gone = count(made.left, "job")
        click.echo(
            f"{gone} recorded and no longer in the manifest: not in it; see `jobs {campaign}`", err=True
        )
    _tell_files(made)


def show_like(folder: Path, like: Path, *, as_json: bool) -> None:
    """Print the jobs that made a clip; where no state table has one, a manifest that makes it again."""
    sidecar = read_sidecar(like)
    found = list(find_like(folder, sidecar))
    for one in found:
        if as_json:
            told = {**one.row, "campaign": one.campaign, "table": str(one.state)}
            click.echo(json.dumps(told, ensure_ascii=False))
        else:
            file = plain(one.row["file"] or one.row["detail"] or "")
            click.echo(f"{one.row['state']:<8} {one.row['id']}  {file}".rstrip() + f"  ({one.state})")
    if found:
        return
    its = manifest_folder(folder, sidecar.campaign)
    made = recreate(sidecar, Path(f"{sidecar.path.stem}.yaml"), [Path(), *([its] if its else [])])
    if as_json:
        click.echo(json.dumps({"campaign": None, "manifest": made.text}, ensure_ascii=False))
    else:
        click.echo(made.text, nl=False)
    click.echo(
        f"no state table in {folder} has this job; the manifest on stdout makes the clip again", err=True
    )
    for warning in made.warnings:
        click.echo(f"warning: {warning}", err=True)
    _tell_files(made)


def _tell_files(made: Exported) -> None:
    if made.files:
        names = list(made.files)
        named = ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
        click.echo(f"{count(len(names), 'local file')} must go along with it: {named}", err=True)
    for path in made.missing[:SHOWN]:
        told = f"the file with sha256 {made.files[path]}; put it at {path}"
        click.echo(f"not where it was: {told}", err=True)
    if made.missing:
        click.echo("until then nobody can tell whether the payloads are the same", err=True)
