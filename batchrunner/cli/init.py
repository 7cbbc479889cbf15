"""`init`: a first manifest, or the demo with its images."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from batchrunner.cli.options import example
from batchrunner.errors import LocalError, UsageError
from batchrunner.files import demo_folder, schema_text

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


@click.command(
    epilog=example("batchrunner init --demo demo && cd demo && batchrunner run manifests/demo.yaml")
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--demo", is_flag=True, help="Lay out the demo manifest with its images.")
def init(folder: Path, demo: bool) -> None:
    """Write a commented manifest.yaml into FOLDER (default: here), with the schema that editors use."""
    try:
        made = _demo(folder) if demo else _starter(folder)
    except OSError as error:
        raise LocalError(f"cannot write to {error.filename or folder}: {error.strerror}") from error
    click.echo(f"wrote {made}")
    click.echo(
        f"next: {f'cd {folder} && ' if folder != Path() else ''}batchrunner run {made.relative_to(folder)}"
    )


def _starter(folder: Path) -> Path:
    path = folder / "manifest.yaml"
    _refuse_to_overwrite(path)
    _write_schema(folder)
    name = folder.resolve().name.lower()
    campaign = "".join(char if char.isascii() and char.isalnum() else "-" for char in name).strip("-")
    path.write_text(STARTER.format(campaign=campaign or "first"), encoding="utf-8")
    return path


def _demo(folder: Path) -> Path:
    path = folder / "manifests" / "demo.yaml"
    _refuse_to_overwrite(path)
    _write_schema(folder)
    shutil.copytree(demo_folder(), path.parent, dirs_exist_ok=True)
    return path


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} is there already; nothing was written")


def _write_schema(folder: Path) -> None:
    path = folder / "schemas" / "manifest.schema.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(schema_text("manifest.schema.json"), encoding="utf-8")
