"""`models`: what can be rendered with, one model in words, and cards held against the provider."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from batchrunner.access import check_access, reached
from batchrunner.cards import SEED_MAX, Card, load_card, parse_card
from batchrunner.cli.options import JSON_OUTPUT, example, print_json
from batchrunner.cli.reach import access
from batchrunner.cli.text import count, money, plain
from batchrunner.errors import CredentialsError, LocalError, OutageError, UsageError
from batchrunner.files import card_ids
from batchrunner.manifest.cardfile import read_card
from batchrunner.nearest import some_near
from batchrunner.pages import differences, draw
from batchrunner.providers.base import ProviderError
from batchrunner.providers.gmi import Gmi
from batchrunner.values import JSON, Reason
from batchrunner.writing import flow

DISAGREE = 4  # as in `audit`: something that a person has to settle
PROVIDER = click.option(
    "--provider",
    type=click.Choice(["gmi", "emulator"]),
    default="gmi",
    show_default=True,
    help="Whom to ask: the paid queue (the call is free), or the local stand-in.",
)


@click.group(invoke_without_command=True, epilog=example("batchrunner models\nbatchrunner models show Veo3"))
@JSON_OUTPUT
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the models that there are cards for: what they take, lengths, prices."""
    if ctx.invoked_subcommand is not None:
        return
    cards = [load_card(name) for name in card_ids()]
    if as_json:
        print_json([_as_json(card) for card in cards])
        return
    rows = [("model", "takes", "seconds", "price"), *(_row(card) for card in cards)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


@models.command(
    epilog=example("batchrunner models show pixverse-v5.6-i2v\nbatchrunner models show mine.json")
)
@click.argument("model")
@JSON_OUTPUT
def show(model: str, as_json: bool) -> None:
    """Explain MODEL, an id or a card's file, in words: what it takes, what is sent, what it costs."""
    card = _card(model)
    if as_json:
        print_json(_as_json(card) | {"parameters": card.parameters, "price": card.price})
        return
    click.echo(f"{card.id}: {card.about}")
    files = f"{card.takes_files} and " if card.image_fields else ""
    click.echo(f"  takes {files}a prompt{_longest(card)}{'' if files else f', {card.takes_files}'}")
    for field, side in card.videos.items():
        click.echo(f"    {field}: an MP4{f' of at most {side:,} pixels a side' if side else ''}")
    seed = (
        f"a seed, 0 to {SEED_MAX:,} (`{card.seed_field}`)"
        if card.seed_field
        else "no seed: one take is all it has"
    )
    click.echo(f"  takes {seed}")
    click.echo(f"  {card.price_text()}")
    if (cost := card.cost_micros({})) is not None:
        click.echo(f"  a job with the defaults costs at most {money(cost)}")
    for row in (card.price or {}).get("table", ()):
        when = ", ".join(f"{name}: {_value(value)}" for name, value in row["when"].items())
        click.echo(f"    {when}: ${row['usd']:g} a {(card.price or {})['per']}")
    click.echo("\nparameters")
    for name, rule in card.parameters["properties"].items():
        click.echo(f"  {name}: {_values(rule)}{_always(card, name, rule)}")
        click.echo(f"      {rule['description']}")
    for rule in card.parameters.get("allOf", ()):
        click.echo(f"  not allowed: {rule['x-message']}")
    click.echo(f"\nin a manifest\n{_snippet(card, model if _is_file(model) else None)}")


@models.command(epilog=example("batchrunner models pull pixverse-v5.6-i2v -o cards/pixverse.json"))
@click.argument("model")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="[default: MODEL.json]")
@click.option("--force", is_flag=True, help="Write over a card that is there.")
@PROVIDER
def pull(model: str, output: Path | None, force: bool, provider: str) -> None:
    """Write a card for MODEL from the provider's own page: parameters and price.

    A manifest uses it with `card: FILE`. What the page leaves open is said.
    """
    path = output or Path(f"{model.replace('/', '-')}.json")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already: choose another file with -o, or add --force")
    with _asked(provider) as asked:
        drawn = draw(_page(asked, model), model)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_text(drawn.text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise LocalError(f"cannot write {path}: {error.strerror}") from error
    click.echo(f"wrote {path}; in a manifest: `card: {os.fspath(path)}`")
    for note in drawn.notes:
        click.echo(f"  {plain(note)}", err=True)


@models.command(epilog=example("batchrunner models check\nbatchrunner models check mine.json --json"))
@click.argument("names", metavar="[MODEL]...", nargs=-1)
@PROVIDER
@JSON_OUTPUT
def check(names: tuple[str, ...], provider: str, as_json: bool) -> None:
    """Hold the cards of MODELs (ids or files; default: all) against the provider's own pages, field by field.

    Exit 0: they agree. Exit 4: they do not, or the provider does not have one of them.
    """
    cards = {name: _card(name) for name in names or card_ids()}
    with _asked(provider) as asked:
        found = {name: _compared(asked, card) for name, card in cards.items()}
    if as_json:
        print_json(found)
    for name, told in {} if as_json else found.items():
        click.echo(f"{name}: {told['verdict']}")
        for line in told["lines"]:
            click.echo(f"  {plain(line)}")
    if any(told["verdict"] != "agrees" for told in found.values()):
        raise click.exceptions.Exit(DISAGREE)


def _card(name: str) -> Card:
    """Return the card of a model, or the one in a file.

    Raises:
        UsageError: there is none, or it is wrong.
    """
    return read_card(Path(name), name) if _is_file(name) else load_card(name)


def _is_file(name: str) -> bool:
    return name.endswith(".json") or (name not in card_ids() and Path(name).is_file())


# --- the provider -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _asked(provider: str) -> Iterator[Gmi]:
    """Give the provider, and turn what it does not answer into errors that people can read."""
    told = access()
    check_access(provider, told)
    with (
        TemporaryDirectory(prefix="batchrunner-") as folder,
        reached(provider, told, Path(folder)) as (gmi, http),
    ):
        try:
            yield gmi
        except ProviderError as error:
            if error.reason is Reason.CREDENTIALS:
                raise CredentialsError(
                    f"the provider does not take the key: {error.detail}; set a valid GMI_API_KEY"
                ) from error
            raise OutageError(
                f"the provider's pages cannot be read: {error.detail}; try again later"
            ) from error
        finally:
            http.close()


def _page(asked: Gmi, model: str) -> Mapping[str, Any]:
    try:
        return asked.page(model)
    except ProviderError as error:
        if error.reason is not Reason.MISSING:
            raise
        near = some_near(model, asked.models())
        hint = f": did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f'the provider has no model "{model}"{hint}') from error


def _compared(asked: Gmi, card: Card) -> dict[str, Any]:
    try:
        drawn = draw(asked.page(card.id), card.id)
    except ProviderError as error:
        if error.reason is not Reason.MISSING:
            raise
        return {"verdict": "the provider does not have it", "lines": [], "differences": []}
    except UsageError as error:
        return {"verdict": "cannot be compared", "lines": [str(error)], "differences": []}
    found = differences(card, parse_card(drawn.text))
    verdict = f"disagrees in {count(len(found), 'field')}" if found else "agrees"
    return {"verdict": verdict, "lines": list(map(str, found)), "differences": list(map(asdict, found))}


# --- words --------------------------------------------------------------------------------------------


def _as_json(card: Card) -> dict[str, JSON]:
    return {
        "id": card.id,
        "about": card.about,
        "images": [name for name in card.image_fields if name not in card.videos],
        "videos": list(card.videos),
        "seed": card.seed_field,
        "price_text": card.price_text(),
        "sha256": card.sha256,
    }


def _row(card: Card) -> tuple[str, str, str, str]:
    name = (card.price or {}).get("seconds") or next(
        (one for one in card.parameters["properties"] if one.startswith("duration")), ""
    )
    return (
        card.id,
        card.takes_files.partition(" (")[0],
        _values(card.parameters["properties"].get(name, {})),
        _price(card),
    )


def _price(card: Card) -> str:
    if card.price is None:
        return "not known"
    told = [row["usd"] for row in card.price.get("table", ())] or [card.price["usd"]]
    least, most = min(told), max(told)
    return f"${least:g}{f' to ${most:g}' if most > least else ''} a {card.price['per']}"


def _longest(card: Card) -> str:
    return f" of at most {card.prompt_max:,} characters" if card.prompt_max else ""


def _values(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return ", ".join(map(_value, rule["enum"]))
    if "minimum" in rule and "maximum" in rule:
        return f"{rule['minimum']} to {rule['maximum']}"
    return {"boolean": "true, false", "string": "text"}.get(rule.get("type", ""), str(rule.get("type", "")))


def _value(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _always(card: Card, name: str, rule: Mapping[str, Any]) -> str:
    wire = ", sent as text" if rule.get("x-wire") == "string" else ""
    if name in card.parameters.get("required", ()):
        default = f"; {_value(rule['default'])} unless told" if "default" in rule else "; must be told"
        return f" (always sent{wire}{default})"
    return f" (sent only when told{wire})"


def _snippet(card: Card, file: str | None) -> str:
    """Return how a manifest names a model; `file`: its card's, where that is not one that ships."""
    sources = [
        f"https://example.com/{field}.{'mp4' if field in card.videos else 'png'}"
        for field in card.image_fields
    ]
    settings = ", ".join(f"{name}: {json.dumps(value)}" for name, value in card.defaults.items())
    own = f"\n  card: {flow(file)}  # from the manifest on" if file else ""
    head = f"  model: {card.id}{own}\n  parameters: {{{settings}}}"
    if not sources:
        return f'{head}\n  prompts:\n    - {{id: first, text: "A harbour at dawn"}}'
    if len(sources) == 1:
        images = f'  - {{id: first, url: "{sources[0]}"}}'
    else:
        frames = ", ".join(f'{{url: "{source}"}}' for source in sources)
        images = f"  - {{id: first, frames: [{frames}]}}"
    return f"{head}\n  images:\n  {images}"
