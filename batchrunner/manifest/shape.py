"""The schema's verdict on a manifest, as problems at lines that tired people can read."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from batchrunner.cards import Card
from batchrunner.errors import ManifestError, Problem
from batchrunner.files import schema_text
from batchrunner.manifest import respelling, shapewords
from batchrunner.manifest.characters import PROBLEMS_MAX, invisible
from batchrunner.manifest.document import Document, path_text
from batchrunner.manifest.doubts import Doubts, Path
from batchrunner.manifest.mending import elsewhere, frames, near_key, plain_id
from batchrunner.manifest.respelling import KEEP, Move
from batchrunner.manifest.yamlread import DEPTH_MAX
from batchrunner.sentences import braced, value_message


@cache
def validator() -> Draft202012Validator:
    """Return the manifest schema's validator."""
    return Draft202012Validator(json.loads(schema_text("manifest.schema.json")))


def check(
    document: Document, name: str, card: Card | None, again: Callable[[], Card | None] = lambda: None
) -> list[Problem]:
    """Return every way in which a document breaks the schema, and add to its doubts what that spoils.

    `card`: the model's, where it is known; examples are such as fit it. `again` looks for it once more, for
    its key may have been misspelt.

    Raises:
        ManifestError: it is no mapping, or there is too much wrong to go on.
    """
    if not isinstance(document.data, dict):
        what = (
            "there is nothing in it: a manifest begins with `version: 1`"
            if document.data is None
            else "a manifest is a mapping: `version: 1` and so on"
        )
        raise ManifestError(document.problems or [Problem(name, 1, 1, "", what)])
    if "batchrunner_plan" in document.data:
        what = "this is a saved plan, not a manifest: `batchrunner run` does what it says"
        raise ManifestError([Problem(name, 1, 1, "", what)])
    doubts = document.doubts
    for _pass in range(DEPTH_MAX):  # what is in a misspelt key may be misspelt too
        found, retold = _found(document, name, card)
        plain = {problem: one for problem, one in found.items() if one.move or one.instead is not KEEP}
        moved = respelling.move(document, [one.move for one in plain.values() if one.move])
        for one in (*plain.values(), *retold):
            if one.instead is not KEEP:
                respelling.replace(document, one.path, one.instead)
                moved = True
                for path in one.other:
                    doubts.other(path)
        if not moved:
            break
        document.problems.extend(plain)
        card = card or again()
    for one in (*found.values(), *retold):
        one.spoil(doubts)
    return list(found)


def _found(document: Document, name: str, card: Card | None) -> tuple[dict[Problem, Told], list[Told]]:
    """Return what is wrong, each once: of missing keys there is one error each, which names them all.

    And what is wrong with values that are told as wrong already, and as they are read are of no use either.

    Raises:
        ManifestError: there is too much.
    """
    found: dict[Problem, Told] = {}
    retold: list[Told] = []
    doubts = document.doubts
    errors = (one for error in validator().iter_errors(document.data) for one in _told(error, document, card))
    for one in itertools.chain(errors, _parameters(document, card)):
        if doubts.is_told(one.path):
            retold.append(one)
        elif doubts.spoilt(one.path) or (one.missing and doubts.may_lack(one.path)):
            pass  # YAML's reader has said it
        else:
            place = document.place(one.path, key=one.is_key)
            found[Problem(name, *place, path_text(one.path), one.message)] = one
        if len(found) >= PROBLEMS_MAX:
            raise ManifestError([*document.problems, *found])
    return found, retold


def _parameters(document: Document, card: Card | None) -> Iterator[Told]:
    for move, said in respelling.parameters(document.data, card) if card is not None else ():
        yield Told(move.path, said, is_key=True, move=move, spoilt=[move.path])


