"""Model cards: one JSON file a model says how its payload is made, checked, priced and waited for.

Field names and even the type of a duration differ from model to model; all of that is in the card, so a
new model is a new file and no new code.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from batchrunner.cardrules import faults
from batchrunner.errors import UsageError
from batchrunner.files import card_ids, card_text
from batchrunner.nearest import nearest, only_near, some_near
from batchrunner.sentences import value_message
from batchrunner.values import JSON, Payload, Price

SEED_MAX = 2**31 - 1  # the provider's page
CLEAR = 0.85  # how alike, of 1, a misspelt model is to the one that it plainly stands for,
APART = 0.001  # and by how much more than to any other one: ids differ in single letters


@dataclass(frozen=True, slots=True)
class CardLimits:
    """Times in seconds."""

    submit_timeout_s: float
    queued_s: float
    wait_s: float
    poll_first_s: float
    poll_growth: float
    poll_cap_s: float
    takes_s: Sequence[float] | None = None  # between which most requests end; None: nothing is known


@dataclass(frozen=True)
class Card:
    """One model. `parameters` is the JSON Schema of its parameters as people write them.

    `image_fields`: what one image of a manifest fills, in order: pictures, then videos; none: text to video.
    `videos`: those of them that take a video, and how many pixels its longer side may have.
    """

    id: str
    about: str
    sha256: str
    image_fields: tuple[str, ...]
    videos: Mapping[str, int | None]
    prompt_field: str
    prompt_max: int | None
    seed_field: str | None
    parameters: Mapping[str, Any]
    limits: CardLimits
    price: Mapping[str, Any] | None = field(default=None)
    other_price: Mapping[str, Any] | None = field(default=None)  # of the card that ships, beside an own one
    text: str = field(default="", repr=False)  # the card's file, as it is kept with a campaign

    @cached_property
    def takes_files(self) -> str:
        """What one image of a manifest holds, in words: `1 picture (image_url)`, `no picture`."""
        pictures = [name for name in self.image_fields if name not in self.videos]
        kinds = [_counted(pictures, "picture"), _counted(list(self.videos), "video")]
        return " and ".join(kind for kind in kinds if kind) or "no picture"

    @cached_property
    def _properties(self) -> Mapping[str, Mapping[str, Any]]:
        properties: Mapping[str, Mapping[str, Any]] = self.parameters["properties"]
        return properties

    @cached_property
    def defaults(self) -> dict[str, JSON]:
        """What is always sent: the required parameters with the page's defaults."""
        required = self.parameters.get("required", ())
        return {
            name: self._properties[name]["default"]
            for name in required
            if "default" in self._properties[name]
        }

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return Draft202012Validator(dict(self.parameters))

    def complete(self, parameters: Payload) -> dict[str, JSON]:
        """Return some parameters with the defaults of the required ones below them."""
        return {**self.defaults, **parameters}

    def check(self, parameters: Payload) -> list[tuple[tuple[str, ...], str]]:
        """Return what is wrong with complete parameters: the names that take part, and a sentence."""
        errors = self._validator.iter_errors(dict(parameters))
        return list(dict.fromkeys(problem for error in errors for problem in self._problems(error)))

    def payload(
        self, images: Sequence[str], prompt: str, parameters: Payload, seed: int | None
    ) -> dict[str, JSON]:
        """Return exactly what is sent: fields of the table only, required ones always, types of the wire."""
        body: dict[str, JSON] = dict(zip(self.image_fields, images, strict=True))
        body[self.prompt_field] = prompt
        body |= self.wire(parameters)
        if self.seed_field is not None and seed is not None:
            body[self.seed_field] = seed
        return body

    def wire(self, parameters: Payload) -> dict[str, JSON]:
        """Return the parameters as they are sent, in the order of the card."""
        complete = self.complete(parameters)
        return {
            name: _wire(rule, complete[name]) for name, rule in self._properties.items() if name in complete
        }

    def wire_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a complete payload as it is sent."""
        texts = {name: {"type": "string", "minLength": 1} for name in self.image_fields}
        prompt: dict[str, Any] = {"type": "string"}
        if self.prompt_max is not None:
            prompt["maxLength"] = self.prompt_max
        properties: dict[str, Any] = {**texts, self.prompt_field: prompt}
        properties |= {name: _on_the_wire(one) for name, one in self._properties.items()}
        if self.seed_field is not None:
            properties[self.seed_field] = {"type": "integer", "minimum": 0, "maximum": SEED_MAX}
        required = [*self.image_fields, self.prompt_field, *self.parameters.get("required", ())]
        return {"type": "object", "properties": properties, "required": required}

    def cost_micros(self, parameters: Payload, price: Price | None = None) -> int | None:
        """Return what a job costs at most, rounded up; `price` overrules the cards. None: not known.

        Where a pulled card and the one that ships disagree, the dearer one counts.
        """
        complete = self.complete(parameters)
        if price is not None:
            told = {"per": price.per, "usd": Decimal(price.micros) / 1_000_000, **_seconds(self.price)}
            return _cost_micros(told, complete)
        costs = [_cost_micros(one, complete) for one in (self.price, self.other_price) if one is not None]
        return max((cost for cost in costs if cost is not None), default=None)

    def price_text(self, price: Price | None = None) -> str:
        """Return in words what prices rest on."""
        if price is not None:
            own = f"${Decimal(price.micros) / 1_000_000} a {price.per}, from the manifest"
            listed = self.price or self.other_price
            return own if listed is None else f"{own}; the model's card: {_price_words(listed)}"
        if self.price is None and self.other_price is None:
            return "no price is known for this model: add `price:` to the manifest"
        if self.price is None:
            return f"{_price_words(self.other_price)}, from the card that ships: the manifest's own has none"
        note = f"; {self.price['note']}" if "note" in self.price else ""
        told = f"{_price_words(self.price)}, from the model's card{note}"
        if self.other_price is None or _bare(self.price) == _bare(self.other_price):
            return told
        return f"{told}; the card that ships says {_price_words(self.other_price)}: the dearer one counts"

    def _problems(self, error: ValidationError) -> list[tuple[tuple[str, ...], str]]:
        path: list[Any] = list(error.absolute_schema_path)
        instance: Any = error.instance
        if path[:1] == ["allOf"]:
            rule = self.parameters["allOf"][path[1]]
            keys = tuple(dict.fromkeys(name for name in _named_in(rule) if name in self._properties))
            return [(keys, rule["x-message"])]
        if error.validator == "additionalProperties":
            unknown = [name for name in instance if name not in self._properties]
            return [((name,), self._unknown(name)) for name in unknown]
        if error.validator == "required":
            missing = [name for name in self.parameters["required"] if name not in instance]
            return [((name,), f'the model needs the parameter "{name}"') for name in missing]
        names = tuple(str(part) for part in error.absolute_path)
        return [(names, value_message(error))]

    def _unknown(self, name: str) -> str:
        near = nearest(name, self._properties)
        hint = f'did you mean "{near}"?' if near else f"it has {', '.join(self._properties)}"
        return f'{self.id} has no parameter "{name}": {hint}'


def _cost_micros(price: Mapping[str, Any], complete: Mapping[str, JSON]) -> int | None:
    """Return what a job with some parameters costs by one card's price, rounded up; None: it does not say."""
    rows = (
        row["usd"]
        for row in price.get("table", ())
        if all(complete.get(name, False) == value for name, value in row["when"].items())
    )
    usd = next(rows, price.get("usd"))
    seconds = complete.get(price.get("seconds", "duration")) if price["per"] == "second" else 1
    if usd is None or not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return None
    return int((Decimal(str(usd)) * Decimal(str(seconds)) * 1_000_000).to_integral_value(ROUND_CEILING))


