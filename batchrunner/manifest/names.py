"""Clips' paths from the manifest's template: every job its own, safe on every file system.

Where the matrix varies a parameter that the template does not name, its value is appended: two settings
of one take never compete for one path.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from batchrunner.manifest.slugs import segment, slug
from batchrunner.manifest.templates import TemplateError, fill, names
from batchrunner.values import JSON, Image, Manifest, Prompt, canonical

FIELDS = ("image", "prompt", "take", "seed", "model", "campaign")
UNSET = "default"  # in a path: the manifest leaves this parameter to the model

# No dashes: they stand between the values, so that two of them never read as one.
_PLAIN = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)*")


class Names:
    """The paths of one manifest's jobs."""

    def __init__(self, manifest: Manifest) -> None:
        self._common = {"model": manifest.model, "campaign": manifest.campaign}
        self._labels = {key: labels(values) for key, values in manifest.matrix.items()}
        self._named = names(manifest.output_name)
        varied = [key for key, values in manifest.matrix.items() if len(values) > 1]
        unnamed = [key for key in varied if key not in self._named]
        self._template = manifest.output_name + "".join(f"-{{{key}}}" for key in unnamed)

    def words(
        self, image: str, prompt: str, parameters: Mapping[str, JSON], combination: Mapping[str, JSON]
    ) -> dict[str, str]:
        """Return what the template's names stand for in one setting, but for take and seed."""
        shown = {key: _shown(value).replace("/", "-") for key, value in parameters.items()}
        varied = {key: self._labels[key][canonical(value)] for key, value in combination.items()}
        unset = dict.fromkeys(self._named, UNSET)
        return {**unset, **shown, **varied, **self._common, "image": image, "prompt": prompt}

    def path(self, words: Mapping[str, str], take: int, seed: int) -> str:
        """Return a job's path, without suffix."""
        whole = fill(self._template, {**words, "take": take, "seed": seed})
        return "/".join([segment(part) for part in whole.split("/")])


def labels(values: Sequence[JSON]) -> dict[str, str]:
    """Return a short distinct text for each value (by its canonical form) of one matrix axis."""
    texts = [_shown(value) for value in values]
    if len(set(texts)) == len(texts) and all(_PLAIN.fullmatch(text) for text in texts):
        return {canonical(value): text for value, text in zip(values, texts, strict=True)}
    return {canonical(value): _marked(value) for value in values}


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


def _shown(value: JSON) -> str:
    return value.replace(":", "x") if isinstance(value, str) else canonical(value)


def _marked(value: JSON) -> str:
    words = slug(_shown(value)).replace("-", "_")[:24]
    return f"{words}_{hashlib.sha256(canonical(value).encode()).hexdigest()[:8]}"