def inputs(document: Document, name: str, card: Card | None) -> list[Problem]:
    """Return what is missing to render from, or is there and of no use: that depends on what the model takes.

    Of a model that nobody knows it is not said that pictures are missing: it may take none.
    """
    data: dict[str, Any] = document.data
    there = {key for key in ("images", "prompts", "shots") if key in data or document.doubts.itself((key,))}
    found: list[Told] = []
    if card is not None and not card.image_fields:
        if "images" in data:
            what = f"{card.id} takes no picture: leave `images` out, and each prompt is made for itself"
            found.append(Told(("images",), what, is_key=True, spoilt=[("images",)]))
        if not {"prompts", "shots"} & there:
            what = 'there is nothing to render: give "prompts" or "shots"'
            found.append(Told((), what, spoilt=[("prompts",)]))
    else:
        known = card is not None
        found += _nothing_to_render(there if known else there | {"images"})
        if known:
            found += islice(_without_image(document, card), PROBLEMS_MAX)
    for one in found:
        one.spoil(document.doubts)
    return [
        Problem(name, *document.place(one.path, key=one.is_key), path_text(one.path), one.message)
        for one in found
    ]


@dataclass(frozen=True, slots=True)
class Told:
    """One thing wrong with the value (or its key) at a path, and what that spoils.

    `missing`: something is not there. `spoilt`: of no use; `other`: perhaps another value was meant. Where it
    is plain what was meant: `move` is to where it belongs, `instead` the value.
    """

    path: Path
    message: str
    is_key: bool = False
    missing: bool = False
    spoilt: Collection[Path] = ()
    other: Collection[Path] = ()
    move: Move | None = None
    instead: Any = KEEP

    def spoil(self, doubts: Doubts) -> None:
        """Add to the doubts."""
        for one in self.spoilt:
            doubts.whole(one)
        for one in self.other:
            doubts.other(one)


def _without_image(document: Document, card: Card | None) -> Iterator[Told]:
    """Yield the shots and includes that name no picture."""
    root: Any = validator().schema
    data: dict[str, Any] = document.data
    for section, kind in (("shots", "shot"), ("include", "include")):
        schema = root["$defs"][kind]
        choices = _choices(schema["oneOf"])
        told = data.get(section)
        whole = isinstance(told, dict)
        for index, one in enumerate([told] if whole else told if isinstance(told, list) else ()):
            at: Path = (section,) if whole else (section, index)
            if not isinstance(one, dict) or any(frames(key, card) for key in one):
                continue  # which is told with the value, or with the name of the field
            doubtful = any(document.doubts.itself((*at, key)) for key in choices)
            if choices.isdisjoint(one) and not doubtful and not choices & _meant(schema, one):
                yield Told(at, schema["x-message"], spoilt=[(*at, key) for key in choices])


def _told(error: ValidationError, document: Document, card: Card | None) -> Iterator[Told]:
    """Yield each thing wrong behind one error."""
    path: Path = tuple(error.absolute_path)
    schema: Any = error.schema
    instance: Any = error.instance
    rule: Any = error.validator_value
    if path[:1] == ("prompts",) and (text := _text_in_braces(instance, schema)) is not None:
        yield Told(path, f"a text in braces needs quotes: write {text}", spoilt=[path])
    elif error.validator == "additionalProperties":
        known = list(schema.get("properties", {}))
        for key in instance:
            if key not in known:
                said = elsewhere(path, key, instance[key], card) or shapewords.unknown(
                    key, known, instance
                ) + shapewords.colon(path, key, instance)
                message = schema.get("x-refusal") or said
                other = [*_perhaps(path, key, card), *((*path, one) for one in _meant_by(key, known))]
                other += [path] if key.isdigit() else []
                empty = instance[key] is None or "x-refusal" in schema
                to = None if empty else respelling.meant(path, key, instance, known, card)
                here = (*path, key)
                yield Told(here, message, is_key=True, spoilt=[here], other=other, move=to)
    elif error.validator == "required":
        for key in rule:
            if key not in instance and key not in _meant(schema, instance):
                yield Told(path, shapewords.lacks(key, schema), missing=True, spoilt=[(*path, key)])
    elif error.validator == "oneOf":
        if isinstance(instance, dict):
            yield from _not_one(path, instance, schema, card)
    elif error.validator == "anyOf":
        return  # nothing to render: `inputs` tells it in the words that fit the model
    elif error.validator == "uniqueItems":
        yield Told(path, value_message(error), other=[path])
    elif error.validator == "type" and "x-refusal" in schema:
        yield Told(path, schema["x-refusal"], spoilt=[path])
    else:
        yield _of_value(path, error, document, card)


