"""Jobs that would be the same clip, or go to the same path: never paid twice, and told with both places.

A million jobs are not compared with each other. Two jobs are the same clip only if their pictures, their
words, their settings and their seed are the same, and each of these can be looked at for itself: images
with pictures of their own never meet, nor do prompts that begin or end differently. Only pairs that may
meet are expanded and compared; in most manifests there are none.

Seeds that derive from a place are 31 bits of an HMAC, so two takes of one pair can have the same one by
chance: among 10 takes once in 50 million pairs, among 10,000 once in 40. It is looked for where it matters.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from batchrunner.cards import Card
from batchrunner.manifest import templates
from batchrunner.manifest.expand import Expander
from batchrunner.manifest.findings import Report
from batchrunner.manifest.places import text_of
from batchrunner.manifest.seeds import derive_seed
from batchrunner.manifest.sources import also
from batchrunner.manifest.written import Row
from batchrunner.values import Image, Job, Manifest, Prompt, Shot, pair_name

SAME = "the same clip as"
SWEEP_MIN = 100  # takes from which on derived seeds are compared: below, some 1 in a million pairs

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Pair(NamedTuple):
    """A pair, whether it is an include, and its own row if it has one."""

    shot: Shot
    included: bool = False
    row: Row | None = None


class Same:
    """Looks for jobs that are the same as others; `rows` say where images and prompts are written."""

    def __init__(
        self,
        manifest: Manifest,
        card: Card,
        report: Report,
        images: dict[str, Row],
        prompts: dict[str, Row],
        shots: Sequence[tuple[Shot, Row]],
        include: Sequence[tuple[Shot, Row]],
    ) -> None:
        self._manifest = manifest
        self._card = card
        self._report = report
        self._rows = images, prompts
        self._own = [Pair(shot, row=row) for shot, row in shots]
        self._own += [Pair(shot, True, row) for shot, row in include]
        self.said: set[tuple[int, int]] = set()
        self._expander = Expander(manifest, card)

    def clips(self) -> None:
        """Report jobs with the same payload, seed included."""
        suspects = may_be_alike(self._manifest.prompts)
        product = _grouped((_wires(image), image) for image in self._manifest.images)
        own = self._meeting(lambda shot: _wires(shot.image), product.__contains__)
        for pictures in {**product, **own}:
            images, rows = product.get(pictures, []), own.get(pictures, [])
            prompts = self._manifest.prompts if rows or len(images) > 1 else suspects
            pairs = [*(Pair(Shot(image, one)) for image in images for one in prompts), *rows]
            if len(pairs) < 2:
                continue
            for alike in _grouped((text_of(pair.shot), pair) for pair in pairs).values():
                if len(alike) > 1:
                    self._compare(alike, SAME, lambda job: job.fingerprint)
        if self._card.seed_field is not None:
            for pair in self._swept():
                self._compare([pair], SAME, lambda job: job.fingerprint)

    def names(self) -> None:
        """Report jobs of shots and includes that have a path in common with others of their pair."""
        images = {image.id: image for image in self._manifest.images}
        prompts = {prompt.id: prompt for prompt in self._manifest.prompts}

        def listed(pair: tuple[str, str]) -> bool:
            return pair[0] in images and pair[1] in prompts

        for pair, rows in self._meeting(lambda shot: (shot.image.id, shot.prompt.id), listed).items():
            usual = [Pair(Shot(images[pair[0]], prompts[pair[1]]))] if listed(pair) else []
            pairs = [*usual, *rows]
            self._compare(pairs, "at the same path as", lambda job: job.name.casefold())

    def _meeting(self, mark: Callable[[Shot], K], listed: Callable[[K], bool]) -> dict[K, list[Pair]]:
        """Group shots and includes by a mark that others of them have too, or that is `listed`."""
        marks = [mark(pair.shot) for pair in self._own]
        often = Counter(marks)
        told = zip(marks, self._own, strict=True)
        return _grouped((one, pair) for one, pair in told if often[one] > 1 or listed(one))

    def _compare(self, pairs: Sequence[Pair], what: str, mark: Callable[[Job], str]) -> None:
        seen: dict[str, tuple[Pair, Job]] = {}
        for pair in pairs:
            for job in self._expander.jobs(pair.shot, included=pair.included):
                first, other = seen.setdefault(mark(job), (pair, job))
                if other is not job:
                    self._tell(pair, job, first, other, what)

    def _tell(self, pair: Pair, job: Job, first: Pair, other: Job, what: str) -> None:
        row, there = self._row(pair, first), self._row(first, pair)
        if (id(row), id(there)) in self.said:
            return
        self.said.add((id(row), id(there)))
        one = f"take {job.take} of {pair_name(job.image, job.prompt)}"
        alike = what == SAME and (job.image, job.prompt, job.take) == (other.image, other.prompt, other.take)
        if alike:
            at = f" (also {also(there, row)})" if there is not row else ""
            said = f"{one} would be the same clip twice{at}: leave one out, or ask for other takes"
            self._report.add(row.problem((), said))
            return
        two = f"take {other.take} of {pair_name(other.image, other.prompt)}"
        at = f" ({also(there, row)})" if there is not row else ""
        advice = "leave one out" if what == SAME else "name what differs in `output.name`"
        self._report.add(row.problem((), f"{one} would be {what} {two}{at}: {advice}"))

    def _row(self, pair: Pair, other: Pair) -> Row:
        """Return the row that makes a pair another than the other one."""
        if pair.row is not None:
            return pair.row
        images, prompts = self._rows
        same_image = pair.shot.image.id == other.shot.image.id
        return prompts[pair.shot.prompt.id] if same_image else images[pair.shot.image.id]

    def _swept(self) -> Iterator[Pair]:
        """Yield the pairs of many takes of which two have the same seed."""
        takes = self._manifest.takes
        many = isinstance(takes, int) and takes >= SWEEP_MIN
        product = itertools.product(self._manifest.images, self._manifest.prompts) if many else ()
        own = [pair for pair in self._own if (many or pair.shot.takes is not None) and pair.shot.take is None]
        for pair in itertools.chain((Pair(Shot(image, prompt)) for image, prompt in product), own):
            count = takes if pair.shot.takes is None else pair.shot.takes
            if isinstance(count, int) and count >= SWEEP_MIN:
                places = (pair.shot.image.id, pair.shot.prompt.id)
                seeds = {derive_seed(self._manifest.seed, *places, take) for take in range(1, count + 1)}
                if len(seeds) < count:
                    yield pair


def may_be_alike(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Return the prompts that could get the same words as another one: those that begin and end alike."""
    heads = _roots([templates.parts(prompt.text)[0][0] for prompt in prompts])
    found: list[Prompt] = []
    for some in _grouped(zip(heads, prompts, strict=True)).values():
        if len(some) > 1:
            tails = _roots([_end(prompt.text)[::-1] for prompt in some])
            groups = _grouped(zip(tails, some, strict=True)).values()
            found += [prompt for group in groups if len(group) > 1 for prompt in group]
    return found


def _end(text: str) -> str:
    literal, name = templates.parts(text)[-1]
    return literal if not name else ""


def _roots(texts: Sequence[str]) -> list[str]:
    """Return for each text the shortest of all texts that it begins with: with other roots, no two meet."""
    roots: dict[str, str] = {}
    root: str | None = None
    for text in sorted(set(texts)):
        root = root if root is not None and text.startswith(root) else text
        roots[text] = root
    return [roots[text] for text in texts]


def _wires(image: Image) -> tuple[str, ...]:
    return tuple([picture.wire for picture in image.pictures])


def _grouped(rows: Iterable[tuple[K, T]]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = {}
    for key, value in rows:
        found.setdefault(key, []).append(value)
    return found
