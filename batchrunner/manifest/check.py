"""What the schema cannot say of a manifest: rows, ids, words, and parameters in every combination."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Mapping
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from batchrunner.cards import Card
from batchrunner.errors import Problem
from batchrunner.manifest import exclusions, ids, leaks, pathnames, references, settings, unused
from batchrunner.manifest.document import Document
from batchrunner.manifest.doubts import GONE, Path
from batchrunner.manifest.entries import Builder, reserved
from batchrunner.manifest.expand import number_of
from batchrunner.manifest.findings import Report
from batchrunner.manifest.naming import USUAL, USUAL_WITHOUT_IMAGES
from batchrunner.manifest.overall import Overall, Parts, left_out
from batchrunner.manifest.pictures import on_this_machine
from batchrunner.manifest.shots import TAKES_MAX, Listed, ShotBuilder
from batchrunner.manifest.sources import Sources
from batchrunner.manifest.tables import Table, TableRow
from batchrunner.manifest.unknown import Others
from batchrunner.manifest.wording import Wording
from batchrunner.manifest.written import Entry, Row
from batchrunner.values import (
    NO_IMAGE,
    Exclude,
    Image,
    Prompt,
    Shot,
    canonical,
    pair_name,
)


class Checker:
    """Checks one document; fills `images`, `prompts`, `shots` …, and `problems` with whatever is wrong.

    It looks at what is left without what is in doubt already, and says nothing that only follows from that.
    """

    def __init__(self, document: Document, path: FilePath, card: Card | None) -> None:
        self._document = document
        self._doubts = document.doubts
        self._data: dict[str, Any] = document.doubts.sound(document.data)
        self._path = path
        self._card = card
        self._imageless = card is not None and not card.image_fields
        self._report = Report(document.doubts)
        self._root = self._entry((), self._data)
        self._sources = Sources(path.parent, card, self._report)
        self._builder = Builder(path.parent, card, self._report, self._sources)
        self.images: list[tuple[Image, Row]] = []
        self.prompts: list[tuple[Prompt, Row]] = []
        self.shots: list[tuple[Shot, Row]] = []
        self.include: list[tuple[Shot, Row]] = []
        self.exclude: list[tuple[Exclude, Row]] = []

    @property
    def usual_name(self) -> str:
        """The template of clips' paths where the manifest has none."""
        return USUAL_WITHOUT_IMAGES if self._imageless else USUAL

    @property
    def problems(self) -> list[Problem]:
        """All that is wrong."""
        return self._report.problems

    @property
    def read(self) -> list[tuple[str, str]]:
        """What came from other files: their paths as told, and the hashes of their bytes."""
        return self._sources.read

    @property
    def tables(self) -> tuple[tuple[str, str, str], ...]:
        """Of these files, the tables and lists that rows were taken from, each once."""
        return tuple(dict.fromkeys(self._sources.tables))

    def run(self) -> None:
        """Check everything that can be checked of the parts.

        Raises:
            ManifestError: there is too much wrong to go on.
        """
        for path in leaks.in_data(self._document.data):
            self._report.add(self._root.problem(path, leaks.FOUND))
        if (said := reserved(self._data.get("campaign", ""))) is not None:
            self._report.add(self._root.problem(("campaign",), said))
        self.images = [(self._builder.image(row), row) for row in self._rows("images")]
        self.prompts = [(self._builder.prompt(row), row) for row in self._rows("prompts")]
        self._ids()
        self._combine()
        self._words()
        if self._card is not None:
            settings.check(self._settings(), self._root, self._card, self._report)
        self._output_name()

    def notes(self) -> list[Problem]:
        """Return what is not wrong, and perhaps not meant."""
        parts = (*self.images, *self.prompts, *self.shots, *self.include)
        entries = [row for _one, row in parts if not isinstance(row, TableRow)]
        worded = [row for _one, row in parts[len(self.images) :] if not isinstance(row, TableRow)]
        found = [
            *unused.notes(self._tables, entries, self._used),
            *unused.comments(worded),
            *unused.hidden(worded),
            *unused.listed_as(worded),
        ]
        if (self.images or self.prompts) and self.product() == ((), ()):
            shots = [shot for shot, _row in (*self.shots, *self.include)]
            images, prompts = ({shot.image.id for shot in shots}, {shot.prompt.id for shot in shots})
            found += unused.unnamed([(one.id, row) for one, row in self.images], "image", images)
            found += unused.unnamed([(one.id, row) for one, row in self.prompts], "prompt", prompts)
        return found

    def far(self) -> None:
        """Check that a provider elsewhere can reach the pictures: those on this machine it cannot.

        Raises:
            ManifestError: there is too much wrong to go on.
        """
        shots = ((shot.image, row) for shot, row in (*self.shots, *self.include))
        seen: set[int] = set()
        for image, row in (*self.images, *shots):
            if id(image) in seen:
                continue  # told where it is listed
            seen.add(id(image))
            for number, picture in enumerate(image.pictures):
                if picture.url is not None and (host := on_this_machine(picture.url)) is not None:
                    key = next(key for key in ("image", "url", "frames") if key in row.told)
                    at: Path = (key, number, "url") if key == "frames" else (key,)
                    what = f"{host} is this machine itself, which the provider cannot reach"
                    self._report.add(row.problem(at, what))

    def product(self) -> tuple[tuple[Image, ...], tuple[Prompt, ...]]:
        """Return the images and prompts that are multiplied: none where shots only name them."""
        images = self._axis()
        usual = not self._doubts.at(("product",))
        if not images or not self.prompts or not self._data.get("product", usual):
            return (), ()
        return tuple(image for image, _row in images), tuple(prompt for prompt, _row in self.prompts)

    def _axis(self) -> list[tuple[Image, Row]]:
        """Return the image axis: for a model that takes none, one place without a name."""
        return [(NO_IMAGE, self._root)] if self._imageless else self.images

    @cached_property
    def _tables(self) -> list[Table]:
        parts = (*self.images, *self.prompts, *self.shots, *self.include)
        return unused.tables(row for _one, row in parts)

    def overall(self) -> Overall:
        """Return the whole, of which all parts are checked."""
        parts = Parts(self._root, self.images, self.prompts, self.shots, self.include, self.exclude)
        return Overall(self._data, parts, self.product(), self.usual_name, self._card, self._report)

    # --- rows -----------------------------------------------------------------------------------------

    def _entries(self, section: str) -> Iterator[Entry]:
        """Yield the entries of a section that can be used."""
        told = self._data.get(section, [])
        whole = isinstance(told, dict)
        for index, one in enumerate([told] if whole else told):
            if one is GONE:
                self._sources.unread.add(section)  # it may have named a table
                self._report.lost.add(section)
            else:
                at: Path = (section,) if whole else (section, index)
                yield self._entry(at, {"text": one} if isinstance(one, str) else one)

    def _rows(self, section: str) -> Iterator[Row]:
        for entry in self._entries(section):
            yield from self._sources.rows(section, entry)

    def _entry(self, at: Path, told: Mapping[str, Any]) -> Entry:
        words = told.get("vars")
        if at and isinstance(words, dict):
            told = {
                **told,
                "vars": {name: self._word((*at, "vars", name), one) for name, one in words.items()},
            }
        return Entry(self._document, str(self._path), at, told)

    def _word(self, at: Path, value: Any) -> Any:
        """Return a var as text: a number as it was written, for `1.10` must not become 1.1 in a prompt."""
        return value if isinstance(value, str) else self._document.written.get(at, value)

    # --- parts ----------------------------------------------------------------------------------------

    def _ids(self) -> None:
        images = ids.unique(((image.id, row) for image, row in self.images), self._report)
        prompts = ids.unique(((prompt.id, row) for prompt, row in self.prompts), self._report)
        named = {image.id: (image, row) for image, row in self.images if images.get(image.id) is row}
        words = {prompt.id: (prompt, row) for prompt, row in self.prompts if prompts.get(prompt.id) is row}
        shots, include = list(self._rows("shots")), list(self._entries("include"))
        told = [row.told for row in (*shots, *include, *self._entries("exclude"))]
        report, folder = self._report, self._path.parent
        report.strangers |= references.strangers("image", told, named, self.images, report, folder)
        report.strangers |= references.strangers("prompt", told, words, self.prompts, report, folder)
        unknown = (report.unknown("images", self.images, "id"), report.unknown("prompts", self.prompts, "id"))
        listed = Listed(named, words, Others(*unknown, report.strangers))
        builder = ShotBuilder(self._builder, listed, self._card, report)
        self.shots = [(builder.shot(row), row) for row in shots]
        self.include = [(builder.shot(row, "take"), row) for row in include]
        seeds = isinstance(self._data.get("takes"), list) or self._doubts.at(("takes",))
        for shot, row in self.include if not seeds else ():
            if shot.take is not None and not 1 <= shot.take <= TAKES_MAX:
                what = f"must be from 1 to {TAKES_MAX:,}, for `takes` is a number: seeds derive from it"
                self._report.say(row, ("take",), what)
        own = [(row.told["id"], row) for _shot, row in (*self.shots, *self.include) if "id" in row.told]
        ids.unique([*((prompt.id, row) for prompt, row in words.values()), *own], self._report)
        self._same_words(words)

    def _same_words(self, words: Mapping[str, tuple[Prompt, Row]]) -> None:
        """Report words that are there twice but for blanks; an `id` says that it is meant."""
        listed = ((one, one.text, row) for one, row in words.values() if "id" not in row.told)
        ids.same_words(listed, lambda _prompt: None, self._report)
        doubtful = self._report.doubtful
        for shots in (self.shots, self.include):
            sure = ((shot, row) for shot, row in shots if not (doubtful and self._report.unsure(row, ())))
            own = ((shot, shot.prompt.text, row) for shot, row in sure if _has_words(shot, row))
            ids.same_words(own, _beside_words, self._report)

    def _combine(self) -> None:
        self.exclude = [
            (exclusions.read(entry, self._card, self._report), entry) for entry in self._entries("exclude")
        ]
        pairs = self._pairs
        images = [*pairs.images, *[image for image, _prompt in pairs.rows]]
        prompts = [*pairs.prompts, *[prompt for _image, prompt in pairs.rows]]
        found = ids.running_together(images, prompts, ".")
        if found is not None:
            row = next((row for prompt, row in self.prompts if prompt.id == found[1][1]), self._root)
            one, other = (pair_name(*pair) for pair in found)
            self._report.add(row.problem((), f"{one} and {other} would get one job id: change an id"))

    @cached_property
    def _pairs(self) -> pathnames.Pairs:
        images, prompts = self.product()
        rows = dict.fromkeys((shot.image.id, shot.prompt.id) for shot, _row in (*self.shots, *self.include))
        known = [(image, prompt) for image, prompt in rows if prompt and (image or self._imageless)]
        return pathnames.Pairs(
            [one.id for one in images if one.id or self._imageless],
            [one.id for one in prompts if one.id],
            known,
        )

    def _words(self) -> None:
        images = self._axis() if self.product()[0] else []
        wording = Wording(images, self._card.prompt_max if self._card else None, self._report)
        for prompt, row in self.prompts:
            wording.prompt(prompt, row)
        for shot, row in (*self.shots, *self.include):
            wording.shot(shot, row)
        self._used = wording.used
        parts: list[tuple[Image | Prompt | Shot, Row]]
        parts = [*self.images, *self.prompts, *self.shots, *self.include]
        self._slips()
        if self._used:
            unused.holes(((one.vars, row) for one, row in parts), self._used, self._report)

    def _slips(self) -> None:
        """Report columns that no prompt uses: nor one that cannot be used, in all that was read."""
        report = self._report
        if not self._sources.unread.isdisjoint({"prompts", "shots", "include"}):
            return
        parts = (("prompts", self.prompts), ("shots", self.shots), ("include", self.include))
        sure = all(report.all_sure(section, rows, ("text",), ("prompt",)) for section, rows in parts)
        written = (line for line in self._document.lines if not line.lstrip().startswith("#"))
        texts = () if sure else ("\n".join(written), *self._sources.texts)
        unused.slips(report.tables, self._used, texts, self._card)

    def _settings(self) -> settings.Told:
        return settings.Told(
            parameters=self._data.get("parameters", {}),
            matrix=self._data.get("matrix", {}),
            images=[(image.parameters, row) for image, row in self.images],
            prompts=[(prompt.parameters, row) for prompt, row in self.prompts],
            shots=self.shots,
            include=self.include,
            exclude=left_out(self.exclude, self._report),
            spare=self._report.spare,
        )

    # --- names ----------------------------------------------------------------------------------------

    def _output_name(self) -> None:
        if self._doubts.at(("output", "name")):
            return
        template = self._data.get("output", {}).get("name", self.usual_name)
        parameters = self._card.parameters["properties"] if self._card else None
        takes = self._data.get("takes", 1)
        counts = [len(takes) if isinstance(takes, list) else takes if isinstance(takes, int) else 1]
        counts += [number_of(shot.takes) for shot, _row in self.shots if shot.takes is not None]
        for message in pathnames.problems(
            template, parameters, self._pairs, many_takes=max(counts) > 1, imageless=self._imageless
        ):
            self._report.say(self._root, ("output", "name"), message)


def _has_words(shot: Shot, row: Row) -> bool:
    """Tell whether a shot has its words, and no name for them, in its own row."""
    return "id" not in row.told and shot.prompt.text in {row.told.get("prompt"), row.told.get("text")}


def _beside_words(shot: Shot) -> Hashable:
    """Return what tells a shot from another one beside its words."""
    seeds = shot.takes if isinstance(shot.takes, tuple) else shot.take
    own = [canonical(dict(one)) if one else "" for one in (shot.vars, shot.parameters)]
    return shot.image.id, *own, seeds


def identity(sha256: str, read: list[tuple[str, str]]) -> str:
    """Return the hash of a manifest's file and of what it takes from others; alone, that of the file."""
    return hashlib.sha256(canonical([sha256, sorted(set(read))]).encode()).hexdigest() if read else sha256
