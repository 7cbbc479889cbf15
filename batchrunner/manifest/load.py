"""Reading a manifest: strictly, wholly, and with every error at once.

First the file's shape (YAML, schema), then what the schema cannot say: the model, its parameters in every
combination, the pictures, the words. A part whose shape is wrong is left out of the second step; all the
rest is still checked, so that one look shows everything.
"""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import get_args

from batchrunner.cards import Card, load_card, near_card
from batchrunner.errors import ManifestError, Problem, UsageError
from batchrunner.files import card_ids
from batchrunner.manifest import leaks, nearby, shape
from batchrunner.manifest.cardfile import read_card
from batchrunner.manifest.check import Checker, identity
from batchrunner.manifest.document import Document
from batchrunner.manifest.heap import uncollected
from batchrunner.manifest.overall import Overall
from batchrunner.manifest.pictures import MEDIA_SUFFIXES
from batchrunner.manifest.yamlread import SIZE_MAX, read_on
from batchrunner.rules.hours import WINDOW, window
from batchrunner.values import JSON, Limits, Manifest, Notify, NotifyEvent, Price, Recovery

MANIFESTS = (".yaml", ".yml")
TABLES = frozenset({".csv", ".tsv", ".jsonl"})
TWICE_MAX = 1 << 20  # bytes of a manifest that is checked once more for each copy of a key,
COPIES_MAX = 3  # but no more often


def load(path: Path, *, far: bool = False) -> tuple[Manifest, Card]:
    """Read and check a manifest and the card of its model. `far`: the paid queue is not on this machine.

    Raises:
        ManifestError: the manifest is wrong; every problem is in it.
        UsageError: there is no such file.
    """
    _refuse_other(path)
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_MAX + 1)  # no more: a wrong path may lead to a video, or to /dev/zero
    except OSError as error:
        raise UsageError(f"cannot read the manifest {path}: {error.strerror}{_near(path)}") from error
    return load_bytes(raw, path, far=far)


def _refuse_other(path: Path) -> None:
    """Refuse what a manifest is made for and what is none itself.

    Raises:
        UsageError: it is a table, a picture or a folder; the text says what makes a manifest of it.
    """
    named = shlex.quote(str(path))
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a manifest; for its pictures: batchrunner init {named}")
    if path.suffix.lower() in MEDIA_SUFFIXES and path.is_file():
        folder = shlex.quote(str(path.parent))
        raise UsageError(f"{path} is no manifest; for all pictures of its folder: batchrunner init {folder}")
    if path.suffix.lower() in TABLES and path.is_file():
        raise UsageError(f"{path} is a table, not a manifest; for its rows: batchrunner init --from {named}")


def _near(path: Path) -> str:
    """Return the manifest that was meant by a campaign's name, or by a name that is nearly right."""
    if path.exists() or not path.parent.is_dir():
        return ""
    names = [path.with_name(path.name + suffix) for suffix in MANIFESTS]
    found = next((str(one) for one in names if one.is_file()), None)
    return f': did you mean "{found}"?' if found else nearby.hint(path)


def load_bytes(raw: bytes, path: Path, *, far: bool = False) -> tuple[Manifest, Card]:
    """Check a manifest's bytes; `path` is where they (would) stand: it names the file in messages.

    Raises:
        ManifestError: the manifest is wrong; every problem is in it.
    """
    with uncollected():
        return _load(raw, path, far=far)


def _load(raw: bytes, path: Path, *, far: bool) -> tuple[Manifest, Card]:
    document = read_on(raw, str(path))
    twice = dict(document.twice)
    wrong, card, checker, whole = _checked(document, path, far=far)
    copies = min(max(twice.values(), default=0), COPIES_MAX) if len(raw) <= TWICE_MAX else 0
    for copy in range(1, copies + 1):  # what stands in another copy of a key may be wrong as well
        other = read_on(raw, str(path), {at: min(copy, count) for at, count in twice.items()})
        wrong += _checked(other, path, far=far)[0]
    wrong += leaks.in_text(raw.decode("utf-8-sig"), str(path), {problem.line for problem in wrong})
    if wrong or card is None:
        raise ManifestError(list(dict.fromkeys(wrong)))
    return manifest_of(document, checker, whole, raw, path), card


def _checked(
    document: Document, path: Path, *, far: bool
) -> tuple[list[Problem], Card | None, Checker, Overall]:
    """Return all that is wrong with a document, and what it was checked with."""
    card, model_problems = _card(document, path)
    wrong = shape.check(document, str(path), card, lambda: _card(document, path)[0])
    if card is None and not model_problems:  # its key may have been misspelt
        card, model_problems = _card(document, path)
    if _doubtful(document):
        card, model_problems = None, []
    wrong += [*document.problems, *model_problems, *shape.inputs(document, str(path), card)]
    checker = Checker(document, path, card)
    checker.run()
    whole = checker.overall()
    whole.check()
    if far and not document.doubts.at(("provider",)) and document.data.get("provider", "gmi") == "gmi":
        checker.far()
    wrong += [*_hours(document, path), *_free(document, path), *checker.problems]
    return wrong, card, checker, whole


