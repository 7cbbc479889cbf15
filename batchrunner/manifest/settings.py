"""Parameters held against the model's card before anything is sent.

Each distinct value is checked once; so is each distinct combination of those parameters that a rule of the
card ties together. What is wrong is reported where the most specific of the parameters that take part was
written, at every such place: one look shows all of it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrunner.cards import Card
from batchrunner.manifest.columns import SEED_WORDS
from batchrunner.manifest.doubts import GONE, Path
from batchrunner.manifest.excluding import applies
from batchrunner.manifest.findings import SOMETHING, Report
from batchrunner.manifest.unused import hole_in_setting
from batchrunner.manifest.written import Row
from batchrunner.nearest import nearest
from batchrunner.values import JSON, Exclude, Payload, Shot, canonical

COMBINATIONS_MAX = 10_000  # of the matrix, for each image and prompt: more is a slip, and a dear one

ALL_SURE: frozenset[str] = frozenset()

Place = tuple[Row, Path]


@dataclass(frozen=True, slots=True)
class Layer:
    """Some parameters, and every place where just these are written."""

    parameters: Mapping[str, JSON]
    places: list[Place]
    unsure: frozenset[str] = ALL_SURE  # the parameters that may have other values here, or any


@dataclass(frozen=True, slots=True)
class Told:
    """All parameters of a manifest: of every job, of rows, and of the matrix."""

    parameters: Payload
    matrix: Mapping[str, Sequence[JSON]]
    images: Sequence[tuple[Payload, Row]]
    prompts: Sequence[tuple[Payload, Row]]
    shots: Sequence[tuple[Shot, Row]]
    include: Sequence[tuple[Shot, Row]]
    exclude: Sequence[Exclude]
    spare: Sequence[tuple[Payload, Row, Path]] = ()  # told a second time, and where


def check(told: Told, root: Row, card: Card, report: Report) -> None:
    """Report what the card has against a manifest's parameters; `root` is the manifest itself."""
    many = math.prod(len(values) for values in told.matrix.values())
    if many > COMBINATIONS_MAX:
        what = f"makes {many:,} combinations; at most {COMBINATIONS_MAX:,} are allowed"
        report.say(root, ("matrix",), what)
        return
    checker = _Checker(told, root, card, report)
    checker.values()
    checker.combinations()


