"""The provider's own page of a model: made into a card, and held against one. Pure.

A page lists parameters (name, type, whether it is required, default, options) and one price. Nobody has
published what its keys may be, so what is not understood is told and left out, never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from batchrunner.cards import Card, parse_card
from batchrunner.errors import UsageError
from batchrunner.values import JSON

# Of times a page says nothing: what the cards that ship have.
LIMITS: Mapping[str, float] = {
    "submit_timeout_s": 180,
    "queued_s": 1800,
    "wait_s": 21600,
    "poll_first_s": 1.0,
    "poll_growth": 1.05,
    "poll_cap_s": 20.0,
}
TYPES = {
    "string": "string",
    "boolean": "boolean",
    "integer": "integer",
    "float": "number",
    "number": "number",
}
PROMPTS = ("prompt", "text")
SECONDS = ("duration", "durationSeconds", "seconds")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A card drawn from a page, as JSON text, and what the page leaves open, in sentences."""

    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of which a card and the provider say different things; None: it says nothing there."""

    field: str
    card: JSON
    provider: JSON

    def __str__(self) -> str:
        return f"{self.field}: the card has {_shown(self.card)}, the provider {_shown(self.provider)}"


def draw(page: Mapping[str, Any], model: str) -> Drawn:
    """Make a card of a model's page.

    Raises:
        UsageError: the page is not one of a model that turns a prompt, and perhaps files, into something.
    """
    notes: list[str] = []
    entries = _entries(page, model)
    images = [name for name, entry in entries.items() if entry.get("type") == "image"]
    videos = [
        name for name, entry in entries.items() if entry.get("type") == "video" and entry.get("required")
    ]
    prompt = next((name for name in PROMPTS if name in entries), None)
    if prompt is None:
        raise UsageError(f"{model} cannot be run from a manifest: its page has no field for a prompt")
    if not images and not videos:
        notes.append("the page has no field for a picture or a video: clips are made of words alone")
    seed = "seed" if entries.get("seed", {}).get("type") == "integer" else None
    told: dict[str, Any] = {
        "id": model,
        "about": str(page.get("brief_description") or f"{model}, as the provider's page has it."),
        "images": images,
        **({"videos": [{"field": name} for name in videos]} if videos else {}),
        "prompt": {"field": prompt, **_longest(entries[prompt])},
        **({"seed": seed} if seed else {}),
        "parameters": _parameters(entries, {*images, *videos, prompt, seed}, model, notes),
    }
    price = _price(page, told["parameters"]["properties"], notes)
    told |= {"price": price} if price else {}
    told["limits"] = dict(LIMITS)
    notes.append("times (how long a job may be queued, when to poll) are the usual ones: the page has none")
    notes.append(
        "rules across parameters (such as: no 10 s at 1080p) are not on the page: add them under `allOf`"
    )
    text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    parse_card(text)
    return Drawn(text, tuple(notes))


def differences(card: Card, provider: Card) -> list[Difference]:
    """Return where a card and the one drawn from the provider's page disagree, field by field.

    What the page cannot say (the longest prompt, rules across parameters, times, a price by settings) is
    compared only as far as it does say it.
    """
    found = [
        Difference("images", _fields(card), _fields(provider)),
        Difference("videos", list(card.videos), list(provider.videos)),
        Difference("prompt", card.prompt_field, provider.prompt_field),
        Difference("seed", card.seed_field, provider.seed_field),
    ]
    if provider.prompt_max is not None:
        found.append(Difference("prompt.max_length", card.prompt_max, provider.prompt_max))
    ours, theirs = card.parameters["properties"], provider.parameters["properties"]
    for name in dict.fromkeys((*ours, *theirs)):
        if name not in ours or name not in theirs:
            found.append(Difference(name, _there(name in ours), _there(name in theirs)))
        else:
            found += _of_parameter(name, card, provider)
    found += _of_price(card, provider)
    return [one for one in found if one.card != one.provider]


# --- drawing a card -----------------------------------------------------------------------------------


def _entries(page: Mapping[str, Any], model: str) -> dict[str, Mapping[str, Any]]:
    told = page.get("parameters")
    entries = [one for one in told if isinstance(one, Mapping)] if isinstance(told, list) else []
    found = {name: one for one in entries if isinstance(name := one.get("name"), str) and name}
    if not found:
        raise UsageError(f"the provider's page of {model} lists no parameters")
    return found


def _parameters(
    entries: Mapping[str, Mapping[str, Any]], taken: set[str | None], model: str, notes: list[str]
) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required = []
    for name, entry in entries.items():
        if name in taken:
            continue
        rule = _rule(entry)
        if rule is None:
            if entry.get("required"):
                raise UsageError(
                    f'{model} cannot be run from a manifest: it needs "{name}", of type {entry.get("type")!r}'
                )
            notes.append(f'"{name}" is left out: its type {entry.get("type")!r} is not known')
            continue
        properties[name] = rule
        if entry.get("required"):
            required.append(name)
            if "default" not in rule:
                notes.append(f'"{name}" is required and has no default: every manifest must set it')
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


def _rule(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema of one parameter as people write it; None where its type is not known."""
    about = {"description": str(entry.get("description") or entry.get("display_name") or entry["name"])}
    default = entry.get("default_value")
    options = entry.get("options")
    if entry.get("type") == "enum" and isinstance(options, list) and options:
        texts = all(isinstance(one, str) and one.isdigit() for one in options)
        values = [int(one) for one in options] if texts else options
        rule: dict[str, Any] = {"enum": values}
        if default not in (None, ""):
            rule["default"] = int(default) if texts and str(default).isdigit() else default
        return rule | ({"x-wire": "string"} if texts else {}) | about
    kind = TYPES.get(str(entry.get("type")))
    if kind is None:
        return None
    rule = {"type": kind}
    rule |= {
        ours: entry[theirs] for theirs, ours in (("min", "minimum"), ("max", "maximum")) if theirs in entry
    }
    if default is not None and (default != "" or kind == "string"):
        rule["default"] = default
    return rule | about


