"""Where a job's clip goes: the manifest's name template, filled so that every file system takes it.

Where the matrix varies a parameter that the template does not name, its value is appended, and values
that look alike once they are safe in a file name are told apart by a mark: two settings of one take never
compete for one name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from batchrunner.manifest.slugs import is_path, segment
from batchrunner.manifest.templates import names, parts
from batchrunner.values import JSON, Manifest, canonical

FIELDS = ("image", "prompt", "take", "seed", "model", "campaign")
LONGEST = str(2**31 - 1)  # of takes and seeds
USUAL = "{image}/{prompt}-t{take}"
USUAL_WITHOUT_IMAGES = "{prompt}-t{take}"
MARK = "\0"  # no file name has one
NUMBERED = frozenset({"com", "lpt"})  # with a digit, names that Windows keeps for itself
UNSET = "default"  # the word for a parameter that the job does not set

_PLAIN = re.compile(r"[0-9]+:[0-9]+|[a-z0-9][a-z0-9_]*")

Parts: TypeAlias = tuple[tuple[str, str], ...]


class Names:
    """The output paths of one manifest's jobs; `parameters` are the names on the model's card.

    `own`: the parameters that a shot sets itself. They are appended with their names, so that two shots of
    one image and prompt never compete for one path either.
    """

    def __init__(self, manifest: Manifest, parameters: Iterable[str], own: Collection[str] = ()) -> None:
        named = names(manifest.output_name)
        varied = [key for key, values in manifest.matrix.items() if len(values) > 1 and key not in named]
        told = [key for key in sorted(own) if key not in varied and key not in named]
        template = manifest.output_name + "".join(f"-{{{key}}}" for key in varied)
        template += "".join(f"-{key}_{{{key}}}" for key in told)
        self._own = frozenset(own)
        self._segments = [parts(piece) for piece in template.split("/")]
        self._unset = dict.fromkeys(parameters, UNSET)
        self._fixed = {"model": manifest.model, "campaign": manifest.campaign}
        self._labels = {key: labels(values) for key, values in manifest.matrix.items()}

    def words(self, parameters: Mapping[str, JSON]) -> dict[str, str]:
        """Return the words that settings stand for in a name."""
        told = {key: self._word(key, value) for key, value in parameters.items()}
        return {**self._unset, **told, **self._fixed}

    def within(self, words: Mapping[str, str]) -> Namer:
        """Return what names the jobs of one setting; `words` is what `words` returned for it."""
        return Namer([_known(piece, words) for piece in self._segments])

    def _word(self, key: str, value: JSON) -> str:
        label = self._labels[key].get(canonical(value)) if key in self._labels else None
        if label is None:
            label = own_label(value) if key in self._own else word(value)
        return label


class Namer:
    """The output paths of one setting's jobs, by image, prompt, take and seed.

    Most paths have one take and no seed in them. Then what comes before and after the take is worked out
    once for each image and prompt.
    """

    def __init__(self, segments: Sequence[Parts]) -> None:
        self._segments = segments
        names = [name for piece in segments for _literal, name in piece]
        self._plain = names.count("take") == 1 and "seed" not in names
        form = "/".join([_form(piece) for piece in segments])
        self._before, _mark, self._after = form.partition(MARK)

    def name(self, image: str, prompt: str, take: int, seed: int) -> str:
        """Return one job's path without suffix."""
        words = {"image": image, "prompt": prompt, "take": str(take), "seed": str(seed)}
        return "/".join([segment(_filled(piece, words)) for piece in self._segments])

    def affixes(self, image: str, prompt: str) -> tuple[str, str] | None:
        """Return what comes before and after the take in every path of one place; None: ask for each.

        Digits make no safe name unsafe, so where the longest take is taken as it is, all are: but for one of
        one digit, for there is a COM1, and no COM10.
        """
        if not self._plain:
            return None
        before = self._before.format(image=image, prompt=prompt)
        after = self._after.format(image=image, prompt=prompt)
        safe = is_path(f"{before}{LONGEST}{after}") and before[-3:].lower() not in NUMBERED
        return (before, after) if safe else None


def _known(piece: Parts, words: Mapping[str, str]) -> Parts:
    """Return a part of a template with some words filled in: the others stay names."""
    found: list[tuple[str, str]] = []
    text = ""
    for literal, name in piece:
        text += literal
        if name in words:
            text += words[name]
        elif name:
            found.append((text, name))
            text = ""
    return (*found, (text, ""))


def word(value: JSON) -> str:
    """Return a setting as one part of a file name."""
    text = value.replace(":", "x") if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return segment(text) if text.strip() else "empty"


def labels(values: Iterable[JSON]) -> dict[str, str]:
    """Return a word for each value (by its canonical text), no two alike even where case does not count.

    They hold no dashes: those stand between the values, so that two of them never read as one.
    """
    found = {canonical(value): word(value).replace("-", "_") for value in values}
    plain = [label.casefold() for label in found.values()]
    return {
        text: label if plain.count(label.casefold()) == 1 else f"{label}_{_mark(text)}"
        for text, label in found.items()
    }


def own_label(value: JSON) -> str:
    """Return a word for a value that stands alone: where the word may stand for others too, with a mark."""
    label = word(value).replace("-", "_")
    plain = not isinstance(value, str) or _PLAIN.fullmatch(value) is not None
    return label if plain else f"{label}_{_mark(canonical(value))}"


def _filled(piece: Iterable[tuple[str, str]], words: Mapping[str, str]) -> str:
    return "".join([f"{literal}{words[name]}" if name else literal for literal, name in piece])


def _form(piece: Parts) -> str:
    """Return a part of a template for `str.format`, with a mark for the take."""
    bare = [(literal.replace("{", "{{").replace("}", "}}"), name) for literal, name in piece]
    return _filled(bare, {"image": "{image}", "prompt": "{prompt}", "seed": "{seed}", "take": MARK})


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
