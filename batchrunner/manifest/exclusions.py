"""What can be wrong with `exclude`: an entry that matches nothing leaves in what somebody wanted out."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from batchrunner.cards import Card
from batchrunner.manifest.columns import SEED_WORDS
from batchrunner.manifest.excluding import applies
from batchrunner.manifest.expand import matrix_combinations
from batchrunner.manifest.ids import nearest
from batchrunner.manifest.references import SHOWN_MAX, hint
from batchrunner.manifest.unknown import Unknown
from batchrunner.manifest.written import Report, Row
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
            what = f'"{key}" is no key and no parameter{nearest(key, known)}'
            what = SEED_WORDS if key == card.seed_field else what
            report.say(row, ("parameters", key), what, key=True)
            del parameters[key]
    return Exclude(told.get("image"), told.get("prompt"), told.get("take"), parameters)


@dataclass(frozen=True, slots=True)
class Known:
    """The ids that rows in doubt may have, whether all takes are known; `unsure`: the parameters of which not
    all values are.

    `named` has `image` where each one that shots name is known, or plainly a slip of one that is; so for
    `prompt`. `strangers`: names that nobody can have, though not all have names.
    """

    other_images: Unknown
    other_prompts: Unknown
    named: frozenset[str]
    strangers: Collection[tuple[str, str]]
    takes: bool
    unsure: frozenset[str]

    def nobody(self, key: str, name: str) -> bool:
        """Tell whether it is certain that no image, or prompt, has a name that is none of the known ones."""
        other = self.other_images if key == "image" else self.other_prompts
        return not other.may_be(name) or (key in self.named and (key, name) in self.strangers)


def check(
    excludes: Iterable[tuple[Exclude, Row]],
    manifest: Manifest,
    card: Card | None,
    known: Known,
    report: Report,
) -> None:
    """Report every part of an entry that no job of the product and the shots has."""
    groups = list(_Group.all(manifest)) if manifest.exclude else []
    images = dict.fromkeys(name for group in groups for name in group.images)
    prompts = dict.fromkeys(name for group in groups for name in group.prompts)
    for told, row in excludes:
        exclude = told
        if exclude.image is not None and exclude.image not in images:
            if known.nobody("image", exclude.image):
                what = f'no job has the image "{exclude.image}"{hint(exclude.image, images)}'
                report.say(row, ("image",), what)
            exclude = replace(exclude, image=None)
        if exclude.prompt is not None and exclude.prompt not in prompts:
            if known.nobody("prompt", exclude.prompt):
                what = f'no job has the prompt "{exclude.prompt}"{hint(exclude.prompt, prompts)}'
                report.say(row, ("prompt",), what)
            exclude = replace(exclude, prompt=None)
        some = [group for group in groups if group.has(exclude)]
        if exclude.take is not None and not any(group.has_take(exclude.take) for group in some):
            paired = not known.other_images and not known.other_prompts
            if some and known.takes and (paired or not any(one.has_take(exclude.take) for one in groups)):
                report.say(row, ("take",), f"no job is take {exclude.take}: {_takes(some)}")
            exclude = replace(exclude, take=None)
        found = [] if card is None else list(_parameters(exclude, some, manifest, card))
        _say_values(exclude, found, row, known, report)
        known_here = known.takes and not known.other_images and not known.other_prompts
        known_here = known_here and known.unsure.isdisjoint(exclude.parameters)
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


def _parameters(
    exclude: Exclude, groups: Sequence[_Group], manifest: Manifest, card: Card
) -> Iterator[dict[str, Any]]:
    """Yield the distinct complete values, of those parameters that an entry names, where it may apply."""
    seen: set[str] = set()
    keys = exclude.parameters.keys()
    for group in groups:
        if exclude.take is not None and not group.has_take(exclude.take):
            continue
        images = _distinct(group.images, exclude.image, keys)
        prompts = _distinct(group.prompts, exclude.prompt, keys)
        unnamed = [key for key in manifest.matrix if key not in keys]
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
    return list({canonical(one): one for one in parts}.values())


def _say_values(
    exclude: Exclude, found: Sequence[Mapping[str, JSON]], row: Row, known: Known, report: Report
) -> None:
    """Report each value of an entry that no job has."""
    for key, value in exclude.parameters.items() if found else ():
        values = list({canonical(one[key]): one[key] for one in found if key in one}.values())
        if key not in known.unsure and canonical(value) not in {canonical(one) for one in values}:
            there = " or ".join(shown(one) for one in values[:8]) or "not set"
            report.say(row, ("parameters", key), f"no job has {shown(value)} here: it is {there}")
