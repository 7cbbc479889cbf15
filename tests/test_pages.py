"""The provider's page of a model: what card is drawn from it, and where a card disagrees with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchrunner.cards import load_card, parse_card
from batchrunner.emulator.catalogue import Catalogue, detail
from batchrunner.emulator.config import EmulatorConfig
from batchrunner.errors import UsageError
from batchrunner.files import card_ids
from batchrunner.pages import differences, draw
from batchrunner.values import JSON

V56 = "pixverse-v5.6-i2v"


def page(model: str = V56) -> dict[str, Any]:
    """Return the page that the stand-in serves, as it comes over the wire."""
    found = Catalogue().find(model)
    assert found is not None
    told: dict[str, Any] = json.loads(json.dumps(detail(found, EmulatorConfig())))
    return told


def changed(parameter: str, **changes: JSON) -> dict[str, Any]:
    """Return the page with one parameter changed."""
    told = page()
    entry = next(one for one in told["parameters"] if one["name"] == parameter)
    entry.update(changes)
    return told


def told(page: dict[str, Any]) -> list[str]:
    """Return what is said of the shipped card held against a page."""
    return [str(one) for one in differences(load_card(V56), parse_card(draw(page, V56).text))]


@pytest.mark.parametrize("model", card_ids())
def test_every_card_agrees_with_its_page(model: str) -> None:
    """Drawn from the page, the same fields, values, wire types, defaults and price."""
    drawn = draw(page(model), model)

    assert differences(load_card(model), parse_card(drawn.text)) == []


def test_a_drawn_card_sends_what_the_shipped_one_sends() -> None:
    """Names, order of pictures, types of the wire."""
    drawn, shipped = parse_card(draw(page(), V56).text), load_card(V56)
    asked = (["https://example.com/a.png"], "Push in", {"duration": 8}, 7)

    assert drawn.payload(*asked) == shipped.payload(*asked)
    assert drawn.cost_micros({"duration": 8}) == 240_000


@pytest.mark.parametrize(
    ("page", "line"),
    [
        (
            changed("duration", options=["5", "8"]),
            "duration.values: the card has 5, 8, 10, the provider 5, 8",
        ),
        (
            changed("duration", options=[5, 8, 10]),
            'duration.wire: the card has "string", the provider nothing',
        ),
        (changed("duration", default_value="8"), "duration.default: the card has 5, the provider 8"),
        (changed("quality", required=False), "quality.required: the card has true, the provider false"),
        (
            changed("thinking_type", type="boolean"),
            'thinking_type.values: the card has auto, disabled, enabled, the provider "boolean"',
        ),
        (changed("quality", name="resolution"), "quality: the card has it, the provider nothing"),
        (changed("quality", name="resolution"), "resolution: the card has nothing, the provider it"),
        (changed("image_url", name="image"), "images: the card has image_url, the provider image"),
        (changed("seed", name="noise"), 'seed: the card has "seed", the provider nothing'),
        (changed("prompt", max=900), "prompt.max_length: the card has 2048, the provider 900"),
        (
            page() | {"price_info": {"price": 152_000, "unit": "second"}},
            "price.usd (at most): the card has 0.03, the provider 0.152",
        ),
        (
            page() | {"price_info": {"price": 30_000, "unit": "request"}},
            'price.per: the card has "second", the provider "job"',
        ),
    ],
)
def test_a_disagreement_is_told_field_by_field(page: dict[str, Any], line: str) -> None:
    """With both sides."""
    assert line in told(page)


def test_what_the_page_does_not_say_is_no_disagreement() -> None:
    """No price, no default, no longest prompt."""
    silent = changed("duration", default_value=None)
    del silent["price_info"]

    assert told(silent) == []


@pytest.mark.parametrize(
    ("page", "note"),
    [
        ({**page(), "price_info": {}}, "names no price"),
        ({**page(), "price_info": {"price": 30_000, "unit": "token"}}, "read as per second, the dearer"),
        (changed("thinking_type", type="color"), "\"thinking_type\" is left out: its type 'color'"),
        (changed("quality", default_value=None), '"quality" is required and has no default'),
        (changed("thinking_type", type="video"), "\"thinking_type\" is left out: its type 'video'"),
        ({"parameters": [{"name": "prompt", "type": "string"}]}, "clips are made of words alone"),
    ],
)
def test_what_is_open_is_said(page: dict[str, Any], note: str) -> None:
    """A card that was drawn is a first draft, and says so."""
    assert any(note in one for one in draw(page, V56).notes)


def test_a_video_that_must_be_given_is_one_of_the_cards_fields() -> None:
    """One that may be given is not: it would have to be in every manifest."""
    card = parse_card(draw(changed("image_url", type="video", required=True), V56).text)

    assert (("image_url",), {"image_url": None}) == (card.image_fields, card.videos)
    assert told(changed("image_url", type="video", required=True)) == [
        "images: the card has image_url, the provider ",
        "videos: the card has , the provider image_url",
    ]


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ({}, "lists no parameters"),
        ({"parameters": "none"}, "lists no parameters"),
        ({"parameters": [{"name": "image", "type": "image"}]}, "no field for a prompt"),
        (changed("duration", type="videos"), "it needs \"duration\", of type 'videos'"),
    ],
)
def test_a_model_that_takes_something_else_is_refused(page: dict[str, Any], why: str) -> None:
    """In words; nothing is guessed."""
    with pytest.raises(UsageError, match=why):
        draw(page, V56)
