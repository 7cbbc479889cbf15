"""From a manifest to its jobs: pure, streaming, and the same byte for byte on every machine.

A job's seed depends on the campaign's seed, its image, its prompt and its take, and on nothing else: it
does not move when other images, prompts or settings come or go, and a lost state table derives it again.
A job's identity is its place plus a hash of what is sent, so a changed job is a new job.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from batchrunner.cards import Card
from batchrunner.manifest.slugs import segment
from batchrunner.manifest.templates import fill
from batchrunner.values import JSON, Image, Job, Manifest, Prompt, fingerprint


def derive_seed(campaign_seed: int, image: str, prompt: str, take: int) -> int:
    """Return uint31(HMAC-SHA256(campaign seed, image | prompt | take))."""
    digest = hmac.digest(str(campaign_seed).encode(), f"{image}|{prompt}|{take}".encode(), hashlib.sha256)
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def expand(manifest: Manifest, card: Card) -> Iterator[Job]:
    """Yield every job: by image, prompt, matrix combination and take, in the order written."""
    combinations = list(matrix_combinations(manifest))
    names = _Names(manifest)
    for image, prompt in itertools.product(manifest.images, manifest.prompts):
        text = fill(prompt.text, {**prompt.vars, **image.vars})
        for combination in combinations:
            setting = _Setting.of(manifest, card, image, prompt, combination, text)
            yield from setting.jobs(manifest, card, names)


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
    """One image, prompt and combination: what all its takes have in common."""

    image: Image
    prompt: Prompt
    combination: Mapping[str, JSON]
    parameters: Mapping[str, JSON]
    body: Mapping[str, JSON]
    cost_micros: int | None

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        card: Card,
        image: Image,
        prompt: Prompt,
        combination: Mapping[str, JSON],
        text: str,
    ) -> _Setting:
        layers = (manifest.parameters, image.parameters, prompt.parameters, combination)
        parameters = card.complete({key: value for layer in layers for key, value in layer.items()})
        body = card.payload([picture.wire for picture in image.pictures], text, parameters, None)
        cost = card.cost_micros(parameters, manifest.price)
        return cls(image, prompt, combination, parameters, body, cost)

    def jobs(self, manifest: Manifest, card: Card, names: _Names) -> Iterator[Job]:
        fixed = not isinstance(manifest.takes, int)
        takes = manifest.takes if not isinstance(manifest.takes, int) else range(1, manifest.takes + 1)
        for take in takes:
            seed = take if fixed else derive_seed(manifest.seed, self.image.id, self.prompt.id, take)
            payload = dict(self.body)
            if card.seed_field is not None:
                payload[card.seed_field] = seed
            print_ = fingerprint(manifest.model, payload)
            yield Job(
                id=f"{self.image.id}.{self.prompt.id}.t{take}-{print_[:8]}",
                image=self.image.id,
                prompt=self.prompt.id,
                take=take,
                seed=seed if card.seed_field is not None else None,
                model=manifest.model,
                payload=payload,
                fingerprint=print_,
                name=names.name(self, take, seed),
                cost_micros=self.cost_micros,
            )


class _Names:
    """Output paths from the manifest's template.

    Where the matrix varies a parameter that the template does not name, its value is appended: two
    settings of one take never compete for one name.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        varied = [key for key, values in manifest.matrix.items() if len(values) > 1]
        unnamed = [key for key in varied if f"{{{key}}}" not in manifest.output_name]
        self._template = manifest.output_name + "".join(f"-{{{key}}}" for key in unnamed)

    def name(self, setting: _Setting, take: int, seed: int) -> str:
        words = {
            **setting.parameters,
            "image": setting.image.id,
            "prompt": setting.prompt.id,
            "take": take,
            "seed": seed,
            "model": self._manifest.model,
            "campaign": self._manifest.campaign,
        }
        shown = {key: str(value).replace("/", "-") for key, value in words.items()}
        return "/".join(segment(part) for part in fill(self._template, shown).split("/"))
