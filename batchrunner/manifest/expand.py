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
from functools import cached_property
from typing import Protocol

from batchrunner.cards import Card
from batchrunner.manifest.naming import Names
from batchrunner.manifest.templates import fill
from batchrunner.values import JSON, Image, Job, Manifest, Prompt, canonical, fingerprint

SETTINGS_MAX = 4096  # distinct settings that are remembered


def derive_seed(campaign_seed: int, image: str, prompt: str, take: int) -> int:
    """Return uint31(HMAC-SHA256(campaign seed, image | prompt | take))."""
    digest = hmac.digest(str(campaign_seed).encode(), f"{image}|{prompt}|{take}".encode(), "sha256")
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def expand(manifest: Manifest, card: Card) -> Iterator[Job]:
    """Yield every job: by image, prompt, matrix combination and take, in the order written."""
    settings = _Settings(manifest, card)
    for image, prompt in itertools.product(manifest.images, manifest.prompts):
        text = fill(prompt.text, {**prompt.vars, **image.vars})
        for setting in settings.of(image, prompt):
            body = card.payload([picture.wire for picture in image.pictures], text, setting.parameters, None)
            yield from _takes(manifest, card, settings.names, _Place(image.id, prompt.id, setting, body))


def count(manifest: Manifest, card: Card) -> int:  # noqa: ARG001 - as `expand`; a card may narrow it one day
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
