"""What is wrong with a model card, in words for whoever writes one: all of it, each with its place. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from batchrunner.files import schema_text
from batchrunner.nearest import nearest
from batchrunner.sentences import shown, value_message

Path = tuple[str | int, ...]

# What JSON Schema knows and no validator looks at.
_NOTES = frozenset(
    {
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "$comment",
        "$schema",
    }
)
_SLIP = 0.75  # how alike, of 1, an unknown word of a rule is to a known one that was meant


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the value at a path, or with its key."""

    path: Path
    message: str
    is_key: bool = False


def faults(told: Any) -> list[Fault]:
    """Return why a card cannot be used."""
    found = [fault for error in _validator().iter_errors(told) for fault in _faults((), error)]
    parameters = told.get("parameters") if isinstance(told, dict) else None
    if isinstance(parameters, dict):
        errors = Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(parameters)
        found += [fault for error in errors for fault in _faults(("parameters",), error)]
        found += _patterns(parameters, ("parameters",))
    if not found:
        found += _fields_twice(told)
    return list(dict.fromkeys(found))


def rule_slips(told: Any) -> list[Fault]:
    """Return what says nothing, or not what was meant, in the rules of the parameters that can be read."""
    parameters = told.get("parameters") if isinstance(told, dict) else None
    names = parameters.get("properties") if isinstance(parameters, dict) else None
    rules = (
        {name: one for name, one in names.items() if isinstance(one, dict)} if isinstance(names, dict) else {}
    )
    found = [fault for name, rule in rules.items() for fault in _keywords(name, rule)]
    required = parameters.get("required") if isinstance(parameters, dict) else None
    sent = [name for name in rules if isinstance(required, list) and name in required]
    return found + [fault for name in sent for fault in _default(name, rules[name])]


def slips(told: Any) -> list[Fault]:
    """Return what can be used and says nothing, or not what was meant, elsewhere; `told` has no faults."""
    found: list[Fault] = []
    names = told["parameters"]["properties"]
    for index, name in enumerate(told["parameters"].get("required", ())):
        if name not in names:
            found.append(Fault(("parameters", "required", index), _no_parameter(name, names)))
    price = told.get("price", {})
    if price.get("seconds", next(iter(names), None)) not in names and "seconds" in price:
        found.append(Fault(("price", "seconds"), _no_parameter(price["seconds"], names)))
    for index, row in enumerate(price.get("table", ())):
        for name in row["when"]:
            if name not in names:
                path = ("price", "table", index, "when", name)
                found.append(Fault(path, _no_parameter(name, names), is_key=True))
    return found


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema_text("card.schema.json")))


def _faults(above: Path, error: ValidationError) -> Iterator[Fault]:
    path = (*above, *error.absolute_path)
    schema: Any = error.schema
    instance: Any = error.instance
    rule: Any = error.validator_value
    match error.validator:
        case "additionalProperties":
            known = list(schema["properties"])
            for key in instance:
                if key not in known:
                    yield Fault((*path, key), f'unknown key "{key}"{_near(key, known)}', is_key=True)
        case "required":
            for key in rule:
                if key not in instance and not _misspelt(key, instance, schema):
                    yield Fault(path, f'the key "{key}" is missing: {_about(schema, key)}')
        case "anyOf" if path[-1:] == ("type",):
            kinds = "array, boolean, integer, null, number, object, string"
            yield Fault(path, f"must be one of {kinds}, or a list of them, not {shown(instance)}")
        case "items":
            yield Fault(
                path, f"has {len(instance)} entries; at most {len(schema['prefixItems'])} are allowed"
            )
        case "minLength":
            yield Fault(path, "must not be empty")
        case _:
            yield Fault(path, value_message(error))


def _misspelt(key: str, told: Collection[str], schema: Mapping[str, Any]) -> bool:
    """Tell whether a missing key is there under a name that is nearly its own, which is told as unknown."""
    known = schema["properties"] if schema.get("additionalProperties") is False else ()
    return any(key == nearest(one, known) for one in told if one not in known)


def _about(schema: Mapping[str, Any], key: str) -> str:
    """Return what a missing key is for, and an example."""
    told = schema.get("properties", {}).get(key, {})
    examples = told.get("examples", ())
    example = json.dumps({key: examples[0]}, ensure_ascii=False)[1:-1] if examples else f'"{key}": …'
    return f"add it, such as {example}"


def _near(key: str, known: Collection[str]) -> str:
    near = nearest(key, known)
    return f': did you mean "{near}"?' if near else f"; possible here: {', '.join(known)}"


def _no_parameter(name: str, names: Collection[str]) -> str:
    return f'the card has no parameter "{name}"{_near(name, names)}'


def _patterns(rule: Any, path: Path) -> Iterator[Fault]:
    """Yield the patterns that are none."""
    for key, value in rule.items() if isinstance(rule, dict) else ():
        if key == "pattern" and isinstance(value, str) and path[-1:] != ("properties",):
            try:
                re.compile(value)
            except re.error as error:
                yield Fault((*path, key), f"is no pattern: {error}")
        elif isinstance(value, dict):
            yield from _patterns(value, (*path, key))
        elif isinstance(value, list):
            for index, one in enumerate(value):
                yield from _patterns(one, (*path, key, index))


def _keywords(name: str, rule: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the misspelt words of a parameter's rule: JSON Schema passes them over, and checks nothing."""
    known = {*Draft202012Validator.VALIDATORS, *_NOTES, "x-wire", "x-message"}
    for key in rule:
        if key not in known and (near := nearest(key, known, _SLIP)):
            path = ("parameters", "properties", name, key)
            yield Fault(path, f'unknown key "{key}": did you mean "{near}"?', is_key=True)


def _default(name: str, rule: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield why the default of a parameter that is always sent could not be; of others it is only a note."""
    if rule.get("enum") == []:
        yield Fault(("parameters", "properties", name, "enum"), "must not be empty")
        return
    if "default" not in rule or not Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(rule):
        return
    for error in Draft202012Validator(rule).iter_errors(rule["default"]):
        if not error.absolute_path:
            yield Fault(("parameters", "properties", name, "default"), value_message(error))


def _fields_twice(told: Mapping[str, Any]) -> Iterator[Fault]:
    places: list[tuple[Path, str]] = [(("images", index), one) for index, one in enumerate(told["images"])]
    places += [(("videos", index, "field"), one["field"]) for index, one in enumerate(told.get("videos", ()))]
    places += [(("prompt", "field"), told["prompt"]["field"])]
    places += [(("seed",), told["seed"])] if "seed" in told else []
    places += [(("parameters", "properties", name), name) for name in told["parameters"]["properties"]]
    seen: set[str] = set()
    for path, name in places:
        if name in seen:
            yield Fault(path, f'it has the payload field "{name}" twice', is_key=path[0] == "parameters")
        seen.add(name)
