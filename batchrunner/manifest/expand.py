"""From a manifest to its jobs: pure, streaming, and the same byte for byte on every machine.

A job's identity is its place plus a hash of what is sent, so a changed job is a new job. Its seed does not
move when other jobs come or go (seeds.py). Settings are worked out by each distinct combination; what the
takes of one image, prompt and setting have in common once for all of them (places.py).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from batchrunner.cards import Card
from batchrunner.manifest.excluding import Excludes, matching
from batchrunner.manifest.naming import Names
from batchrunner.manifest.places import Common, Frame, Place, Setting
from batchrunner.manifest.seeds import seeds_from
from batchrunner.manifest.templates import literal
from batchrunner.values import JSON, Job, JobRow, Manifest, Shot, canonical

SETTINGS_MAX = 4096  # distinct settings that are remembered
_BARE, _INCLUDED = ("", "", "", False), ("", "", "", True)  # what marks pairs that set nothing themselves


def expand(manifest: Manifest, card: Card) -> Iterator[Job]:
    """Yield every job: by image, prompt, matrix combination and take, in the order written.

    First the product of images and prompts, then the shots, then what is included.
    """
    return itertools.chain.from_iterable(place.jobs() for place in places(manifest, card))


def rows(manifest: Manifest, card: Card) -> Iterator[JobRow]:
    """Yield every job as a row of the state table, in the same order: a third of the time of `expand`."""
    return itertools.chain.from_iterable(place.rows() for place in places(manifest, card))


def places(manifest: Manifest, card: Card) -> Iterator[Place]:
    """Yield the jobs by image, prompt and setting, in the same order; a place may be empty."""
    expander = Expander(manifest, card)
    yield from itertools.chain.from_iterable(map(expander.places, pairs(manifest)))
    for shot in manifest.include:
        yield from expander.places(shot, included=True)


def costs(manifest: Manifest, card: Card) -> Iterator[int | None]:
    """Yield what jobs cost, in micro-dollars, None where no price is known: each kind of job once."""
    if manifest.exclude:  # it may leave out just those without a price
        yield from (place.setting.cost_micros for place in places(manifest, card) if place.takes)
        return
    images = {canonical(image.parameters): image for image in manifest.images}.values()
    prompts = {canonical(prompt.parameters): prompt for prompt in manifest.prompts}.values()
    expander = Expander(manifest, card)
    kinds = (Shot(image, prompt) for image in images for prompt in prompts)
    for shot in itertools.chain(kinds, manifest.shots):
        yield from expander.costs(shot)
    for shot in manifest.include:
        yield from expander.costs(shot, included=True)


def count(manifest: Manifest, card: Card) -> int:
    """Return how many jobs there are without making them."""
    return sum(counts(manifest, card))


def counts(manifest: Manifest, card: Card) -> Iterator[int]:
    """Yield how many jobs the parts of a manifest make, without making them."""
    expander = Expander(manifest, card)
    yield from (1 if shot.take is not None else expander.takes(shot) for shot in manifest.include)
    if manifest.exclude:
        yield from map(expander.count, pairs(manifest))
        return
    yield len(manifest.images) * len(manifest.prompts) * _settings(manifest) * number_of(manifest.takes)
    for shot in manifest.shots:
        yield _settings(manifest, shot.parameters) * expander.takes(shot)


def _settings(manifest: Manifest, own: Collection[str] = ()) -> int:
    return math.prod(len(values) for key, values in manifest.matrix.items() if key not in own)


def pairs(manifest: Manifest) -> Iterator[Shot]:
    """Yield each image with each prompt, then the shots: what the matrix and `exclude` apply to."""
    for image in manifest.images:
        for prompt in manifest.prompts:
            yield Shot(image, prompt)
    yield from manifest.shots


def number_of(takes: int | tuple[int, ...]) -> int:
    """Return how many takes there are."""
    return takes if isinstance(takes, int) else len(takes)


class Expander:
    """Makes the jobs of a manifest, one pair of image and prompt at a time."""

    def __init__(self, manifest: Manifest, card: Card) -> None:
        self._manifest = manifest
        self._card = card
        self._settings = _Settings(manifest, card)
        self._excludes = Excludes(manifest.exclude)
        fields = card.image_fields, card.prompt_field, card.seed_field
        self._common = Common(manifest.model, *fields, seeds_from(manifest.seed))
        self._usual = _taking(manifest.takes)

    def jobs(self, shot: Shot, *, included: bool = False) -> Iterator[Job]:
        """Yield a pair's jobs. `included`: as one combination, without matrix and `exclude`."""
        return itertools.chain.from_iterable(place.jobs() for place in self.places(shot, included=included))

    def places(self, shot: Shot, *, included: bool = False) -> list[Place]:
        """Return a pair's jobs by setting. `included`: as one combination, without matrix and `exclude`."""
        takes, fixed = self._taking(shot)
        settings = self._settings.of(shot, included=included)
        excludes = [] if included else self._excludes.of(shot.image.id, shot.prompt.id)
        if not excludes:
            return [Place(shot, setting, takes, fixed, self._common) for setting in settings]
        found = []
        for setting in settings:
            left_out = matching(excludes, setting.parameters)
            if left_out is not None:
                left = [take for take in takes if take not in left_out]
                found.append(Place(shot, setting, left, fixed, self._common))
        return found

    def costs(self, shot: Shot, *, included: bool = False) -> Iterator[int | None]:
        """Yield what the jobs of each of a pair's settings cost, in micro-dollars."""
        return (one.cost_micros for one in self._settings.of(shot, included=included))

    def count(self, shot: Shot) -> int:
        """Return how many jobs a pair makes."""
        settings = self._settings.of(shot, included=False)
        excludes = self._excludes.of(shot.image.id, shot.prompt.id)
        if not excludes:
            return len(settings) * self.takes(shot)
        takes = set(self._taking(shot)[0])
        left_out = (matching(excludes, setting.parameters) for setting in settings)
        return sum(len(takes - one) for one in left_out if one is not None)

    def takes(self, shot: Shot) -> int:
        """Return how many takes a pair has."""
        return number_of(self._manifest.takes if shot.takes is None else shot.takes)

    def _taking(self, shot: Shot) -> tuple[Sequence[int], bool]:
        """Return a pair's takes, and whether they are fixed seeds."""
        takes, fixed = self._usual if shot.takes is None else _taking(shot.takes)
        return takes if shot.take is None else (shot.take,), fixed


