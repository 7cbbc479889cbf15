"""`emulate`: the provider's stand-in in the foreground, for trying things without a key."""

from __future__ import annotations

import json
from pathlib import Path

import click

from batchrunner.cli.options import example
from batchrunner.errors import UsageError


@click.command(
    epilog=example(
        "batchrunner emulate --port 8787\n"
        "batchrunner emulate --set 'submit_script=[\"accept_then_drop\"]'\n"
        "GMI_BASE_URL=http://127.0.0.1:8787 GMI_API_KEY=emulator-key batchrunner run my.yaml"
    )
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0: any free one."
)
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Keep requests and uploads here, so that a restarted emulator knows them.",
)
@click.option("--config", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="Knobs as JSON.")
@click.option("--set", "knobs", multiple=True, metavar="KNOB=VALUE", help="One knob; the value is JSON.")
def emulate(port: int, root: Path | None, config: Path | None, knobs: tuple[str, ...]) -> None:
    """Serve a queue in the provider's shape on this machine. It renders small real clips, free."""
    from batchrunner.emulator.app import Endpoints, serve  # noqa: PLC0415 - an extra: its absence is told
    from batchrunner.emulator.config import EmulatorConfig  # noqa: PLC0415 - comes with it

    wishes = json.loads(config.read_text(encoding="utf-8")) if config else {}
    wishes |= dict(_knob(text) for text in knobs)

    def ready(endpoints: Endpoints) -> None:
        click.echo(f"emulator on {endpoints.api}, media on {endpoints.storage}", err=True)
        click.echo(f"export GMI_BASE_URL={endpoints.api} GMI_API_KEY={endpoints.key}")

    serve(EmulatorConfig.from_json(json.dumps(wishes)), port=port, root=root, on_ready=ready)


def _knob(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set takes KNOB=VALUE, not {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value  # a bare word is a text