class _Checker:
    def __init__(self, told: Told, root: Row, card: Card, report: Report) -> None:
        self._told = told
        self._root = root
        self._card = card
        self._report = report
        self._said: set[tuple[int, Path, str]] = set()
        self._base = Layer(told.parameters, [(root, ("parameters",))])
        self._axes = {
            key: [
                Layer({key: one}, [(root, ("matrix", key, index))])
                for index, one in enumerate(values)
                if one is not GONE
            ]
            for key, values in told.matrix.items()
        }
        rules = card.parameters.get("allOf", ())
        self._tied = {*_named_in(rules), *card.parameters.get("required", ())}
        whole = [one for one in told.exclude if (one.image, one.prompt, one.take) == (None, None, None)]
        self._out = [one for one in whole if self._tied.issuperset(one.parameters)]

    def values(self) -> None:
        """Check every distinct value."""
        found: dict[tuple[str, str], Layer] = {}
        rows = [(shot.parameters, row) for shot, row in (*self._told.shots, *self._told.include)]
        rows += [*self._told.images, *self._told.prompts]
        layers = [self._base, *itertools.chain(*self._axes.values())]
        layers += [Layer(parameters, [(row, ("parameters",))]) for parameters, row in rows if parameters]
        layers += [Layer(parameters, [(row, path)]) for parameters, row, path in self._told.spare]
        for layer in layers:
            for key, value in layer.parameters.items():
                one = found.setdefault((key, canonical(value)), Layer({key: value}, []))
                one.places.extend(layer.places)
        rules = self._card.parameters["properties"]
        for (key, _mark), layer in found.items():
            if (what := hole_in_setting(layer.parameters[key])) is not None:
                self._say((key,), what, layer)
            if key in rules and key not in self._tied and plainly_right(rules[key], layer.parameters[key]):
                continue
            for keys, message in self._card.check(self._card.complete(layer.parameters)):
                if keys == (key,):
                    self._say(keys, message, layer)

    def combinations(self) -> None:
        """Check every distinct combination of parameters that belong together."""
        base = Layer(self._tied_of(self._base.parameters), self._base.places, self._unsure(self._root))
        axes = {key: layers for key, layers in self._axes.items() if key in self._tied}
        for key in self._unsure(self._root, "matrix"):
            if self._axes.get(key) and not self._report.unsure(self._root, ("matrix", key, *SOMETHING)):
                continue  # one value of it is in doubt, which is told: the others are as they stand
            axes[key] = [Layer({}, [(self._root, ("matrix",))], frozenset({key}))]
        images = self._distinct(self._told.images) or [Layer({}, [])]
        prompts = self._distinct(self._told.prompts) or [Layer({}, [])]
        for layers in itertools.product([base], images, prompts, *axes.values()):
            self._unless_excluded(layers)
        for group in self._groups(self._told.shots):
            own = group[-1].parameters
            free = [layers for key, layers in axes.items() if key not in own]
            for *below, top in itertools.product([base], *([one] for one in group[:-1]), *free, [group[-1]]):
                self._unless_excluded((*below, top))
        for group in self._groups(self._told.include):
            self._combination((base, *group))

    def _unless_excluded(self, layers: Sequence[Layer]) -> None:
        """Check a combination that no entry takes out for every picture, prompt and take."""
        if self._out:
            merged = {key: value for layer in layers for key, value in layer.parameters.items()}
            complete = self._card.complete(merged)
            if any(applies(one, complete) for one in self._out):
                return
        self._combination(layers)

    def _combination(self, layers: Sequence[Layer]) -> None:
        merged: dict[str, JSON] = {}
        unsure: set[str] = set()
        for layer in layers:
            merged |= layer.parameters
            unsure = (unsure - layer.parameters.keys()) | layer.unsure
        problems = self._card.check(self._card.complete(merged))
        unsure.update(keys[0] for keys, _message in problems if len(keys) == 1 and keys[0] in merged)
        for keys, message in problems:
            if not unsure.isdisjoint(keys):
                continue  # a wrong value is told for itself; what it would do to others is not known
            for layer in reversed(layers):
                if any(key in layer.parameters for key in keys):
                    self._say(keys, message, layer)
                    break
            else:
                self._say(keys, message, Layer({}, layers[0].places))

    def _groups(self, shots: Iterable[tuple[Shot, Row]]) -> Iterator[tuple[Layer, Layer, Layer]]:
        """Yield the distinct layers of image, prompt and shot; the last has the places of all such shots."""
        found: dict[tuple[str, frozenset[str]], tuple[Layer, Layer, Layer]] = {}
        doubtful = self._report.doubtful
        for shot, row in shots:
            told = shot.image.parameters, shot.prompt.parameters, shot.parameters
            parts = [self._tied_of(one) for one in told] if any(told) else told  # as a rule there are none
            unsure = self._unsure(row) if doubtful else ALL_SURE
            mark = "\n".join([canonical(one) if one else "" for one in parts]), unsure
            place: Place = (row, ("parameters",))
            if mark in found:
                found[mark][2].places.append(place)
            else:
                below, middle, top = (Layer(one, [place], unsure) for one in parts)
                found[mark] = (below, middle, top)
        return iter(found.values())

    def _distinct(self, rows: Iterable[tuple[Payload, Row]]) -> list[Layer]:
        found: dict[tuple[str, frozenset[str]], Layer] = {}
        doubtful = self._report.doubtful
        for parameters, row in rows:
            tied = self._tied_of(parameters) if parameters else parameters
            unsure = self._unsure(row) if doubtful else ALL_SURE
            mark = canonical(tied) if tied else "", unsure
            if mark not in found:
                found[mark] = Layer(tied, [], unsure)
            found[mark].places.append((row, ("parameters",)))
        return list(found.values())

    def _tied_of(self, parameters: Payload) -> dict[str, JSON]:
        """Return those parameters that a rule of the card ties to others."""
        return {key: value for key, value in parameters.items() if key in self._tied}

    def _unsure(self, row: Row, kind: str = "parameters") -> frozenset[str]:
        """Return the parameters that are in doubt in a row."""
        if not self._report.unsure(row, (kind,)):
            return ALL_SURE
        names = self._card.parameters["properties"]
        return frozenset(name for name in names if self._report.unsure(row, (kind, name)))

    def _say(self, keys: tuple[str, ...], message: str, layer: Layer) -> None:
        """Report at every place of a layer, at the first of `keys` that it sets; else at its whole."""
        unknown = any(key not in self._card.parameters["properties"] for key in keys)
        message = SEED_WORDS if keys == (self._card.seed_field,) else message
        key = next((key for key in keys if key in layer.parameters), None)
        for row, path in layer.places:
            if path[:1] == ("matrix",):
                whole = path[:2] if unknown else path
            else:
                whole = path if key is None else (*path, key)
            if (mark := (id(row), whole, message)) not in self._said:
                self._said.add(mark)
                self._report.say(row, whole, message, key=unknown)
                for name in self._meant(keys) if unknown else ():
                    self._report.doubt(row, (*path[:1], name))

    def _meant(self, keys: Iterable[str]) -> list[str]:
        """Return the parameters that unknown ones may stand for."""
        properties = self._card.parameters["properties"]
        return [near for key in keys if (near := nearest(key, properties)) is not None]


def plainly_right(rule: Mapping[str, Any], value: JSON) -> bool:
    """Tell whether a value keeps a simple rule, without asking the schema; False: ask it.

    A table may hold 100,000 texts of its own, and a schema takes a tenth of a millisecond for each.
    """
    if not rule.keys() <= {"type", "maxLength", "default", "description", "title", "examples"}:
        return False
    text = rule.get("type") == "string" and isinstance(value, str)
    return text and len(value) <= rule.get("maxLength", len(value))


def _named_in(rule: Any) -> Iterator[str]:
    """Yield the names that rules across parameters speak of, as written."""
    if isinstance(rule, dict):
        yield from (*rule.get("required", ()), *rule.get("properties", ()))
    for part in rule.values() if isinstance(rule, dict) else rule if isinstance(rule, list) else ():
        yield from _named_in(part)
