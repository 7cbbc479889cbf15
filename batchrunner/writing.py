"""Writing manifests from what was recorded or filed: from the jobs, not from the manifest they came from.

Every job is spelled out with its own words, settings and seed, so that another person gets the same payloads
whatever happens to templates, tables and folders that the first manifest took them from. What is written is
read back and expanded before it is handed out: a text that would send anything else is never given away.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

from batchrunner.cards import Card
from batchrunner.errors import ManifestError, UsageError
from batchrunner.manifest.expand import expand
from batchrunner.manifest.load import load_bytes
from batchrunner.manifest.slugs import ID_MAX
from batchrunner.manifest.templates import doubled
from batchrunner.manifest.yamlread import SIZE_MAX
from batchrunner.values import JSON, UPLOAD, Payload, canonical, content_of

MARK = 6  # characters of a hash that tell the words of one prompt apart


@dataclass(frozen=True, slots=True)
class Sent:
    """One job as it was recorded: what a manifest must say to get it again."""

    image: str
    prompt: str
    take: int
    payload: Payload


@dataclass(frozen=True, slots=True)
class Exported:
    """A manifest's text, and the local files that must go along with it: path as written, and hash."""

    text: str
    files: Mapping[str, str]
    missing: tuple[str, ...]  # paths at which what is there is not what was sent
    left: int = 0  # jobs that are recorded and no longer in the manifest, and so not here
    warnings: tuple[str, ...] = ()  # what may be otherwise, in sentences


class Writer:
    """Writes one manifest for jobs of one model. `files`: where local pictures are, by content hash."""

    def __init__(self, card: Card, files: Mapping[str, Path], target: Path) -> None:
        self._card = card
        self._files = files
        self._target = target  # the file that the text is for: paths in it are relative to its folder
        self.told: dict[str, str] = {}  # local files, by their paths as written
        self.missing: dict[str, None] = {}
        self._ids: dict[tuple[str, str], str] = {}  # of prompts, by what they were called and their words

    def file(self, sha256: str, otherwise: str) -> str:
        """Return how the manifest names a local file; `otherwise` where nobody knows its place."""
        known = self._files.get(sha256)
        path = otherwise if known is None else os.path.relpath(known, self._target.absolute().parent)
        self.told[path] = sha256
        if known is None:
            self.missing[path] = None
        return path

    def images(self, jobs: Iterable[Sent]) -> list[str]:
        """Return the section of images, one a line in the order of the jobs; nothing where there are none."""
        told: dict[str, str] = {}
        if not self._card.image_fields:
            return []
        for job in jobs:
            if job.image not in told:
                told[job.image] = self._image(job)
        return ["images:", *(f"  - {line}" for line in told.values())]

    def prompts(self, jobs: Iterable[Sent]) -> list[str]:
        """Return a line for each prompt; one whose words differ by image becomes a prompt for each of them.

        Words that were filled in once must not look like a template again: each prompt is a whole text, in
        which braces are doubled, and no shot fills anything into it.
        """
        told: dict[str, dict[str, None]] = {}
        for job in jobs:
            told.setdefault(job.prompt, {})[self.words(job)] = None
        self._ids = {
            (name, words): name if len(texts) == 1 else _marked(name, words)
            for name, texts in told.items()
            for words in texts
        }
        return [f"  - {flow({'id': id_, 'text': words})}" for (_name, words), id_ in self._ids.items()]

    def shots(self, jobs: Iterable[Sent]) -> Iterator[str]:
        """Yield a line for each image, prompt and setting; takes that follow each other share one.

        To be called after `prompts`.
        """
        for _key, group in groupby(jobs, self._unseeded):
            same = list(group)
            first = same[0]
            told: dict[str, JSON] = {"image": first.image} if first.image else {}
            told |= {
                "prompt": self._ids[first.prompt, self.words(first)],
                "parameters": self.parameters(first),
                "takes": [self.seed(job) for job in same],
            }
            yield f"  - {flow(told)}"

    def words(self, job: Sent) -> str:
        """Return a job's prompt as a template: its braces stand for themselves."""
        text: str = job.payload[self._card.prompt_field]
        return text.replace("{", "{{").replace("}", "}}")

    def parameters(self, job: Sent) -> dict[str, JSON]:
        """Return a job's settings as people write them: "5" on the wire is the number 5 on the card."""
        rules: Mapping[str, Mapping[str, Any]] = self._card.parameters["properties"]
        return {
            name: doubled(_written(rules[name], value))
            for name, value in job.payload.items()
            if name in rules
        }

    def seed(self, job: Sent) -> int:
        """Return a job's seed; where the model takes none, its take."""
        seed = job.payload.get(self._card.seed_field) if self._card.seed_field else None
        return job.take if seed is None else int(seed)

    def _unseeded(self, job: Sent) -> str:
        rest = {name: value for name, value in job.payload.items() if name != self._card.seed_field}
        return canonical([job.image, job.prompt, rest])

    def _image(self, job: Sent) -> str:
        sources = [self._source(job.payload[name]) for name in self._card.image_fields]
        told = {"id": job.image, **(sources[0] if len(sources) == 1 else {"frames": sources})}
        return flow(told)

    def _source(self, value: str) -> dict[str, str]:
        if not value.startswith(UPLOAD):
            return {"url": value}
        sha256, extension = content_of(value)
        return {"file": self.file(sha256, f"{sha256}.{extension}"), "sha256": sha256}


def head(campaign: str, model: str, provider: str, seed: int) -> list[str]:
    """Return a manifest's first lines."""
    told = {"version": 1, "campaign": campaign, "model": model, "provider": provider, "seed": seed}
    return [f"{name}: {flow(value)}" for name, value in told.items()]


def proved(text: str, target: Path, jobs: Iterable[Sent], model: str) -> None:
    """See that a manifest's text makes just these payloads, byte for byte and in this order.

    Raises:
        UsageError: it does not, or cannot be read; the text says why.
    """
    size = len(text.encode())
    if size > SIZE_MAX:
        raise UsageError(
            f"spelled out, the jobs make {size / (1 << 20):.1f} MiB; a manifest may have {SIZE_MAX >> 20}: "
            "batchrunner plan MANIFEST --jobs lists every payload, whatever their number"
        )
    try:
        manifest, card = load_bytes(text.encode(), target)
    except ManifestError as error:
        raise UsageError(f"a manifest cannot say all of this: {error}") from error
    for job, sent in zip_longest(expand(manifest, card), jobs):
        if job is None or sent is None or job.model != model:
            raise UsageError("a manifest cannot say all of this: it would have other jobs")
        if canonical(dict(job.payload)) != canonical(dict(sent.payload)):
            raise UsageError(f"a manifest cannot say all of this: {job.id} would be sent otherwise")


def flow(value: JSON) -> str:
    """Return a value in one line of YAML."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(key)}: {flow(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    return text_of(value) if isinstance(value, str) else json.dumps(value)


def text_of(text: str) -> str:
    """Return a text in double quotes; what an editor would not show is escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escaped(char) for char in quoted)


def _marked(name: str, words: str) -> str:
    mark = hashlib.sha256(words.encode()).hexdigest()[:MARK]
    return f"{name[: ID_MAX - MARK - 1].rstrip('-._')}-{mark}"


def _key(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else text_of(name)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def _written(rule: Mapping[str, Any], value: JSON) -> JSON:
    kinds = rule.get("type")
    texts = [one for one in rule.get("enum", ()) if isinstance(one, str)]
    if rule.get("x-wire") != "string" or not isinstance(value, str) or value in texts or kinds == "string":
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