def _seconds(price: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return which parameter is a clip's length, where a price names it."""
    return {name: value for name, value in (price or {}).items() if name == "seconds"}


def _price_words(price: Mapping[str, Any] | None) -> str:
    told = price or {}
    return f"${told['usd']} a {told['per']}" if "usd" in told else "priced by its settings"


def _bare(price: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in price.items() if name != "note"}


def load_card(model: str) -> Card:
    """Return the card of a model.

    Raises:
        UsageError: there is none; the text names the nearest ids.
    """
    known = card_ids()
    if model not in known:
        plain = {name.casefold(): name for name in known}
        near = [plain[name] for name in some_near(model.casefold(), plain)]
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
        raise UsageError(f'unknown model "{model}": {hint}')
    return parse_card(card_text(model))


def near_card(model: str) -> Card | None:
    """Return the card of the model that a misspelt one plainly was meant to be; None: nobody can tell.

    Models of other numbers are other models, and so is one that is as near to a second card.
    """
    digits = re.findall("[0-9]", model)
    known = {name.casefold(): name for name in card_ids() if re.findall("[0-9]", name) == digits}
    near = only_near(model.casefold(), known, CLEAR, APART)
    return None if near is None else load_card(known[near])


def parse_card(text: str) -> Card:
    """Return the card that a file's text describes.

    Raises:
        UsageError: it is not a valid card.
    """
    try:
        told = json.loads(text)
    except ValueError as error:
        raise UsageError(f"a model card is not JSON: {error}") from error
    for fault in faults(told):
        where = ".".join(map(str, fault.path))
        raise UsageError(f"a model card is wrong{f' at {where}' if where else ''}: {fault.message}")
    videos = {one["field"]: one.get("max_side") for one in told.get("videos", ())}
    return Card(
        id=told["id"],
        about=told["about"],
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        image_fields=(*told["images"], *videos),
        videos=videos,
        prompt_field=told["prompt"]["field"],
        prompt_max=told["prompt"].get("max_length"),
        seed_field=told.get("seed"),
        parameters=told["parameters"],
        limits=CardLimits(**told["limits"]),
        price=told.get("price"),
        text=text,
    )


def _counted(fields: Sequence[str], word: str) -> str:
    return f"{len(fields)} {word}{'s' if len(fields) > 1 else ''} ({', '.join(fields)})" if fields else ""


def _named_in(rule: JSON) -> Iterator[str]:
    """Yield the names that a rule across parameters speaks of, as written."""
    if isinstance(rule, dict):
        yield from (*rule.get("required", ()), *rule.get("properties", ()))
    for part in rule.values() if isinstance(rule, dict) else rule if isinstance(rule, list) else ():
        yield from _named_in(part)


def _wire(rule: Mapping[str, Any], value: JSON) -> JSON:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 5.0 is 5 to JSON Schema, and "5.0" is not "5" to the provider
    return json.dumps(value) if rule.get("x-wire") == "string" and not isinstance(value, str) else value


def _on_the_wire(one: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in one.items() if key not in {"x-wire", "default", "description"}}
    if one.get("x-wire") == "string":
        values = [str(value) for value in one["enum"]] if "enum" in one else None
        return {"type": "string", "enum": values} if values else {"type": "string"}
    return plain
