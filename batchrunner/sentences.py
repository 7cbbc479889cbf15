"""What JSON Schema has against one value, in a sentence for tired people."""

from __future__ import annotations

import json
import re
from typing import Any

from jsonschema.exceptions import ValidationError

from batchrunner.nearest import nearest
from batchrunner.values import JSON, canonical


def value_message(error: ValidationError) -> str:  # noqa: PLR0911 - one sentence a rule
    """Return what is wrong with one value."""
    value: Any = error.instance
    schema: Any = error.schema
    rule: Any = error.validator_value
    match error.validator:
        case "enum":
            near = nearest(str(value), [str(one) for one in rule])
            meant = next((one for one in rule if near is not None and str(one) == near), None)
            hint = f"; did you mean {shown(meant)}?" if meant is not None else ""
            return f"must be one of {', '.join(shown(one) for one in rule)}, not {shown(value)}{hint}"
        case "const":
            return f"must be {shown(rule)}, not {shown(value)}"
        case "type":
            return f"must be {_types(rule)}, not {shown(value)}{_mended(rule, value)}"
        case "minimum":
            return f"must be at least {rule}, not {shown(value)}"
        case "exclusiveMinimum":
            return f"must be more than {rule}, not {shown(value)}"
        case "maximum":
            return f"must be at most {rule}, not {shown(value)}"
        case "minLength":
            return "must not be empty"
        case "maxLength":
            return f"is {len(value):,} characters long; at most {rule:,} are allowed"
        case "minItems" | "minProperties":
            return f"must have at least {rule} {'entry' if rule == 1 else 'entries'}"
        case "maxItems":
            return f"has {len(value):,} entries; at most {rule:,} are allowed"
        case "uniqueItems":
            return f"names {shown(_twice(value))} twice: leave one out"
        case "pattern" if "x-message" in schema:
            return str(schema["x-message"])
    return str(error.message)


def _twice(values: list[JSON]) -> JSON:
    """Return the first value that was there before."""
    first: dict[str, int] = {}
    return next(one for index, one in enumerate(values) if first.setdefault(canonical(one), index) < index)


def _mended(rule: str | list[str], value: JSON) -> str:
    """Return how a value of the wrong kind was most likely meant, if that is plain."""
    if "string" in rule and isinstance(value, bool | int | float):
        return ": put it in quotes"
    if rule == "string" and (braces := braced(value)) is not None:
        return f": put it in quotes, {braces}"
    found = _number_or_truth(rule, value)
    return f": write {found}" if found else ""


def meant(rule: str | list[str], value: JSON) -> JSON:
    """Return the value that one of the wrong kind was plainly meant to be; nothing: nobody can tell."""
    found = _number_or_truth(rule, value)
    if not found:
        return None
    if found in {"true", "false"}:
        return found == "true"
    return float(found) if "." in found else int(found)


def _number_or_truth(rule: str | list[str], value: JSON) -> str:
    """Return how a text is written that was meant as a number, or as true or false; nothing: it was not."""
    if not isinstance(value, str):
        return ""
    text = value.strip().casefold()
    if "boolean" in rule and text in _BOOLEANS:
        return _BOOLEANS[text]
    number = _NUMBER.fullmatch(text)
    if number is not None and ("number" in rule or ("integer" in rule and not number[2])):
        return f"{number[1].lstrip('0') or '0'}{(number[2] or '').replace(',', '.')}"
    return ""


def braced(value: JSON) -> str | None:
    """Return in quotes what YAML reads as a mapping, but was most likely meant as a text: `{subject}`."""
    if not isinstance(value, dict) or not value or any(one is not None for one in value.values()):
        return None
    return json.dumps(f"{{{', '.join(value)}}}", ensure_ascii=False)


_BOOLEANS = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
_NUMBER = re.compile(r"\$?([0-9]{1,9})(\.[0-9]{1,6}|,[0-9]{1,2})?")  # 1,000 may be either
_TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "empty",
}


def _types(rule: str | list[str]) -> str:
    names = [rule] if isinstance(rule, str) else rule
    return " or ".join(_TYPE_WORDS[name] for name in names)


def shown(value: JSON) -> str:
    """Return a value as it is written, cut where it is long; a collection by its kind."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
