"""`init`: a first manifest for what is there, or a worked example."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import click

from batchrunner.cards import Card, load_card
from batchrunner.cli.options import example
from batchrunner.cli.text import count
from batchrunner.errors import BatchrunnerError, LocalError, UsageError
from batchrunner.files import demo_folder, schema_text
from batchrunner.listing import JSON_SUFFIXES
from batchrunner.manifest.load import MANIFESTS
from batchrunner.nearest import nearest
from batchrunner.starting import (
    MODEL,
    default_path,
    for_folder,
    for_table,
    for_words,
    holds_some,
    others,
    suffixes,
)

STARTER = """\
# yaml-language-server: $schema=schemas/manifest.schema.json
version: 1
campaign: {campaign}
model: pixverse-v5.6-i2v
provider: emulator        # renders small clips on this machine, free; `gmi` is the paid queue
seed: 1                   # every job's seed derives from it
takes: 2                  # seeds for each image and prompt
parameters:
  duration: 5
  aspect_ratio: "16:9"
  quality: 360p
images:
  - {{id: first, url: "https://example.com/first.png", vars: {{subject: the harbour}}}}
  # - {{file: photos/second.png, vars: {{subject: the fox}}}}
prompts:
  - {{id: push-in, text: "Slow push-in on {{subject}}, morning light"}}
limits:
  in_flight: 4
  # budget: 5.00          # dollars, at most
