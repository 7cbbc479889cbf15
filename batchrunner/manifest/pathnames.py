"""What can be wrong with the template of the clips' paths."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Iterator, Sequence

from batchrunner.manifest.naming import FIELDS
from batchrunner.manifest.templates import TemplateError, fill, names
from batchrunner.values import Image, Prompt


def problems(
    template: str,
    parameters: Collection[str] | None,
    images: Sequence[Image],
    prompts: Sequence[Prompt],
    *,
    many_takes: bool,
) -> Iterator[str]:
    """Yield what is wrong with a template. `parameters`: the model's; None: not known, not checked."""
    try:
        wanted = names(template)
    except TemplateError as error:
        yield str(error)
        return
    known = [*FIELDS, *(parameters or ())]
    yield from (_unknown(one, known) for one in wanted if parameters is not None and one not in known)
    if "\\" in template or {"", ".", ".."} & set(template.split("/")):
        yield "must be a path below the output folder: with /, without .. and not ending in /"
    axes = (("image", len(images) > 1), ("prompt", len(prompts) > 1))
    missing = [axis for axis, many in axes if many and axis not in wanted]
    if many_takes and not {"take", "seed"} & set(wanted):
        missing.append("take")
    for axis in missing:
        yield f"several jobs would get one name: add {{{axis}}}"
    if not missing:
        yield from _mixed_up(template, wanted, images, prompts)


def _mixed_up(
    template: str, wanted: Sequence[str], images: Sequence[Image], prompts: Sequence[Prompt]
) -> Iterator[str]:
    """Yield the first two pairs of image and prompt whose ids run together to the same name."""
    if not any("{image}" in part and "{prompt}" in part for part in template.split("/")):
        return
    words = dict.fromkeys(wanted, "")
    seen: dict[str, str] = {}
    for image, prompt in itertools.product(images, prompts):
        pair = f"{image.id} with {prompt.id}"
        first = seen.setdefault(fill(template, {**words, "image": image.id, "prompt": prompt.id}), pair)
        if first != pair:
            yield f"{first} and {pair} would get one name: put a / between {{image}} and {{prompt}}"
            return


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {{{near[0]}}}?" if near else f"there are {', '.join(known)}"
    return f"{{{name}}} is not known here: {hint}"