def _longest(entry: Mapping[str, Any]) -> dict[str, int]:
    longest = entry.get("max_length", entry.get("max"))
    return {"max_length": longest} if isinstance(longest, int) and longest > 0 else {}


def _price(page: Mapping[str, Any], properties: Mapping[str, Any], notes: list[str]) -> dict[str, Any] | None:
    told = page.get("price_info")
    micros = told.get("price") if isinstance(told, Mapping) else None
    if not isinstance(told, Mapping) or not isinstance(micros, int) or isinstance(micros, bool) or micros < 0:
        notes.append("the page names no price: a budget needs `price:` in the manifest")
        return None
    usd, unit = float(Decimal(micros) / 1_000_000), str(told.get("unit", ""))
    seconds = next((name for name in SECONDS if name in properties), None)
    if unit in {"request", "video", "image", "job"} or seconds is None:
        return {"per": "job", "usd": usd, "note": f"the provider's page, per {unit or 'request'}"}
    if unit != "second":
        notes.append(f"the price's unit {unit!r} is not known: read as per second, the dearer reading")
    return {
        "per": "second",
        "seconds": seconds,
        "usd": usd,
        "note": f"the provider's page, per {unit or '?'}",
    }


def _fields(card: Card) -> list[str]:
    return [name for name in card.image_fields if name not in card.videos]


# --- comparing ----------------------------------------------------------------------------------------


def _of_parameter(name: str, card: Card, provider: Card) -> Iterator[Difference]:
    ours, theirs = card.parameters["properties"][name], provider.parameters["properties"][name]
    if "enum" in ours or "enum" in theirs:
        yield Difference(f"{name}.values", _values(ours), _values(theirs))
    else:
        yield Difference(f"{name}.type", ours.get("type"), theirs.get("type"))
        for key in ("minimum", "maximum"):
            if key in theirs:
                yield Difference(f"{name}.{key}", ours.get(key), theirs[key])
    yield Difference(f"{name}.wire", ours.get("x-wire"), theirs.get("x-wire"))
    required = [name in one.parameters.get("required", ()) for one in (card, provider)]
    yield Difference(f"{name}.required", *required)
    if "default" in theirs:
        yield Difference(f"{name}.default", ours.get("default"), theirs["default"])


def _of_price(card: Card, provider: Card) -> Iterator[Difference]:
    if provider.price is None:
        return
    ours = card.price or {}
    yield Difference("price.per", ours.get("per"), provider.price["per"])
    rows = [row["usd"] for row in ours.get("table", ())]
    dearest = max([one for one in (ours.get("usd"), *rows) if one is not None], default=None)
    yield Difference("price.usd (at most)", dearest, provider.price["usd"])


def _values(rule: Mapping[str, Any]) -> JSON:
    return sorted(rule["enum"], key=lambda one: (str(type(one)), one)) if "enum" in rule else rule.get("type")


def _there(is_there: bool) -> JSON:
    return "this parameter" if is_there else None


def _shown(value: JSON) -> str:
    if value is None:
        return "nothing"
    if value == "this parameter":
        return "it"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False)
