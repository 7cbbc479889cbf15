"""From a manifest to its jobs: pure, streaming, and the same byte for byte on every machine.

A job's seed depends on the campaign's seed, its image, its prompt and its take, and on nothing else: it
does not move when other images, prompts or settings come or go, and a lost state table derives it again.
A job's identity is its place plus a hash of what is sent, so a changed job is a new job.

What takes have in common is worked out once: settings by each distinct combination, the payload by each
image, prompt and setting. A take then costs two hashes and a name.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from batchrunner.cards import Card
from batchrunner.manifest.naming import Names
from batchrunner.manifest.templates import fill
from batchrunner.values import JSON, Image, Job, Manifest, Prompt, canonical

SETTINGS_MAX = 4096  # distinct settings that are remembered


def derive_seed(campaign_seed: int, image: str, prompt: str, take: int) -> int:
    """Return uint31(HMAC-SHA256(campaign seed, image | prompt | take))."""
    digest = hmac.digest(str(campaign_seed).encode(), f"{image}|{prompt}|{take}".encode(), "sha256")
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def expand(manifest: Manifest, card: Card) -> Iterator[Job]:
    """Yield every job: by image, prompt, matrix combination and take, in the order written."""
    settings = _Settings(manifest, card)
    prompts = [(prompt, canonical(prompt.parameters)) for prompt in manifest.prompts]
    for image in manifest.images:
        mark = canonical(image.parameters)
        pictures = [picture.wire for picture in image.pictures]
        for prompt, prompt_mark in prompts:
            text = fill(prompt.text, {**prompt.vars, **image.vars})
            for setting in settings.of(image, prompt, (mark, prompt_mark)):
                body = card.payload(pictures, text, setting.parameters, None)
                yield from _Place(image.id, prompt.id, setting, body).jobs(manifest, card, settings.names)


def count(manifest: Manifest, card: Card) -> int:
    """Return how many jobs there are without making them."""
    takes = manifest.takes if isinstance(manifest.takes, int) else len(manifest.takes)
    settings = 1
    for values in manifest.matrix.values():
        settings *= len(values)
    return len(manifest.images) * len(manifest.prompts) * settings * takes


def matrix_combinations(manifest: Manifest) -> Iterator[dict[str, JSON]]:
    """Yield every combination of the matrix; one empty one where there is no matrix."""
    keys = list(manifest.matrix)
    for values in itertools.product(*(manifest.matrix[key] for key in keys)):
        yield dict(zip(keys, values, strict=True))


@dataclass(frozen=True, slots=True)
class _Setting:
    """One distinct set of parameters: complete, in words for names, and what a job with it costs."""

    parameters: Mapping[str, JSON]
    words: Mapping[str, str]
    cost_micros: int | None


class _Settings:
    """The settings of every image and prompt; those with the same parameters share them."""

    def __init__(self, manifest: Manifest, card: Card) -> None:
        self.names = Names(manifest, card.parameters["properties"])
        self._manifest = manifest
        self._card = card
        self._combinations = list(matrix_combinations(manifest))
        self._known: dict[tuple[str, str], list[_Setting]] = {}

    def of(self, image: Image, prompt: Prompt, marks: tuple[str, str]) -> list[_Setting]:
        """Return one setting for each combination; `marks` are the two's own parameters as texts."""
        if marks not in self._known:
            if len(self._known) * len(self._combinations) >= SETTINGS_MAX:
                self._known.clear()
            base = {**self._manifest.parameters, **image.parameters, **prompt.parameters}
            self._known[marks] = [self._setting({**base, **chosen}) for chosen in self._combinations]
        return self._known[marks]

    def _setting(self, merged: Mapping[str, JSON]) -> _Setting:
        parameters = self._card.complete(merged)
        cost = self._card.cost_micros(parameters, self._manifest.price)
        return _Setting(parameters, self.names.words(parameters), cost)


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
        words = {**self.setting.words, "image": self.image, "prompt": self.prompt}
        for take, seed in self._seeds(manifest):
            seeded = card.seed_field is not None
            print_ = hashlib.sha256((f"{head}{seed}{tail}" if seeded else head).encode()).hexdigest()
            words["take"], words["seed"] = str(take), str(seed)
            yield Job(
                id=f"{self.image}.{self.prompt}.t{take}-{print_[:8]}",
                image=self.image,
                prompt=self.prompt,
                take=take,
                seed=seed if seeded else None,
                model=manifest.model,
                payload={**self.body, card.seed_field: seed} if card.seed_field is not None else self.body,
                fingerprint=print_,
                name=names.name(words),
                cost_micros=self.setting.cost_micros,
            )

    def _seeds(self, manifest: Manifest) -> Iterable[tuple[int, int]]:
        """Yield take and seed; a fixed seed is its own take, so that the order of the list says nothing."""
        if not isinstance(manifest.takes, int):
            return ((seed, seed) for seed in manifest.takes)
        takes = range(1, manifest.takes + 1)
        return ((take, derive_seed(manifest.seed, self.image, self.prompt, take)) for take in takes)


def _around_seed(model: str, body: Mapping[str, JSON], field: str | None) -> tuple[str, str]:
    """Return what `values.fingerprint` hashes before and after the seed: takes differ in nothing else."""
    if field is None:
        return canonical({"model": model, "payload": dict(body)}), ""
    before = {name: value for name, value in body.items() if name < field}
    after = {name: value for name, value in body.items() if name > field}
    head = canonical({"model": model, "payload": before}).removesuffix("}}")
    tail = canonical(after).removeprefix("{")
    return f'{head}{"," if before else ""}"{field}":', f"{',' if after else ''}{tail}}}"