"""
FOLDERS_SHOWN = 3
TABLES = frozenset({".csv", ".tsv", *JSON_SUFFIXES})
EXAMPLES = ("demo", "lookbook", "quality-ladder", "seed-sweep", "shotlist", "transitions")


class _ExampleName(click.Choice[str]):
    """The name of an example; for a misspelt one, the nearest."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name.

        Raises:
            UsageError: there is no such example.
        """
        if value not in self.choices:
            near = nearest(value.casefold(), self.choices)
            meant = f"did you mean {near}? There are" if near else "there are"
            raise UsageError(f'there is no example "{value}": {meant} {", ".join(self.choices)}')
        return super().convert(value, param, ctx)


@click.command(
    epilog=example(
        'batchrunner init photos/ --prompt "Slow push-in, soft light"\n'
        "batchrunner init --from shots.csv\n"
        "batchrunner init --example lookbook demo && cd demo && batchrunner run manifests/lookbook.yaml"
    )
)
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--prompt", "prompts", multiple=True, help="Words for every picture; may be given again.")
@click.option(
    "--from",
    "table",
    type=click.Path(path_type=Path),
    help="A csv or jsonl of shots, images or prompts; or a text of prompts, one a line.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The manifest to write."
)
@click.option("--model", help="The model to render with; `batchrunner models` lists them.")
@click.option("--example", "name", type=_ExampleName(EXAMPLES), help="Lay out a worked example.")
@click.option("--demo", is_flag=True, help="The same as --example demo.")
def init(
    folder: Path | None,
    prompts: tuple[str, ...],
    table: Path | None,
    output: Path | None,
    model: str | None,
    name: str | None,
    demo: bool,
) -> None:
    """Write a commented first manifest.

    For a FOLDER with pictures (or videos, as the model takes) in it, or else in folders below it: one for
    them, here. For a table: one for its rows. Else a starter, into FOLDER, which must be there. An example
    goes into FOLDER, with its pictures and the schema that editors use.
    """
    name = name or ("demo" if demo else None)
    _one_way(prompts, table, output, model, name, folder)
    here = folder or Path()
    try:
        if name is not None:
            _tell(_example(here, name), here)
        elif table is not None or _has_files(folder, prompts, output, model) or model or output:
            _for_what_is_there(folder, prompts, table, output, model)
        else:
            _tell(_starter(here), here)
            click.echo(_why_a_starter(folder), err=True)
    except OSError as error:
        raise LocalError(f"cannot write to {error.filename or here}: {error.strerror}") from error


def _one_way(
    prompts: tuple[str, ...],
    table: Path | None,
    output: Path | None,
    model: str | None,
    name: str | None,
    folder: Path | None,
) -> None:
    if name is not None and (prompts or table or output or model):
        raise click.UsageError("an example is laid out as it is: leave --prompt, --from, --model and -o away")
    if table is not None and (prompts or folder is not None):
        raise click.UsageError("--from names the table: leave FOLDER and --prompt away")
    if table is not None and table.is_dir():
        raise UsageError(f"{table} is a folder: batchrunner init {shlex.quote(str(table))}")
    if table is not None and table.suffix.lower() in MANIFESTS and table.is_file():
        raise UsageError(f"{table} is {_instead(table)}")
    if folder is not None and folder.is_file():
        raise click.UsageError(f"{folder} is {_instead(folder)}")


def _instead(file: Path) -> str:
    """Return what a file is that stands for a folder, and the command that was meant."""
    quoted = shlex.quote(str(file))
    if file.suffix.lower() in MANIFESTS:
        return f"a manifest already: batchrunner plan {quoted}"
    if file.suffix.lower() in {*TABLES, ".txt"}:
        kind = "a text" if file.suffix.lower() == ".txt" else "a table"
        return f"{kind}: batchrunner init --from {quoted}"
    return f"a file, and a folder is asked for: batchrunner init {shlex.quote(str(file.parent))}"


def _has_files(folder: Path | None, prompts: tuple[str, ...], output: Path | None, model: str | None) -> bool:
    """Tell whether a folder has what the model takes; refuse what was meant to have it and has not."""

    card = load_card(model or MODEL)
    here = folder or Path()
    if folder is not None and not card.image_fields:
        raise UsageError(f"{card.id} takes no picture: leave the folder {folder} away{_missing(folder)}")
    if not here.is_dir():
        raise UsageError(f"there is no folder {here}{_near(here)}")
    if not card.image_fields or holds_some(here, card, below=folder is not None):
        return bool(card.image_fields)
    kind, taken = "videos" if card.videos else "pictures", ", ".join(sorted(suffixes(card)))
    if folder is not None and (left := others(here, card)):
        more = f" and {len(left) - 1:,} more" if len(left) > 1 else ""
        what = f"there are no {kind} in {here} that the model takes"
        raise UsageError(f"{what}: convert {left[0]}{more} to {taken}")
    if prompts or (folder is not None and (output is not None or model is not None)):
        where = f"{here} or below it" if folder is not None else "this folder"
        raise UsageError(f"there are no {kind} in {where}: {taken}{_holding(card)}")
    return False


def _holding(card: Card) -> str:
    """Return which folders of this one hold what a model takes, and the command for the first of them."""

    folders = sorted(one for one in Path().iterdir() if one.is_dir() and not one.name.startswith("."))
    found = [one for one in folders if holds_some(one, card)]
    if not found:
        return ""
    named = ", ".join(map(str, found[:FOLDERS_SHOWN])) + (", …" if len(found) > FOLDERS_SHOWN else "")
    return f"; there are some in {named}: batchrunner init {shlex.quote(str(found[0]))}"


def _why_a_starter(folder: Path | None) -> str:

    card = load_card(MODEL)
    where = "in this folder" if folder is None else f"in {folder} or below it"
    what = f"there are no pictures ({', '.join(sorted(suffixes(card)))}) {where}"
    return f"{what}, so its image stands for yours{_holding(card) if folder is None else ''}"


def _missing(folder: Path) -> str:
    return "" if folder.is_dir() else "; nor is there such a folder"


def _near(folder: Path) -> str:
    """Return the folder, or example, that was most likely meant, in words."""
    if str(folder) in EXAMPLES:
        return f": batchrunner init --example {folder}"
    parent = folder.parent
    if not parent.is_dir():
        return f": there is no folder {parent}"
    names = {one.name.casefold(): one for one in parent.iterdir() if one.is_dir()}
    near = nearest(folder.name.casefold(), sorted(names))
    return f': did you mean "{names[near]}"?' if near else ""


def _for_what_is_there(
    folder: Path | None, prompts: tuple[str, ...], table: Path | None, output: Path | None, model: str | None
) -> None:

    card, here = load_card(model or MODEL), folder or Path()
    path = output or default_path(table or here)
    _refuse_to_overwrite(path, "name another file with -o, or move it away")
    added = [one for one in (path.parent, *path.parent.parents) if not one.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)  # paths from a folder that is not there lead nowhere
    try:
        if table is not None:
            made = for_table(table, path, card)
        elif holds_some(here, card, below=folder is not None):
            made = for_folder(here, prompts, path, card)
        else:
            made = for_words(here.resolve().name, prompts, path, card)
    except BatchrunnerError:
        for one in added:
            one.rmdir()
        raise
    _write_schema(Path())
    path.write_text(made.text, encoding="utf-8")
    click.echo(f"wrote {path}: {count(made.jobs, 'job')}")
    for note in made.notes:
        click.echo(note, err=True)
    click.echo(f"next: batchrunner run {shlex.quote(str(path))}")


def _tell(made: Path, folder: Path) -> None:
    click.echo(f"wrote {made}")
    where = f"cd {shlex.quote(str(folder))} && " if folder != Path() else ""
    click.echo(f"next: {where}batchrunner run {os.fspath(made.relative_to(folder))}")


def _starter(folder: Path) -> Path:
    path = folder / "manifest.yaml"
    _refuse_to_overwrite(path, "name another file with -o, or move it away")
    _write_schema(folder)
    name = folder.resolve().name.lower()
    campaign = "".join(char if char.isascii() and char.isalnum() else "-" for char in name).strip("-")
    path.write_text(STARTER.format(campaign=campaign or "first"), encoding="utf-8")
    return path


def _example(folder: Path, name: str) -> Path:
    """Lay out one example: its manifest, its table if it has one, and the pictures."""
    source = demo_folder()
    files = sorted(source.glob(f"{name}.*"))
    for file in files:
        _refuse_to_overwrite(folder / "manifests" / file.name, "name another folder, or move it away")
    _write_schema(folder)
    shutil.copytree(source / "images", folder / "manifests" / "images", dirs_exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / "manifests" / file.name)
    return folder / "manifests" / f"{name}.yaml"


def _refuse_to_overwrite(path: Path, advice: str) -> None:
    if path.exists():
        raise UsageError(f"{path} is there already, and nothing was written: {advice}")


def _write_schema(folder: Path) -> None:
    path = folder / "schemas" / "manifest.schema.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(schema_text("manifest.schema.json"), encoding="utf-8")