def _card(document: Document, path: Path) -> tuple[Card | None, list[Problem]]:
    """Return the card of the manifest's model, its own or the one that ships, or what is wrong with it."""
    data = document.data if isinstance(document.data, dict) else {}  # another shape is told by the schema
    model, own = data.get("model"), data.get("card")
    if not isinstance(model, str) or not model or (own is not None and not (isinstance(own, str) and own)):
        return None, []
    if _doubtful(document):
        return None, []
    key = "model" if own is None else "card"
    try:
        card = load_card(model) if own is None else read_card(path.parent / own, own)
    except ManifestError as error:
        return None, error.problems
    except UsageError as error:
        near = near_card(model) if own is None else None  # what only a card shows is told as well
        return near, [Problem(str(path), *document.place((key,)), key, str(error))]
    if card.id != model:
        said = f'the card {own} is of the model "{card.id}", not of "{model}"'
        return None, [Problem(str(path), *document.place(("model",)), "model", said)]
    if own is not None and model in card_ids():
        card = replace(card, other_price=load_card(model).price)
    return card, []


def _doubtful(document: Document) -> bool:
    """Tell whether another card may have been meant."""
    return any(document.doubts.at((key,)) for key in ("model", "card"))


def _hours(document: Document, path: Path) -> list[Problem]:
    """Return what the schema cannot say of the hours of the window."""
    limits = document.data.get("limits")
    told = limits.get("window") if isinstance(limits, dict) else None
    if isinstance(told, str) and WINDOW.fullmatch(told):  # another shape is told by the schema
        try:
            window(told)
        except ValueError as error:
            at = ("limits", "window")
            return [Problem(str(path), *document.place(at), "limits.window", str(error))]
    return []


def _free(document: Document, path: Path) -> list[Problem]:
    """Return what is wrong with a price of nothing where money moves."""
    data = document.doubts.sound(document.data)
    usd = data.get("price", {}).get("usd")
    provider = None if document.doubts.at(("provider",)) else data.get("provider", "gmi")
    if provider != "gmi" or usd is None or usd >= 1e-6 or document.doubts.at(("price", "usd")):
        return []
    what = "a job that costs nothing is held by no budget: say what it costs, or leave `price` to the card"
    return [Problem(str(path), *document.place(("price", "usd")), "price.usd", what)]


def manifest_of(document: Document, checker: Checker, whole: Overall, raw: bytes, path: Path) -> Manifest:
    """Return the manifest that a checked document stands for."""
    data: dict[str, JSON] = document.data
    output = data.get("output", {})
    return replace(
        whole.manifest,
        path=path.absolute(),
        text=raw.decode("utf-8-sig"),
        sha256=identity(hashlib.sha256(raw).hexdigest(), checker.read),
        limits=_limits(data.get("limits", {})),
        attempts=data.get("retry", {}).get("attempts", 4),
        recovery=_recovery(data.get("recovery", {})),
        price=_price(data.get("price")),
        output_folder=Path(output["folder"]) if "folder" in output else None,
        order=data.get("order", "coverage"),
        notes=tuple(sorted(checker.notes())),
        tables=checker.tables,
        notify=tuple(
            Notify(
                one["env"],
                frozenset(one.get("on", get_args(NotifyEvent))),
                document.place(("notify", number, "env")),
            )
            for number, one in enumerate(data.get("notify", ()))
        ),
    )


def _limits(told: dict[str, JSON]) -> Limits:
    usual = Limits()
    return Limits(
        in_flight=told.get("in_flight", usual.in_flight),
        submits_per_minute=told.get("submits_per_minute", usual.submits_per_minute),
        submits_per_hour=told.get("submits_per_hour"),
        budget_micros=_micros(told["budget"]) if "budget" in told else None,
        max_outage_s=float(told.get("max_outage", usual.max_outage_s)),
        window=told.get("window"),
    )


def _recovery(told: dict[str, JSON]) -> Recovery:
    usual = Recovery()
    return Recovery(
        on_absent=told.get("on_absent", usual.on_absent),
        grace_s=float(told.get("grace", usual.grace_s)),
        give_up_s=float(told.get("give_up", usual.give_up_s)),
        risk=told.get("risk", usual.risk),
    )


def _price(told: dict[str, JSON] | None) -> Price | None:
    return None if told is None else Price(told["per"], _micros(told["usd"]))


def _micros(usd: float) -> int:
    return int((Decimal(str(usd)) * 1_000_000).to_integral_value())
