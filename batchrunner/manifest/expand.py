"""From a manifest to its jobs: pure, streaming, and the same byte for byte on every machine.

A job's seed depends on the campaign's seed, its image, its prompt and its take, and on nothing else: it
does not move when other images, prompts or settings come or go, and a lost state table derives it again.
A job's identity is its place plus a hash of what is sent, so a changed job is a new job.

What takes have in common is worked out once: settings by each distinct combination, the payload by each
image, prompt and setting. A take then costs two hashes and a name.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from batchrunner.cards import Card
from batchrunner.manifest.excluding import Excludes, matching
from batchrunner.manifest.naming import Names
from batchrunner.manifest.templates import fill
from batchrunner.values import JSON, Job, Manifest, Shot, canonical

SETTINGS_MAX = 4096  # distinct settings that are remembered


class Seeds:
    """Derives seeds from a campaign's: uint31(HMAC-SHA256(campaign seed, image | prompt | take)).

    HMAC (RFC 2104) begins with two blocks that depend on the key alone. They are hashed once here, not once
    for each of a million takes: a third of the time of `hmac.digest`.
    """

    def __init__(self, campaign_seed: int) -> None:
        key = str(campaign_seed).encode().ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def of(self, image: str, prompt: str, take: int) -> int:
        """Return the seed of one take."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(f"{image}|{prompt}|{take}".encode())
        outer.update(inner.digest())
        return int.from_bytes(outer.digest()[:4], "big") & 0x7FFFFFFF


_seeds = lru_cache(maxsize=8)(Seeds)


def derive_seed(campaign_seed: int, image: str, prompt: str, take: int) -> int:
    """Return the seed of one take (see `Seeds`)."""
    return _seeds(campaign_seed).of(image, prompt, take)


def expand(manifest: Manifest, card: Card) -> Iterator[Job]:
    """Yield every job: by image, prompt, matrix combination and take, in the order written.

    First the product of images and prompts, then the shots, then what is included.
    """
    expander = Expander(manifest, card)
    for pair in pairs(manifest):
        yield from expander.jobs(pair)
    for shot in manifest.include:
        yield from expander.jobs(shot, included=True)


def count(manifest: Manifest, card: Card) -> int:
    """Return how many jobs there are without making them."""
    expander = Expander(manifest, card)
    included = sum(1 if shot.take is not None else expander.takes(shot) for shot in manifest.include)
    if manifest.exclude:
        return included + sum(expander.count(pair) for pair in pairs(manifest))
    product = len(manifest.images) * len(manifest.prompts) * _settings(manifest) * number_of(manifest.takes)
    shots = (_settings(manifest, shot.parameters) * expander.takes(shot) for shot in manifest.shots)
    return product + included + sum(shots)


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


def text_of(shot: Shot) -> str:
    """Return a pair's words as they are sent; the shot's vars win, then those of the image."""
    return fill(shot.prompt.text, {**shot.prompt.vars, **shot.image.vars, **shot.vars})


class Expander:
    """Makes the jobs of a manifest, one pair of image and prompt at a time."""

    def __init__(self, manifest: Manifest, card: Card) -> None:
        self._manifest = manifest
        self._card = card
        self._settings = _Settings(manifest, card)
        self._excludes = Excludes(manifest.exclude)
        self._with_takes: dict[int | tuple[int, ...], Manifest] = {manifest.takes: manifest}

    def jobs(self, shot: Shot, *, included: bool = False) -> Iterator[Job]:
        """Yield a pair's jobs. `included`: as one combination, without matrix and `exclude`."""
        image, prompt = shot.image, shot.prompt
        pictures = [picture.wire for picture in image.pictures]
        text = text_of(shot)
        names, settings = self._settings.of(shot, included=included)
        manifest = self._taking(shot)
        excludes = [] if included else self._excludes.of(image.id, prompt.id)
        for setting in settings:
            left_out = matching(excludes, setting.parameters)
            if left_out is None:
                continue
            body = self._card.payload(pictures, text, setting.parameters, None)
            jobs = _Place(image.id, prompt.id, setting, body).jobs(manifest, self._card, names)
            if left_out or shot.take is not None:
                jobs = (job for job in jobs if job.take not in left_out and shot.take in {None, job.take})
            yield from jobs

    def count(self, shot: Shot) -> int:
        """Return how many jobs a pair makes."""
        _names, settings = self._settings.of(shot, included=False)
        excludes = self._excludes.of(shot.image.id, shot.prompt.id)
        if not excludes:
            return len(settings) * self.takes(shot)
        told = self._taking(shot).takes
        takes = set(range(1, told + 1)) if isinstance(told, int) else set(told)
        left_out = (matching(excludes, setting.parameters) for setting in settings)
        return sum(len(takes - one) for one in left_out if one is not None)

    def takes(self, shot: Shot) -> int:
        """Return how many takes a pair has."""
        return number_of(self._manifest.takes if shot.takes is None else shot.takes)

    def _taking(self, shot: Shot) -> Manifest:
        """Return the manifest with a pair's own takes: those up to the one that an entry asks for."""
        usual = self._manifest.takes if shot.takes is None else shot.takes
        takes = usual if shot.take is None else shot.take if isinstance(usual, int) else (shot.take,)
        if takes not in self._with_takes:
            self._with_takes[takes] = replace(self._manifest, takes=takes)
        return self._with_takes[takes]