def _taking(takes: int | tuple[int, ...]) -> tuple[Sequence[int], bool]:
    """Return the takes that a number or fixed seeds stand for, and whether they are seeds."""
    return (range(1, takes + 1), False) if isinstance(takes, int) else (takes, True)


def matrix_combinations(manifest: Manifest, without: Collection[str] = ()) -> Iterator[dict[str, JSON]]:
    """Yield every combination of the matrix but for some keys; one empty one where there is no matrix."""
    keys = [key for key in manifest.matrix if key not in without]
    for values in itertools.product(*(manifest.matrix[key] for key in keys)):
        yield dict(zip(keys, values, strict=True))


class _Settings:
    """The settings of every pair; those with the same parameters share them."""

    def __init__(self, manifest: Manifest, card: Card) -> None:
        self._manifest = manifest
        self._card = card
        self._names: dict[frozenset[str], Names] = {}
        self._combinations: dict[frozenset[str] | None, list[dict[str, JSON]]] = {None: [{}]}
        self._known: dict[tuple[str, str, str, bool], list[Setting]] = {}
        self._many = 0

    def of(self, shot: Shot, *, included: bool) -> list[Setting]:
        """Return a pair's settings, one for each combination."""
        image, prompt = shot.image.parameters, shot.prompt.parameters
        if not (image or prompt or shot.parameters):  # as most rows of a large table
            marks = _INCLUDED if included else _BARE
        else:
            marks = _mark(image), _mark(prompt), _mark(shot.parameters), included
        if marks not in self._known:
            if self._many >= SETTINGS_MAX:
                self._known.clear()
                self._many = 0
            own = frozenset(shot.parameters)
            names = self._names_of(own)
            base = {**self._manifest.parameters, **image, **prompt}
            chosen = self._chosen(None if included else own)
            merged = ({**base, **one, **shot.parameters} for one in chosen)
            self._known[marks] = [self._setting(one, names) for one in merged]
            self._many += len(chosen)
        return self._known[marks]

    def _names_of(self, own: frozenset[str]) -> Names:
        if own not in self._names:
            self._names[own] = Names(self._manifest, self._card.parameters["properties"], own)
        return self._names[own]

    def _chosen(self, own: frozenset[str] | None) -> list[dict[str, JSON]]:
        """Return the combinations of the matrix but for the keys that a shot sets itself; None: no matrix."""
        own = own if own is None else own.intersection(self._manifest.matrix)
        if own not in self._combinations:
            self._combinations[own] = list(matrix_combinations(self._manifest, own or ()))
        return self._combinations[own]

    def _setting(self, merged: Mapping[str, JSON], names: Names) -> Setting:
        parameters = self._card.complete(merged)
        wire = self._card.wire({name: literal(value) for name, value in parameters.items()})
        return Setting(
            parameters=parameters,
            wire=wire,
            frame=Frame(self._manifest.model, self._card, wire),
            namer=names.within(names.words(parameters)),
            cost_micros=self._card.cost_micros(parameters, self._manifest.price),
        )


def _mark(parameters: Mapping[str, JSON]) -> str:
    return canonical(parameters) if parameters else ""
