"""What only the whole of a manifest shows: jobs that are left out, or are there twice.

The whole need not be sound for that. Jobs that are alike are looked for among those rows of which nothing is
in doubt; that something is not there is said only where nothing in doubt could be it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from batchrunner.cards import Card
from batchrunner.manifest import exclusions, references
from batchrunner.manifest.expand import counts
from batchrunner.manifest.findings import Report
from batchrunner.manifest.same import Same
from batchrunner.manifest.unknown import ANYTHING, Others
from batchrunner.manifest.written import Row
from batchrunner.values import Exclude, Image, Limits, Manifest, Prompt, Recovery, Shot

Shots = Sequence[tuple[Shot, Row]]

UNKNOWN = "\0"  # a setting that nobody knows: no value that can be written is the same


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a manifest, each with its row; `root` is the manifest itself."""

    root: Row
    images: Sequence[tuple[Image, Row]]
    prompts: Sequence[tuple[Prompt, Row]]
    shots: Shots
    include: Shots
    exclude: Sequence[tuple[Exclude, Row]]


class Overall:
    """A manifest as far as it can be used, and what of it is known for sure.

    `data`: what is written in it, without what is wrong; `product`: the images and prompts to multiply;
    `usual_name`: the template of clips' paths where it has none.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        parts: Parts,
        product: tuple[tuple[Image, ...], tuple[Prompt, ...]],
        usual_name: str,
        card: Card | None,
        report: Report,
    ) -> None:
        self._data = data
        self._parts = parts
        self._product = product
        self._usual_name = usual_name
        self._card = card
        self._report = report
        self.manifest = self._sketch()

    def check(self) -> None:
        """Report what is left out or there twice.

        Raises:
            ManifestError: there is too much wrong to go on.
        """
        known, parts, report = self._known(), self._parts, self._report
        exclusions.check(parts.exclude, self.manifest, self._card, known, report)
        if self._card is None:
            return
        all_known = known.all_jobs and not known.unsure
        if all_known and report.all_sure("exclude", parts.exclude, ()) and report.all_sure("include", ()):
            self._empty(self._card)
        self._alike(self._card)

    def _sketch(self) -> Manifest:
        """Return the manifest; what is not known of the settings has a value of its own."""
        data, parts = self._data, self._parts
        names = self._card.parameters["properties"] if self._card else {}
        unknown = {name: UNKNOWN for name in names if self._unsure_setting(name)}
        takes = data.get("takes", 1) if self._sure("takes") else 1
        named = self._sure("output", "name") and "name" in data.get("output", {})
        return Manifest(
            path=FilePath(),
            text="",
            sha256="",
            campaign=data.get("campaign", ""),
            model=data.get("model", ""),
            provider=data.get("provider", "gmi"),
            seed=data.get("seed", 0),
            takes=tuple(takes) if isinstance(takes, list) else takes,
            parameters={**data.get("parameters", {}), **unknown},
            matrix={
                key: tuple(values)
                for key, values in data.get("matrix", {}).items()
                if key in names and key not in unknown
            },
            images=self._product[0],
            prompts=self._product[1],
            limits=Limits(),
            attempts=1,
            recovery=Recovery(),
            price=None,
            output_folder=None,
            output_name=data["output"]["name"] if named else self._usual_name,
            shots=tuple(shot for shot, _row in parts.shots),
            exclude=tuple(left_out(parts.exclude, self._report)),
            include=tuple(shot for shot, _row in parts.include),
        )

    def _known(self) -> exclusions.Known:
        parts, all_sure = self._parts, self._report.all_sure
        sections = (("images", parts.images), ("prompts", parts.prompts), ("shots", parts.shots))
        listed: Mapping[str, Sequence[tuple[Image | Prompt, Row]]]
        listed = {"image": parts.images, "prompt": parts.prompts}
        product = self._sure("product")
        images, prompts = (
            (self._report.unknown("shots", parts.shots, key) if product else ANYTHING).beside(
                self._report.unknown(f"{key}s", rows, "id")
            )
            for key, rows in listed.items()
        )
        named = {key for key, rows in listed.items() if self._named(key, rows)}
        strangers = {one for one in self._report.strangers if one[0] in named}
        return exclusions.Known(
            others=Others(images, prompts, strangers),
            takes=product and all_sure("shots", parts.shots, ("takes",)) and self._sure("takes"),
            unsure=frozenset(
                key
                for key in {key for exclude, _row in parts.exclude for key in exclude.parameters}
                if self._unsure_setting(key)
                or not all(all_sure(section, rows, ("parameters", key)) for section, rows in sections)
            ),
        )

    def _named(self, key: str, rows: Sequence[tuple[Image | Prompt, Row]]) -> bool:
        """Tell whether each image, or prompt, of the shots is known, or plainly a slip of one that is."""
        report = self._report
        if not self._sure("product") or not report.all_sure("shots", ()):
            return False
        unsure = [row.told.get(key) for _shot, row in self._parts.shots if report.unsure(row, (key,))]
        known = {part.id for part, _row in rows} if unsure else ()
        return all(isinstance(name, str) and references.slip(name, known) for name in unsure)

    def _sure(self, *path: str) -> bool:
        return not self._report.unsure(self._parts.root, path)

    def _unsure_setting(self, name: str) -> bool:
        return not (self._sure("parameters", name) and self._sure("matrix", name))

    def _empty(self, card: Card) -> None:
        """Report that there is no job at all."""
        if not any(counts(self.manifest, card)):
            key, what = (
                ("exclude", "leaves no job: every single one is matched by an entry")
                if self.manifest.exclude
                else ("product", 'false leaves no job where there are no shots: take it out, or list "shots"')
            )
            self._report.say(self._parts.root, (key,), what)

    def _alike(self, card: Card) -> None:
        """Report jobs that are there twice, among all that is known for sure."""
        parts = self._parts
        sure, shots, include = self.manifest, parts.shots, parts.include
        if self._report.doubtful:
            sure, shots, include = self._all_sure()
        images = {image.id: row for image, row in parts.images}
        prompts = {prompt.id: row for prompt, row in parts.prompts}
        same = Same(sure, card, self._report, images, prompts, shots, include)
        same.clips()
        settled = all(self._sure(key) for key in ("parameters", "matrix", "takes", "output", "product"))
        if settled and not same.said:
            same.names()

    def _all_sure(self) -> tuple[Manifest, Shots, Shots]:
        """Return manifest, shots and includes without those rows of which anything is in doubt."""
        parts, manifest = self._parts, self.manifest
        every = (*parts.images, *parts.prompts, *parts.shots, *parts.include)
        unsure = {id(one) for one, row in every if self._report.unsure(row, ())}
        shots, include = (
            [(shot, row) for shot, row in rows if id(shot) not in unsure]
            for rows in (parts.shots, parts.include)
        )
        sure = replace(
            manifest,
            images=tuple(image for image in manifest.images if id(image) not in unsure),
            prompts=tuple(prompt for prompt in manifest.prompts if id(prompt) not in unsure),
            shots=tuple(shot for shot, _row in shots),
            include=tuple(shot for shot, _row in include),
        )
        return sure, shots, include


def left_out(rows: Iterable[tuple[Exclude, Row]], report: Report) -> list[Exclude]:
    """Return what is left out at most: an entry that cannot be read may have meant anything."""
    unknown = [] if report.all_sure("exclude", ()) else [Exclude()]
    return [*(exclude for exclude, _row in rows), *unknown]