def matrix_combinations(manifest: Manifest, without: Collection[str] = ()) -> Iterator[dict[str, JSON]]:
    """Yield every combination of the matrix but for some keys; one empty one where there is no matrix."""
    keys = [key for key in manifest.matrix if key not in without]
    for values in itertools.product(*(manifest.matrix[key] for key in keys)):
        yield dict(zip(keys, values, strict=True))


@dataclass(frozen=True, slots=True)
class _Setting:
    """One distinct set of parameters: complete, in words for names, and what a job with it costs."""

    parameters: Mapping[str, JSON]
    words: Mapping[str, str]
    cost_micros: int | None


class _Settings:
    """The settings of every pair; those with the same parameters share them."""

    def __init__(self, manifest: Manifest, card: Card) -> None:
        self._manifest = manifest
        self._card = card
        self._names: dict[frozenset[str], Names] = {}
        self._combinations: dict[frozenset[str] | None, list[dict[str, JSON]]] = {None: [{}]}
        self._known: dict[tuple[str, str, str, bool], tuple[Names, list[_Setting]]] = {}
        self._many = 0

    def of(self, shot: Shot, *, included: bool) -> tuple[Names, list[_Setting]]:
        """Return a pair's settings, one for each combination, and what names their clips."""
        image, prompt = shot.image.parameters, shot.prompt.parameters
        marks = (_mark(image), _mark(prompt), _mark(shot.parameters), included)
        if marks not in self._known:
            if self._many >= SETTINGS_MAX:
                self._known.clear()
                self._many = 0
            own = frozenset(shot.parameters)
            names = self._names_of(own)
            base = {**self._manifest.parameters, **image, **prompt}
            chosen = self._chosen(None if included else own)
            self._known[marks] = (
                names,
                [self._setting({**base, **one, **shot.parameters}, names) for one in chosen],
            )
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

    def _setting(self, merged: Mapping[str, JSON], names: Names) -> _Setting:
        parameters = self._card.complete(merged)
        cost = self._card.cost_micros(parameters, self._manifest.price)
        return _Setting(parameters, names.words(parameters), cost)


def _mark(parameters: Mapping[str, JSON]) -> str:
    return canonical(parameters) if parameters else ""


@dataclass(frozen=True, slots=True)
class _Place:
    """What the takes of one image, prompt and setting have in common; `body` is their payload, unseeded."""

    image: str
    prompt: str
    setting: _Setting
    body: Mapping[str, JSON]

    def jobs(self, manifest: Manifest, card: Card, names: Names) -> Iterator[Job]:
        """Yield one job for each take."""
        head, tail = _around_seed(manifest.model, self.body, card.seed_field)
        before = len(canonical({"model": manifest.model, "payload": 0})) - 2  # where the payload begins
        name = names.namer({**self.setting.words, "image": self.image, "prompt": self.prompt})
        field, body, model, cost = card.seed_field, self.body, manifest.model, self.setting.cost_micros
        image, prompt = self.image, self.prompt
        for take, seed in self._seeds(manifest):
            told = head if field is None else f"{head}{seed}{tail}"
            print_ = hashlib.sha256(told.encode()).hexdigest()
            yield Job(
                f"{image}.{prompt}.t{take}-{print_[:8]}",
                image,
                prompt,
                take,
                None if field is None else seed,
                model,
                body if field is None else {**body, field: seed},
                print_,
                name(take, seed),
                cost,
                told[before:-1],
            )

    def _seeds(self, manifest: Manifest) -> Iterable[tuple[int, int]]:
        """Yield take and seed; a fixed seed is its own take, so that the order of the list says nothing."""
        if not isinstance(manifest.takes, int):
            return ((seed, seed) for seed in manifest.takes)
        takes = range(1, manifest.takes + 1)
        seed_of = _seeds(manifest.seed).of
        return ((take, seed_of(self.image, self.prompt, take)) for take in takes)


def _around_seed(model: str, body: Mapping[str, JSON], field: str | None) -> tuple[str, str]:
    """Return what `values.fingerprint` hashes before and after the seed: takes differ in nothing else."""
    if field is None:
        return canonical({"model": model, "payload": dict(body)}), ""
    before = {name: value for name, value in body.items() if name < field}
    after = {name: value for name, value in body.items() if name > field}
    head = canonical({"model": model, "payload": before}).removesuffix("}}")
    tail = canonical(after).removeprefix("{")
    return f'{head}{"," if before else ""}"{field}":', f"{',' if after else ''}{tail}}}"
