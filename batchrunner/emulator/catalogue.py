"""The models on offer: which payloads they take, in the real service's words, and what they cost.

The real service checks a payload against the model's parameter list, and that list knows no rule across
fields: what breaks such a rule passes the check and comes back from the vendor behind it, as a 500.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from batchrunner.cards import Card, load_card
from batchrunner.emulator.config import EmulatorConfig
from batchrunner.emulator.faults import answer_of
from batchrunner.emulator.wire import Answer, error
from batchrunner.errors import UsageError
from batchrunner.files import card_ids
from batchrunner.values import JSON, Payload, Price, canonical

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


@dataclass(frozen=True, slots=True)
class Model:
    """A card, and its payload's schema derived once: fields on the wire, and which must be there."""

    card: Card
    parameters: Mapping[str, Mapping[str, Any]]
    required: frozenset[str]
    breaks_rule: Callable[[str], bool]  # about settings as written, in canonical JSON; remembers answers

    def written(self, payload: Payload) -> dict[str, JSON]:
        """Return the settings in a payload as people write them: 5 where the wire says "5"."""
        rules = self.card.parameters["properties"]
        return {name: _written(rules[name], value) for name, value in payload.items() if name in rules}


class Catalogue:
    """All models that have a card."""

    def __init__(self) -> None:
        self._models: dict[str, Model | None] = {}

    def ids(self) -> list[str]:
        """Return the ids of all models."""
        return sorted(card_ids())

    def find(self, name: str) -> Model | None:
        """Return a model; case counts, as in the real service."""
        if name not in self._models:
            self._models[name] = _model(name)
        return self._models[name]


def refusal(model: Model, payload: Payload, *, refuse_unknown: bool) -> Answer | None:
    """Say what the parameter list has against a payload."""
    absent = [name for name in model.parameters if name in model.required and name not in payload]
    if absent:
        return _invalid(f"{name} (Required parameter is missing)" for name in absent)
    wrong = [text for name, value in payload.items() if (text := _wrong(model, name, value, refuse_unknown))]
    return _invalid(wrong) if wrong else None


def vendor_refusal(model: Model, payload: Payload) -> Answer | None:
    """Say what the vendor behind the queue has against a payload that passed the list."""
    return answer_of("500_backend") if model.breaks_rule(canonical(model.written(payload))) else None


def cost_micros(model: Model, config: EmulatorConfig, payload: Payload) -> int:
    """Return what a success with this payload is billed: by the knobs, else by the card, else nothing."""
    price = None
    if config.price_micros is not None:
        price = Price("second" if config.price_unit == "second" else "job", config.price_micros)
    return model.card.cost_micros(model.written(payload), price) or 0


def detail(model: Model, config: EmulatorConfig) -> dict[str, JSON]:
    """Return the model's page: parameters and price (integer micro-dollars)."""
    price = _listed_price(model, config)
    told: dict[str, JSON] = {}
    if price is not None:
        micros, unit = price
        told["price_info"] = {"price": micros, "pricing_type": "fixed", "unit": unit}
        told["pricing_details"] = f"${micros / 1_000_000:g} per {unit}"
    return {
        "model": model.card.id,
        "org_id": "",
        "brief_description": model.card.about,
        "detailed_description": "",
        "created_at": 0,
        "updated_at": 0,
        "model_type": "video",
        "modalities": {"input": ["text", *_kinds(model)], "output": ["video"]},
        "parameters": [_parameter(model, name) for name in model.parameters],
        "internal_parameters": {},
        **told,
        "host_type": "external",
        "external_provider": "emulator",
        "tags": [],
    }


def _model(name: str) -> Model | None:
    try:
        card = load_card(name)
    except UsageError:
        return None
    schema = card.wire_schema()
    # A campaign has few distinct settings, and checking one against a schema costs a tenth of a millisecond.
    remembered = lru_cache(maxsize=256)(lambda text: bool(card.check(json.loads(text))))
    return Model(card, schema["properties"], frozenset(schema["required"]), remembered)


def _invalid(texts: Iterable[str]) -> Answer:
    return error(400, f"invalid payload parameters: {', '.join(texts)}")


def _written(rule: Mapping[str, Any], value: JSON) -> JSON:
    return next((one for one in rule.get("enum", ()) if str(one) == value), value)


def _listed_price(model: Model, config: EmulatorConfig) -> tuple[int, str] | None:
    """Return micro-dollars and unit; of a price by settings, the dearest. None: no price is listed."""
    if config.price_micros is not None:
        return config.price_micros, config.price_unit
    price = model.card.price
    if price is None:
        return None
    dearest = max([price.get("usd", 0), *(row["usd"] for row in price.get("table", ()))])
    return round(dearest * 1_000_000), "second" if price["per"] == "second" else "request"


def _wrong(model: Model, name: str, value: JSON, refuse_unknown: bool) -> str | None:
    rule = model.parameters.get(name)
    if rule is None:
        return f"{name} (Unknown parameter)" if refuse_unknown else None
    if "type" in rule and not _is(value, rule["type"]):
        return f"{name} (Invalid parameter type, expected {rule['type']})"
    if value not in rule.get("enum", [value]) or not _within(value, rule):
        shown = value if isinstance(value, str) else json.dumps(value)
        return f"{name} value '{shown[:80]}' is invalid"
    return None


def _is(value: JSON, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _within(value: JSON, rule: Mapping[str, JSON]) -> bool:
    if isinstance(value, str):
        return bool(rule.get("minLength", 0) <= len(value) <= rule.get("maxLength", len(value)))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return bool(rule.get("minimum", value) <= value <= rule.get("maximum", value))
    return True


def _kinds(model: Model) -> list[str]:
    """Return what kinds of files a model takes."""
    return sorted({"video" if name in model.card.videos else "image" for name in model.card.image_fields})


def _parameter(model: Model, name: str) -> dict[str, JSON]:
    rule, written = model.parameters[name], model.card.parameters["properties"].get(name, {})
    card = model.card
    kind = "enum" if "enum" in rule else rule.get("type", "string")
    if name in card.image_fields:
        kind = "video" if name in card.videos else "image"
    default = written.get("default")
    entry: dict[str, JSON] = {
        "name": name,
        "display_name": name.replace("_", " ").capitalize(),
        "description": written.get("description", ""),
        "type": {"number": "float"}.get(kind, kind),
        "required": name in model.required,
        "default_value": str(default) if rule.get("type") == "string" and default is not None else default,
    }
    renamed = {"enum": "options", "minimum": "min", "maximum": "max"}
    return entry | {told: rule[key] for key, told in renamed.items() if key in rule}
