"""What can be wrong with `exclude`: an entry that matches nothing leaves in what somebody wanted out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from batchrunner.cards import Card
from batchrunner.manifest.columns import SEED_WORDS
from batchrunner.manifest.excluding import applies
from batchrunner.manifest.expand import matrix_combinations
from batchrunner.manifest.findings import Report
from batchrunner.manifest.references import SHOWN_MAX, hint
from batchrunner.manifest.unknown import Others
from batchrunner.manifest.written import Row
from batchrunner.nearest import nearest
from batchrunner.sentences import shown
from batchrunner.values import JSON, Exclude, Manifest, canonical

KEYS = ("image", "prompt", "take", "parameters")


def read(row: Row, card: Card | None, report: Report) -> Exclude:
    """Return an entry of `exclude` without what there is not, which is reported."""
    told = dict(row.told)
    if card is not None and not card.image_fields and "image" in told:
        report.say(row, ("image",), f"{card.id} takes no picture: leave it out", key=True)
        del told["image"]
    parameters = dict(told.get("parameters", {}))
    parameters |= {key: value for key, value in told.items() if key not in KEYS}
    for key in [*parameters]:
        if card is not None and key not in card.parameters["properties"]:
            known = dict.fromkeys([*KEYS, *card.parameters["properties"]])
            near = nearest(key.casefold(), known)
            what = f'"{key}" is no key and no parameter' + (f': did you mean "{near}"?' if near else "")
            what = SEED_WORDS if key == card.seed_field else what
            report.say(row, ("parameters", key), what, key=True)
            del parameters[key]
    return Exclude(told.get("image"), told.get("prompt"), told.get("take"), parameters)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of all jobs: the ids that others may have, and whether all takes are there.

    `unsure`: the parameters of which not all values are known.
    """

    others: Others
    takes: bool
    unsure: frozenset[str]

    @property
    def all_jobs(self) -> bool:
        """Whether every job's image, prompt and take are known."""
        return self.takes and not self.others


def check(
    excludes: Sequence[tuple[Exclude, Row]],
    manifest: Manifest,
    card: Card | None,
    known: Known,
    report: Report,
) -> None:
    """Report every part of an entry that no job of the product and the shots has."""
    if not excludes:
        return
    groups = _Groups(manifest, card)
    for told, row in excludes:
        exclude = told
        for key, named, there in (
            ("image", told.image, groups.images),
            ("prompt", told.prompt, groups.prompts),
        ):
            if named is not None and named not in there:
                if known.others.nobody(key, named):
                    report.say(row, (key,), f'no job has the {key} "{named}"{hint(named, there)}')
                exclude = replace(exclude, image=None) if key == "image" else replace(exclude, prompt=None)
        some = groups.meeting(exclude)
        if exclude.take is not None and not any(group.has_take(exclude.take) for group in some):
            if some and known.takes and (known.all_jobs or not groups.have_take(exclude.take)):
                report.say(row, ("take",), f"no job is take {exclude.take}: {_takes(some)}")
            exclude = replace(exclude, take=None)
        found = groups.parameters(exclude)
        _say_values(exclude, found, row, known, report)
        known_here = known.all_jobs and known.unsure.isdisjoint(exclude.parameters)
        if not known_here or report.unsure(row, ()):
            continue
        if not some:
            report.say(row, (), "matches no job: leave it out")
        elif card is not None and not any(applies(exclude, one) for one in found):
            report.say(row, (), "matches no job: no job has all of these together")


@dataclass(frozen=True, slots=True)
class _Group:
    """Images that go with prompts: the product, or one shot."""

    images: Mapping[str, Mapping[str, JSON]]
    prompts: Mapping[str, Mapping[str, JSON]]
    own: Mapping[str, JSON]
    takes: int | tuple[int, ...]

    @classmethod
    def all(cls, manifest: Manifest) -> Iterator[_Group]:
        """Yield the product, if there is one, and every shot."""
        if manifest.images and manifest.prompts:
            images = {image.id: image.parameters for image in manifest.images}
            yield cls(images, {one.id: one.parameters for one in manifest.prompts}, {}, manifest.takes)
        for shot in manifest.shots:
            image, prompt = {shot.image.id: shot.image.parameters}, {shot.prompt.id: shot.prompt.parameters}
            takes = manifest.takes if shot.takes is None else shot.takes
            yield cls(image, prompt, shot.parameters, takes)

    def has(self, exclude: Exclude) -> bool:
        """Tell whether an entry's image and prompt meet here."""
        image = exclude.image is None or exclude.image in self.images
        return image and (exclude.prompt is None or exclude.prompt in self.prompts)

    def has_take(self, take: int) -> bool:
        """Tell whether there is a take."""
        return 1 <= take <= self.takes if isinstance(self.takes, int) else take in self.takes


