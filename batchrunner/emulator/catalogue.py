"""The models on offer: which payloads they take, in the real service's words, and what they cost.

The real service checks a payload against the model's parameter list, and that list knows no rule across
fields: what breaks such a rule passes the check and comes back from the vendor behind it, as a 500.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from batchrunner.cards import Card, load_card
from batchrunner.emulator.config import EmulatorConfig
from batchrunner.emulator.faults import answer_of
from batchrunner.emulator.wire import Answer, error
from batchrunner.errors import UsageError
from batchrunner.files import card_ids
from batchrunner.values import JSON, Payload

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
    """A card with what is derived from it once."""

    card: Card
    schema: Mapping[str, Any]
    validator: Validator  # building one costs milliseconds, asking a kept one a tenth of one

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        """The schema of each field on the wire."""
        parameters: Mapping[str, Mapping[str, Any]] = self.schema["properties"]
        return parameters


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
    required: list[str] = model.schema.get("required", [])
    missing = [f"{name} (Required parameter is missing)" for name in required if name not in payload]
    if missing:
        return error(400, f"invalid payload parameters: {', '.join(missing)}")
    wrong = [text for name, value in payload.items() if (text := _wrong(model, name, value, refuse_unknown))]
    return error(400, f"invalid payload parameters: {', '.join(wrong)}") if wrong else None


def vendor_refusal(model: Model, payload: Payload) -> Answer | None:
    """Say what the vendor behind the queue has against a payload that passed the list."""
    known = {name: value for name, value in payload.items() if name in model.parameters}
    return None if model.validator.is_valid(known) else answer_of("500_backend")


def seconds(payload: Payload) -> float:
    """Return the length of the clip that a payload asks for."""
    try:
        return float(payload.get("duration", 5))
    except (TypeError, ValueError):
        return 5.0


def cost_micros(config: EmulatorConfig, payload: Payload) -> int:
    """Return what a success with this payload is billed."""
    return round(config.price_micros * (seconds(payload) if config.price_unit == "second" else 1))


def detail(model: Model, config: EmulatorConfig) -> dict[str, JSON]:
    """Return the model's page: parameters and price (integer micro-dollars)."""
    required = model.schema.get("required", [])
    price = {"price": config.price_micros, "pricing_type": "fixed", "unit": config.price_unit}
    fields = model.parameters.items()
    return {
        "model": model.card.id,
        "org_id": "",
        "brief_description": f"{model.card.id} (emulated)",
        "detailed_description": "",
        "created_at": 0,
        "updated_at": 0,
        "model_type": "video",
        "modalities": {"input": ["text", "image"], "output": ["video"]},
        "parameters": [
            _parameter(name, rule, name in required, name in model.card.image_fields) for name, rule in fields
        ],
        "internal_parameters": {},
        "price_info": price,
        "pricing_details": f"${config.price_micros / 1_000_000:g} per {config.price_unit}",
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
    return Model(card, schema, Draft202012Validator(schema))


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


def _parameter(name: str, rule: Mapping[str, JSON], required: bool, image: bool) -> dict[str, JSON]:
    kind = "image" if image else "enum" if "enum" in rule else rule.get("type", "string")
    entry: dict[str, JSON] = {
        "name": name,
        "display_name": str(rule.get("title", name.replace("_", " ").capitalize())),
        "description": rule.get("description", ""),
        "type": {"number": "float"}.get(kind, kind),
        "required": required,
        "default_value": rule.get("default"),
    }
    renamed = {"enum": "options", "minimum": "min", "maximum": "max"}
    return entry | {told: rule[key] for key, told in renamed.items() if key in rule}
