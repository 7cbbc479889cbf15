"""Places: the jobs of one image, prompt and setting, which differ in take and seed only. Pure.

What takes have in common is worked out once for each place, and what places have in common once for each
setting. A take then costs its seed, the hash of what is sent, and three texts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from batchrunner.cards import Card
from batchrunner.manifest.naming import Namer
from batchrunner.manifest.seeds import Seeds
from batchrunner.manifest.templates import fill, is_plain
from batchrunner.values import JSON, Job, JobRow, Shot, canonical

_quoted = json.encoder.encode_basestring  # as `canonical` writes a text


def text_of(shot: Shot) -> str:
    """Return a pair's words as they are sent; the shot's vars win, then those of the image."""
    if is_plain(shot.prompt.text):
        return shot.prompt.text
    return fill(shot.prompt.text, {**shot.prompt.vars, **shot.image.vars, **shot.vars})


class Frame:
    """The canonical text of a request (see `values.fingerprint`) with gaps for pictures, words and seed."""

    def __init__(self, model: str, card: Card, wire: Mapping[str, JSON]) -> None:
        gaps = {*card.image_fields, card.prompt_field, card.seed_field}
        text = canonical({"model": model}).removesuffix("}") + ',"payload":'
        self.payload_at = len(text)
        before: list[tuple[str, str]] = []
        after: list[tuple[str, str]] = []
        filled, between = before, "{"
        self._to_seed = ""
        for key in sorted(key for key in (*gaps, *wire) if key is not None):
            text += f"{between}{_quoted(key)}:"
            between = ","
            if key == card.seed_field:
                self._to_seed, text, filled = text, "", after
            elif key in gaps:
                filled.append((text, key))
                text = ""
            else:
                text += canonical(wire[key])
        self._before, self._after, self._end = before, after, f"{text}}}}}"

    def around_seed(self, words: Mapping[str, str]) -> tuple[str, str]:
        """Return the text before the seed and after it; without a seed, the two make up the whole.

        `words`: what fills the other gaps, by field.
        """
        head = "".join([f"{text}{_quoted(words[key])}" for text, key in self._before])
        tail = "".join([f"{text}{_quoted(words[key])}" for text, key in self._after])
        return head + self._to_seed, tail + self._end


@dataclass(frozen=True, slots=True)
class Setting:
    """One distinct set of parameters: complete, as sent, in a frame, and what a job with it costs."""

    parameters: Mapping[str, JSON]
    wire: Mapping[str, JSON]
    frame: Frame
    namer: Namer
    cost_micros: int | None


@dataclass(frozen=True, slots=True)
class Common:
    """What all jobs of a manifest have in common."""

    model: str
    image_fields: tuple[str, ...]
    prompt_field: str
    seed_field: str | None
    seeds: Seeds


class Place(NamedTuple):
    """One image, prompt and setting. `fixed`: a take is its own seed."""

    shot: Shot
    setting: Setting
    takes: Sequence[int]
    fixed: bool
    common: Common

    @property
    def image(self) -> str:
        """The image's id."""
        return self.shot.image.id

    @property
    def prompt(self) -> str:
        """The prompt's id."""
        return self.shot.prompt.id

    @property
    def words(self) -> dict[str, str]:
        """Pictures and prompt by the payload's fields, as they are sent."""
        common, pictures = self.common, self.shot.image.pictures
        found = {field: picture.wire for field, picture in zip(common.image_fields, pictures, strict=True)}
        found[common.prompt_field] = text_of(self.shot)
        return found

    def jobs(self) -> Iterator[Job]:
        """Yield one job for each take."""
        words, field = self.words, self.common.seed_field
        body: dict[str, JSON] = {**words, **self.setting.wire}
        head, tail = self.setting.frame.around_seed(words)
        for id_, image, prompt, take, seed, model, text, name, cost in self.rows():
            told = head + tail if field is None else f"{head}{seed}{tail}"
            print_ = hashlib.sha256(told.encode()).hexdigest()
            payload = body if field is None else {**body, field: seed}
            yield Job(id_, image, prompt, take, seed, model, payload, print_, name, cost, text)

    def rows(self) -> Iterator[JobRow]:
        """Yield the row of each job: id, image, prompt, take, seed, model, payload, name, cost."""
        image, prompt, setting, common = self.image, self.prompt, self.setting, self.common
        place = f"{image}.{prompt}" if image else prompt
        head, tail = setting.frame.around_seed(self.words)
        model, cost, seeded = common.model, setting.cost_micros, common.seed_field is not None
        at, start, sha256 = setting.frame.payload_at, f"{place}.t", hashlib.sha256
        affixes = setting.namer.affixes(image, prompt)
        before, after = affixes or ("", "")
        begun = sha256(head.encode())  # what comes before the seed is hashed once, and it is nearly all
        payload_head, payload_tail = head[at:], tail[:-1]
        for take, seed in self._seeds(image, prompt):
            gap = seed if seeded else ""
            print_ = begun.copy()
            print_.update(f"{gap}{tail}".encode())
            yield (
                f"{start}{take}-{print_.hexdigest()[:8]}",
                image,
                prompt,
                take,
                seed if seeded else None,
                model,
                f"{payload_head}{gap}{payload_tail}",
                f"{before}{take}{after}" if affixes else setting.namer.name(image, prompt, take, seed),
                cost,
            )

    def _seeds(self, image: str, prompt: str) -> Iterable[tuple[int, int]]:
        """Yield take and seed; a fixed seed is its own take, so that the order of the list says nothing."""
        if self.fixed:
            return ((take, take) for take in self.takes)
        return self.common.seeds.of(image, prompt, self.takes)
