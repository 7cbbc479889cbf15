"""What can be wrong with the template of the clips' paths."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from batchrunner.manifest.ids import running_together
from batchrunner.manifest.naming import FIELDS
from batchrunner.manifest.templates import TemplateError, fill, names
from batchrunner.nearest import nearest

_FIELD = re.compile(r"\{\w+\}")
SUFFIX = ".mp4"
SEVERAL = "several jobs would get one name"


@dataclass(frozen=True, slots=True)
class Pairs:
    """The ids that names are made of: those of the product, and pairs that stand for themselves."""

    images: Sequence[str]
    prompts: Sequence[str]
    rows: Sequence[tuple[str, str]] = ()


def problems(
    template: str,
    parameters: Collection[str] | None,
    pairs: Pairs,
    *,
    many_takes: bool,
    imageless: bool = False,
) -> Iterator[str]:
    """Yield what is wrong with a template. `parameters`: the model's; None: not known, not checked.

    `imageless`: the model takes no pictures, and nothing stands for {image}.
    """
    known = [*FIELDS, *(parameters or ())]
    try:
        wanted, sound = names(template), True
    except TemplateError as error:
        wanted, sound = error.names, False
        yield from dict.fromkeys(what for _index, what in error.faults)
    yield from (_unknown(one, known) for one in wanted if parameters is not None and one not in known)
    if not sound:
        return
    if imageless and "image" in wanted:
        yield "there is no {image}, for the model takes no picture: leave it out"
    if "\\" in template or {"", ".", ".."} & set(template.split("/")):
        yield "must be a path below the output folder: with /, without .. and not ending in /"
    if template.casefold().endswith(SUFFIX):
        yield f"{SUFFIX} comes by itself: leave it out"
    if many_takes and not {"take", "seed"} & set(wanted):
        yield f"{SEVERAL}: add {{take}}"
    yield from (
        _clashing(template, wanted, pairs)
        if pairs.rows and not pairs.images
        else _product(template, wanted, pairs)
    )


def _product(template: str, wanted: Sequence[str], pairs: Pairs) -> Iterator[str]:
    """Yield how pairs of a product get one name; its rows are looked at as if they were part of it."""
    images = dict.fromkeys([*pairs.images, *(image for image, _prompt in pairs.rows)])
    prompts = dict.fromkeys([*pairs.prompts, *(prompt for _image, prompt in pairs.rows)])
    axes = (("image", len(images) > 1), ("prompt", len(prompts) > 1))
    missing = [axis for axis, many in axes if many and axis not in wanted]
    yield from (f"{SEVERAL}: add {{{axis}}}" for axis in missing)
    parts = [part for part in template.split("/") if {"{image}", "{prompt}"} & set(_FIELD.findall(part))]
    if missing or any(len(set(_FIELD.findall(part)) & {"{image}", "{prompt}"}) < 2 for part in parts):
        return  # a folder or file of its own tells the images apart, or the prompts
    words = {**dict.fromkeys(wanted, ""), "image": "\0", "prompt": "\1"}
    found = None
    for part in parts:
        filled = fill(part, words)
        turned = filled.find("\0") > filled.find("\1")
        lists = (prompts, images) if turned else (images, prompts)
        found = running_together(*lists, re.split("[\0\1]", filled)[1])
        if found is None:
            return
        found = (found[0][::-1], found[1][::-1]) if turned else found
    if found is not None:
        (one, two), (three, four) = found
        what = f"{one} with {two} and {three} with {four} would get one name"
        yield f"{what}: put a / between {{image}} and {{prompt}}"


def _clashing(template: str, wanted: Sequence[str], pairs: Pairs) -> Iterator[str]:
    """Yield the first two of some pairs that get one name."""
    told = [{"{image}", "{prompt}"} & set(_FIELD.findall(part)) for part in template.split("/")]
    if {"{image}"} in told and {"{prompt}"} in told:
        return  # a folder tells the images apart, and in it a file the prompts, or the other way round
    words = dict.fromkeys(wanted, "")
    seen: dict[str, tuple[str, str]] = {}
    for image, prompt in pairs.rows:
        first = seen.setdefault(fill(template, {**words, "image": image, "prompt": prompt}), (image, prompt))
        if first != (image, prompt):
            missing = [axis for axis in (*(("image",) if image else ()), "prompt") if axis not in wanted]
            advice = f"add {{{missing[-1]}}}" if missing else "put a / between {image} and {prompt}"
            one, two = (" with ".join(filter(None, pair)) for pair in (first, (image, prompt)))
            yield f"{one} and {two} would get one name: {advice}"
            return


def _unknown(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    hint = f"did you mean {{{near}}}?" if near else f"there are {', '.join(known)}"
    return f"{{{name}}} is not known here: {hint}"