def _of_value(path: Path, error: ValidationError, document: Document, card: Card | None) -> Told:
    """Return what is wrong with a value in itself."""
    schema: Any = error.schema
    if error.validator == "pattern" and "x-message" in schema:
        plain = plain_id(path, error.instance)
        said = schema["x-message"] + (f"; for example {plain}" if plain else "")
        if plain and (hidden := invisible(str(error.instance))) is not None:
            said = f"holds {hidden[1]}: write {plain} anew"
        return Told(path, said, spoilt=[path], instead=plain or KEEP)
    missing = error.validator == "minProperties"
    message = value_message(error) + shapewords.meant_or_example(path, error, card)
    plainly = shapewords.instead(path, error, document, card)
    axis = path[0] == "matrix" and isinstance(plainly, list)  # one value of perhaps many
    return Told(path, message, missing=missing, spoilt=[path], other=[path] if axis else [], instead=plainly)


def _text_in_braces(told: Any, schema: Any) -> str | None:
    """Return in quotes the words in braces that stand where a prompt's own keys would, if so."""
    known = schema.get("properties", {})
    own = isinstance(told, dict) and known and known.keys().isdisjoint(told) and not _meant(schema, told)
    return braced(told) if own else None


def _not_one(path: Path, told: dict[str, Any], schema: Any, card: Card | None) -> Iterator[Told]:
    """Yield that of several keys, of which one is needed, there is none or more than one."""
    choices = _choices(schema["oneOf"])
    both = [key for key in schema["properties"] if key in choices and key in told]
    spoilt = [(*path, key) for key in choices]
    if len(both) > 1:
        yield Told(path, f"has both {' and '.join(both)}: leave one out", spoilt=spoilt)
    elif not (choices & _meant(schema, told) or any(frames(key, card) for key in told)):
        yield Told(path, schema["x-message"], missing=not both, spoilt=spoilt)


def _choices(rule: Any) -> set[str]:
    return {key for choice in rule for key in choice.get("required", ())}


def _nothing_to_render(told: set[str]) -> Iterator[Told]:
    """Yield what is missing: images and prompts, or shots."""
    missing = [key for key in ("images", "prompts") if key not in told]
    if "shots" in told or not missing:
        return
    if len(missing) == 1:
        what = shapewords.lacks(missing[0], validator().schema)
    else:
        what = 'there is nothing to render: give "images" and "prompts", or "shots"'
    yield Told((), what, spoilt=[(key,) for key in missing])


def _meant(schema: Any, instance: dict[str, Any]) -> set[str]:
    """Return the keys that misspelt ones stand for: one mistake is told once."""
    known = list(schema["properties"])
    return {one for key in instance if key not in known for one in _meant_by(key, known)}


def _meant_by(key: str, known: list[str]) -> set[str]:
    return {one for one in (near_key(key, known), key.partition(":")[0]) if one in known}


def _perhaps(path: Path, key: str, card: Card | None) -> Iterator[Path]:
    """Yield what an unknown key may have been meant to say where it belongs."""
    if frames(key, card) is not None:
        yield from ((*path, one) for one in ("frames", "file", "url"))
    elif key == "takes" and path:
        yield ("takes",)
    elif card is not None and key in card.parameters["properties"]:
        yield (*path, "parameters", key)