def _takes(groups: Sequence[_Group]) -> str:
    """Return in words which takes there are."""
    found = {one.takes if isinstance(one.takes, int) else tuple(one.takes) for one in groups}
    most = max((one for one in found if isinstance(one, int)), default=0)
    fixed = [one for takes in found if not isinstance(takes, int) for one in takes]
    some = [*([f"1 to {most}" if most > 1 else "1"] if most else []), *map(str, sorted(fixed)[:SHOWN_MAX])]
    more = ", …" if len(fixed) > SHOWN_MAX else ""
    several = most > 1 or len(some) > 1
    return f"the takes are {', '.join(some)}{more}" if several else f"the only take is {some[0]}"


class _Groups:
    """All groups of a manifest, found by image or prompt: there may be 100,000, and many entries."""

    def __init__(self, manifest: Manifest, card: Card | None) -> None:
        self._manifest = manifest
        self._card = card
        self._all = list(_Group.all(manifest))
        self.images: dict[str, list[_Group]] = {}
        self.prompts: dict[str, list[_Group]] = {}
        for group in self._all:
            for names, there in ((group.images, self.images), (group.prompts, self.prompts)):
                for name in names:
                    there.setdefault(name, []).append(group)
        self._found: dict[
            tuple[str | None, str | None, int | None, frozenset[str]], list[dict[str, Any]]
        ] = {}

    def meeting(self, exclude: Exclude) -> list[_Group]:
        """Return the groups in which an entry's image and prompt meet."""
        if exclude.image is not None:
            return [group for group in self.images[exclude.image] if group.has(exclude)]
        return self._all if exclude.prompt is None else self.prompts[exclude.prompt]

    def have_take(self, take: int) -> bool:
        """Tell whether any job is a take."""
        return any(group.has_take(take) for group in self._all)

    def parameters(self, exclude: Exclude) -> list[dict[str, Any]]:
        """Return the distinct complete values of the parameters that an entry names, where it may apply."""
        mark = exclude.image, exclude.prompt, exclude.take, frozenset(exclude.parameters)
        if mark not in self._found:  # other entries name other values of the same
            self._found[mark] = [] if self._card is None else list(self._complete(exclude, self._card))
        return self._found[mark]

    def _complete(self, exclude: Exclude, card: Card) -> Iterator[dict[str, Any]]:
        seen: set[str] = set()
        manifest, keys = self._manifest, exclude.parameters.keys()
        unnamed = [key for key in manifest.matrix if key not in keys]
        for group in self.meeting(exclude):
            if exclude.take is not None and not group.has_take(exclude.take):
                continue
            images = _distinct(group.images, exclude.image, keys)
            prompts = _distinct(group.prompts, exclude.prompt, keys)
            for image, prompt in itertools.product(images, prompts):
                for chosen in matrix_combinations(manifest, {*unnamed, *group.own}):
                    merged = {**manifest.parameters, **image, **prompt, **chosen, **group.own}
                    found = {key: one for key, one in card.complete(merged).items() if key in keys}
                    if (mark := canonical(found)) not in seen:
                        seen.add(mark)
                        yield found


def _distinct(
    rows: Mapping[str, Mapping[str, JSON]], name: str | None, keys: Iterable[str]
) -> list[dict[str, JSON]]:
    some = rows.values() if name is None else [rows[name]]
    wanted = set(keys)
    parts = ({key: value for key, value in one.items() if key in wanted} for one in some)
    return list({canonical(one) if one else "": one for one in parts}.values())


def _say_values(
    exclude: Exclude, found: Sequence[Mapping[str, JSON]], row: Row, known: Known, report: Report
) -> None:
    """Report each value of an entry that no job has."""
    for key, value in exclude.parameters.items() if found else ():
        values = list({canonical(one[key]): one[key] for one in found if key in one}.values())
        if key not in known.unsure and canonical(value) not in {canonical(one) for one in values}:
            there = " or ".join(shown(one) for one in values[:8]) or "not set"
            report.say(row, ("parameters", key), f"no job has {shown(value)} here: it is {there}")
