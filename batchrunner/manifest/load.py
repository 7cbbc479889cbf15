"""Reading a manifest: strictly, wholly, and with every error at once.

First the file's shape (YAML, schema), then what the schema cannot say: the model, its parameters in every
combination, the pictures, the words. A part whose shape is wrong is left out of the second step; all the
rest is still checked, so that one look shows everything.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from itertools import islice
from pathlib import Path

from batchrunner.cards import Card, load_card
from batchrunner.errors import ManifestError, Problem, UsageError
from batchrunner.manifest import shape
from batchrunner.manifest.check import KEY_FOUND, KEY_LIKE, Checker
from batchrunner.manifest.yamlread import PROBLEMS_MAX, SIZE_MAX, Document, place_of, read
from batchrunner.manifest.yamlread import Path as At
from batchrunner.values import JSON, Limits, Manifest, Price, Recovery


def load(path: Path) -> tuple[Manifest, Card]:
    """Read and check a manifest and the card of its model.

    Raises:
        ManifestError: the manifest is wrong; every problem is in it.
        UsageError: there is no such file.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_MAX + 1)  # no more: a wrong path may lead to a video, or to /dev/zero
    except OSError as error:
        raise UsageError(f"cannot read the manifest {path}: {error.strerror}") from error
    return load_bytes(raw, path)


def load_bytes(raw: bytes, path: Path) -> tuple[Manifest, Card]:
    """Check a manifest's bytes; `path` is where they (would) stand: it names the file in messages.

    Raises:
        ManifestError: the manifest is wrong; every problem is in it.
    """
    document = read(raw, str(path))
    wrong = shape.problems(document, str(path))
    if not isinstance(document.data, dict):
        raise ManifestError([problem for _path, problem in wrong])
    card, model_problems = _card(document, str(path))
    checker = Checker(document, path, card, frozenset(_spoilt(at) for at, _problem in wrong if at))
    checker.run()
    problems = [*(problem for _at, problem in wrong), *model_problems, *checker.problems]
    problems += _keys_in_comments(raw.decode("utf-8-sig"), str(path), {problem.line for problem in problems})
    if problems or card is None:
        raise ManifestError(list(dict.fromkeys(problems)))
    return _manifest(document.data, checker, raw, path), card


def _spoilt(at: At) -> At:
    """Return what a wrong shape makes useless: one image or prompt, else the whole top-level key."""
    return at[:2] if at[0] in {"images", "prompts"} else at[:1]


def _card(document: Document, name: str) -> tuple[Card | None, list[Problem]]:
    model = document.data.get("model")
    if not isinstance(model, str) or not model:
        return None, []
    try:
        return load_card(model), []
    except UsageError as error:
        line, column = document.place(("model",))
        return None, [Problem(name, line, column, "model", str(error))]


def _keys_in_comments(text: str, name: str, told: set[int]) -> list[Problem]:
    """Return what looks like a key outside the values: comments are stored with the manifest too."""
    places = [place_of(text, match.start()) for match in islice(KEY_LIKE.finditer(text), PROBLEMS_MAX)]
    return [Problem(name, *place, "", KEY_FOUND) for place in places if place[0] not in told]


def _manifest(data: dict[str, JSON], checker: Checker, raw: bytes, path: Path) -> Manifest:
    takes, output = data.get("takes", 1), data.get("output", {})
    return Manifest(
        path=path.absolute(),
        text=raw.decode("utf-8-sig"),
        sha256=hashlib.sha256(raw).hexdigest(),
        campaign=data["campaign"],
        model=data["model"],
        provider=data.get("provider", "gmi"),
        seed=data["seed"],
        takes=takes if isinstance(takes, int) else tuple(takes),
        parameters=data.get("parameters", {}),
        matrix={key: tuple(values) for key, values in data.get("matrix", {}).items()},
        images=tuple(checker.images),
        prompts=tuple(checker.prompts),
        limits=_limits(data.get("limits", {})),
        attempts=data.get("retry", {}).get("attempts", 4),
        recovery=_recovery(data.get("recovery", {})),
        price=_price(data.get("price")),
        output_folder=Path(output["folder"]) if "folder" in output else None,
        output_name=output.get("name", "{image}/{prompt}-t{take}"),
        order=data.get("order", "coverage"),
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
