"""Model cards: what is sent, what is refused, what it costs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from batchrunner.cards import SEED_MAX, Card, load_card, parse_card
from batchrunner.errors import ManifestError, UsageError
from batchrunner.files import card_ids, card_text, schema_text
from batchrunner.manifest.expand import expand
from batchrunner.manifest.load import load_bytes
from batchrunner.values import Price

V56, V6, TRANSITION = "pixverse-v5.6-i2v", "pixverse-v6-i2v", "pixverse-v5.6-transition"
URLS = ("https://example.com/a.png", "https://example.com/b.png")

INVENTED = """
{
  "id": "clay-1",
  "about": "Clay figures, from three pictures.",
  "images": ["first", "middle", "last"],
  "prompt": {"field": "words"},
  "parameters": {
    "type": "object",
    "additionalProperties": false,
    "required": ["seconds"],
    "properties": {
      "seconds": {
        "type": "number", "minimum": 1, "default": 2.5, "x-wire": "string", "description": "Length."
      },
      "loop": {"type": "boolean", "x-wire": "string", "description": "The end leads to the start."},
      "style": {"enum": ["wet", "dry"], "description": "The clay."}
    },
    "allOf": [{"not": {"required": ["loop", "style"]}, "x-message": "loop and style do not go together"}]
  },
  "price": {"per": "second", "seconds": "seconds", "usd": 0.1},
  "limits": {
    "submit_timeout_s": 200, "queued_s": 60, "wait_s": 600,
    "poll_first_s": 2, "poll_growth": 2, "poll_cap_s": 30
  }
}
"""


def sent(card: Card, parameters: Mapping[str, Any], seed: int | None = 7) -> dict[str, Any]:
    """Return the payload of one job."""
    return card.payload(URLS[: len(card.image_fields)], "Push in", parameters, seed)


def settings_of(card: Card) -> list[dict[str, Any]]:
    """Return every combination of a card's settings, each also left out, that the card allows."""
    axes = []
    for name, rule in card.parameters["properties"].items():
        numbers = range(rule.get("minimum", 0), rule.get("maximum", -1) + 1)
        values = rule.get("enum") or (
            [True, False] if rule.get("type") == "boolean" else list(numbers) or ["x"]
        )
        axes.append([{}, *({name: value} for value in values)])
    merged = ({key: one[key] for one in row for key in one} for row in itertools.product(*axes))
    return [one for one in merged if not card.check(card.complete(one))]


def test_v56_sends_its_length_as_text() -> None:
    """The page says so, whatever a reader expects; and the required settings always go along."""
    assert {
        "image_url": URLS[0],
        "prompt": "Push in",
        "duration": "8",
        "aspect_ratio": "16:9",
        "quality": "540p",
        "seed": 7,
    } == sent(load_card(V56), {"duration": 8})


def test_v6_sends_its_length_as_a_number() -> None:
    """And calls the picture's field otherwise, and has no aspect ratio."""
    assert {
        "image": URLS[0],
        "prompt": "Push in",
        "duration": 8,
        "quality": "540p",
        "seed": 7,
    } == sent(load_card(V6), {"duration": 8})


def test_transition_sends_two_pictures_in_order_and_no_aspect_ratio() -> None:
    """First the first."""
    assert {
        "first_frame_image": URLS[0],
        "last_frame_image": URLS[1],
        "prompt": "Push in",
        "duration": "5",
        "quality": "540p",
        "seed": 7,
    } == sent(load_card(TRANSITION), {})


def test_pictures_must_be_as_many_as_the_fields() -> None:
    """The manifest's check says it in words; here nothing is dropped in silence."""
    with pytest.raises(ValueError, match="shorter"):
        load_card(TRANSITION).payload(URLS[:1], "Push in", {}, 7)


@pytest.mark.parametrize("model", card_ids())
def test_the_required_settings_are_sent_without_being_told(model: str) -> None:
    """Each has a default: a manifest may leave all of them out."""
    card = load_card(model)

    assert set(card.parameters["required"]) == set(card.defaults)
    assert set(card.parameters["required"]) <= set(sent(card, {}))
    assert [] == card.check(card.complete({}))


@pytest.mark.parametrize("model", card_ids())
def test_what_is_optional_is_sent_only_when_told(model: str) -> None:
    """The model's own default stays the model's business."""
    card = load_card(model)
    seed = {card.seed_field} - {None}
    fields = {*card.image_fields, card.prompt_field, *seed, *card.parameters["required"]}

    assert fields == set(sent(card, {}))


@pytest.mark.parametrize(
    ("model", "parameters", "payload"),
    [
        (
            "pixverse-v5.5-i2v",
            {"duration": 10},
            {"image_url": URLS[0], "duration": "10", "aspect_ratio": "16:9", "quality": "540p", "seed": 7},
        ),
        (
            "pixverse-v5.5-transition",
            {},
            {
                "first_frame_image": URLS[0],
                "last_frame_image": URLS[1],
                "duration": "5",
                "quality": "540p",
                "seed": 7,
            },
        ),
        (
            "pixverse-v6-transition",
            {"duration": 15},
            {"first_frame_img": URLS[0], "last_frame_img": URLS[1], "duration": 15, "quality": "540p"},
        ),
        (
            "wan2.6-i2v",
            {"resolution": "1080P", "audio": True},
            {"img_url": URLS[0], "duration": 5, "resolution": "1080P", "audio": True, "seed": 7},
        ),
        ("wan2.7-i2v", {}, {"img_url": URLS[0], "duration": 5, "resolution": "720P", "seed": 7}),
        (
            "pixverse-v5.6-t2v",
            {"duration": 8},
            {"duration": "8", "aspect_ratio": "16:9", "quality": "540p", "seed": 7},
        ),
        (
            "pixverse-v6-extend",
            {"duration": 1, "generate_audio_switch": True},
            {"video": URLS[0], "duration": 1, "quality": "540p", "generate_audio_switch": True, "seed": 7},
        ),
        (
            "wan2.6-t2v",
            {"size": "720*1280", "audio": False},
            {"duration": 5, "size": "720*1280", "audio": False, "seed": 7},
        ),
        (
            "wan2.7-t2v",
            {"duration": 2},
            {"duration": 2, "resolution": "1080P", "ratio": "16:9", "seed": 7},
        ),
        (
            "Veo3",
            {"aspectRatio": "16:9"},
            {"image": URLS[0], "durationSeconds": "8", "aspectRatio": "16:9", "seed": 7},
        ),
    ],
)
def test_each_model_has_its_own_names_and_types(
    model: str, parameters: dict[str, Any], payload: dict[str, Any]
) -> None:
    """As the vendor's tables have them."""
    assert {"prompt": "Push in", **payload} == sent(load_card(model), parameters)


def test_a_card_says_in_words_what_fills_its_fields() -> None:
    """Pictures come before videos, in the payload as in a manifest."""
    told = {**json.loads(INVENTED), "images": ["pose"], "videos": [{"field": "dance", "max_side": 720}]}
    card = parse_card(json.dumps(told))

    assert ("pose", "dance") == card.image_fields
    assert "1 picture (pose) and 1 video (dance)" == card.takes_files
    assert {"pose": URLS[0], "dance": URLS[1]}.items() <= sent(card, {}).items()
    assert "no picture" == load_card("wan2.6-t2v").takes_files


@pytest.mark.parametrize("model", card_ids())
def test_nothing_outside_the_table_is_ever_sent(model: str) -> None:
    """Not even where something got past every check."""
    card = load_card(model)

    assert sent(card, {}) == sent(card, {"fps": 24, "image": "x", "prompt": "y", "seed": 1, "model": "z"})


@pytest.mark.parametrize("model", card_ids())
def test_no_seed_is_no_field(model: str) -> None:
    """Not `null`."""
    assert "seed" not in sent(load_card(model), {}, seed=None)


@pytest.mark.parametrize("model", card_ids())
def test_the_wires_schema_takes_every_payload_that_can_be_made(model: str) -> None:
    """All settings that the card allows, also left out."""
    card = load_card(model)
    wire = Draft202012Validator(card.wire_schema())
    made = [sent(card, one, seed) for one in settings_of(card) for seed in (0, SEED_MAX)]

    assert len(made) >= 16
    assert [] == [one for one in made if not wire.is_valid(one)]


@pytest.mark.parametrize(
    "change",
    [
        {"duration": 5},
        {"quality": "4k"},
        {"image_url": ""},
        {"seed": SEED_MAX + 1},
        {"seed": -1},
        {"prompt": 2_049 * "x"},
        {"generate_audio_switch": "yes"},
    ],
)
def test_the_wires_schema_refuses_what_the_provider_would(change: dict[str, Any]) -> None:
    """The emulator judges by it."""
    card = load_card(V56)

    assert not Draft202012Validator(card.wire_schema()).is_valid({**sent(card, {}), **change})


@pytest.mark.parametrize("field", ["image_url", "prompt", "duration", "aspect_ratio", "quality"])
def test_the_wires_schema_misses_what_is_left_out(field: str) -> None:
    """A payload without a required field."""
    card = load_card(V56)
    payload = sent(card, {})
    del payload[field]

    assert not Draft202012Validator(card.wire_schema()).is_valid(payload)


@pytest.mark.parametrize(
    ("model", "parameters", "micros"),
    [
        (V56, {}, 150_000),
        (V56, {"duration": 10, "quality": "720p"}, 300_000),
        (TRANSITION, {"duration": 8}, 240_000),
        (V6, {}, 175_000),
        (V6, {"duration": 1, "quality": "360p"}, 25_000),
        (V6, {"duration": 1, "quality": "360p", "generate_audio_switch": True}, 35_000),
        (V6, {"duration": 1, "quality": "540p", "generate_audio_switch": True}, 45_000),
        (V6, {"duration": 1, "quality": "720p", "generate_audio_switch": False}, 45_000),
        (V6, {"duration": 1, "quality": "720p", "generate_audio_switch": True}, 60_000),
        (V6, {"duration": 15, "quality": "1080p"}, 1_350_000),
        (V6, {"duration": 15, "quality": "1080p", "generate_audio_switch": True}, 1_725_000),
    ],
)
def test_what_a_job_costs_at_most(model: str, parameters: dict[str, Any], micros: int) -> None:
    """By the second, and for v6 by quality and sound; exact in micro-dollars."""
    assert micros == load_card(model).cost_micros(parameters)


@pytest.mark.parametrize("model", [name for name in card_ids() if load_card(name).price])
def test_every_setting_has_a_price(model: str) -> None:
    """A hole in a table would be a job without a reserve."""
    card = load_card(model)

    assert [] == [one for one in settings_of(card) if not card.cost_micros(one)]


@pytest.mark.parametrize(
    ("price", "parameters", "micros"),
    [
        ({"per": "job", "usd": 0.0000011}, {}, 2),
        ({"per": "job", "table": [{"when": {"loop": False}, "usd": 0.5}], "usd": 0.9}, {}, 500_000),
        (
            {"per": "job", "table": [{"when": {"loop": False}, "usd": 0.5}], "usd": 0.9},
            {"loop": True},
            900_000,
        ),
        ({"per": "job", "table": [{"when": {"loop": True}, "usd": 0.5}]}, {}, None),
    ],
)
def test_prices_round_up_and_what_is_not_told_counts_as_off(
    price: dict[str, Any], parameters: dict[str, Any], micros: int | None
) -> None:
    """A reserve is never too small; and where no row fits, nothing is known."""
    card = parse_card(json.dumps({**json.loads(INVENTED), "price": price}))

    assert micros == card.cost_micros(parameters)


def test_the_manifests_price_overrules_the_cards() -> None:
    """A second or a job, and it is said where it comes from."""
    card = load_card(V6)

    assert 160_000 == card.cost_micros({"duration": 8, "quality": "1080p"}, Price("second", 20_000))
    assert 70_000 == card.cost_micros({"duration": 8}, Price("job", 70_000))
    assert "$0.07 a job, from the manifest; the model's card: priced by its settings" == card.price_text(
        Price("job", 70_000)
    )


def test_what_prices_rest_on_is_said() -> None:
    """With the doubts that the card has."""
    assert load_card(V56).price_text() == (
        "$0.03 a second, from the model's card; listed as $0.03; read per second, the dearer of two readings"
    )
    assert load_card(V6).price_text().startswith("priced by its settings, from the model's card; ")


def test_without_a_price_there_is_no_cost() -> None:
    """Not nought: unknown."""
    told = json.loads(card_text(V56))
    del told["price"]
    card = parse_card(json.dumps(told))

    assert card.cost_micros({}) is None
    assert "no price is known for this model: add `price:` to the manifest" == card.price_text()


def test_ten_seconds_at_1080p_is_one_refusal_that_names_both() -> None:
    """Each alone is fine."""
    card = load_card(V56)

    assert [] == card.check(card.complete({"duration": 10, "quality": "720p"}))
    assert [] == card.check(card.complete({"duration": 8, "quality": "1080p"}))
    assert [
        (("duration", "quality"), "10 s is not available at 1080p: take 5 or 8 s, or 720p")
    ] == card.check(card.complete({"duration": 10, "quality": "1080p"}))


@pytest.mark.parametrize(
    ("parameters", "names", "message"),
    [
        ({"durations": 5}, ("durations",), 'has no parameter "durations": did you mean "duration"?'),
        ({"duration": 0}, ("duration",), "must be at least 1, not 0"),
        ({"duration": 16}, ("duration",), "must be at most 15, not 16"),
        ({"duration": 5.5}, ("duration",), "must be a whole number, not 5.5"),
        ({"quality": "1080"}, ("quality",), '"1080p", not "1080"; did you mean "1080p"?'),
    ],
)
def test_a_wrong_setting_is_told_with_what_would_be_right(
    parameters: dict[str, Any], names: tuple[str, ...], message: str
) -> None:
    """The name that decides, and words."""
    card = load_card(V6)
    ((found, words),) = card.check(card.complete(parameters))

    assert names == found
    assert words.endswith(message)


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("pixverse-v56-i2v", "did you mean pixverse-v5.6-i2v"),
        ("pixverse-v5.6-transitions", "did you mean pixverse-v5.6-transition"),
        ("Pixverse-V5.6-I2V", "did you mean pixverse-v5.6-i2v or"),
        ("veo3", "did you mean Veo3?"),
        ("sora", f"there are {', '.join(card_ids())}"),
    ],
)
def test_an_unknown_model_is_told_with_the_nearest(model: str, hint: str) -> None:
    """Or with all there are."""
    with pytest.raises(UsageError) as caught:
        load_card(model)

    assert str(caught.value).startswith(f'unknown model "{model}": {hint}')


@pytest.mark.parametrize("model", card_ids())
def test_every_card_is_one_by_the_schema(model: str) -> None:
    """And lies under its own name."""
    schema = json.loads(schema_text("card.schema.json"))
    Draft202012Validator.check_schema(schema)
    told = json.loads(card_text(model))

    assert [] == list(Draft202012Validator(schema).iter_errors(told))
    assert model == load_card(model).id


def test_a_new_model_is_just_a_card(tmp_path: Path) -> None:
    """Three pictures, a length in fractions sent as text, no seed, no limit of its prompt."""
    text = f"""\
version: 1
campaign: clay
model: {V56}
seed: 7
takes: 2
images: [{{id: hand, url: "{URLS[0]}"}}]
prompts: [{{id: pan, text: Pan}}]
"""
    manifest, _card = load_bytes(text.encode(), tmp_path / "clay.yaml")
    picture = manifest.images[0].pictures[0]
    card = parse_card(INVENTED)
    image = manifest.images[0]._replace(pictures=(picture, picture, picture))
    clay = replace(manifest, model=card.id, parameters={"loop": True}, images=(image,))
    first, second = expand(clay, card)

    assert {
        "first": URLS[0],
        "middle": URLS[0],
        "last": URLS[0],
        "words": "Pan",
        "seconds": "2.5",
        "loop": "true",
    } == first.payload
    assert first.id != second.id
    assert (250_000, None) == (first.cost_micros, first.seed)
    assert Draft202012Validator(card.wire_schema()).is_valid(first.payload)


def test_a_rule_of_any_form_names_its_parameters() -> None:
    """The manifest's line is found by them."""
    card = parse_card(INVENTED)

    assert [(("loop", "style"), "loop and style do not go together")] == card.check(
        card.complete({"loop": True, "style": "wet"})
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"limits": {}},
            'a model card is wrong at limits: the key "submit_timeout_s" is missing: add it, such as '
            '"submit_timeout_s": 180',
        ),
        ({"videos": []}, "a model card is wrong at videos: must have at least 1 entry"),
        (
            {"videos": [{"field": "last"}]},
            'a model card is wrong at videos.0.field: it has the payload field "last" twice',
        ),
        ({"seed": "words"}, 'a model card is wrong at seed: it has the payload field "words" twice'),
    ],
)
def test_a_wrong_card_is_refused(change: dict[str, Any], message: str) -> None:
    """With the place."""
    with pytest.raises(UsageError) as caught:
        parse_card(json.dumps({**json.loads(INVENTED), **change}))

    assert message == str(caught.value)


def test_a_card_that_is_no_json_is_refused() -> None:
    """With the parser's words."""
    with pytest.raises(UsageError, match="a model card is not JSON: Expecting"):
        parse_card("{")


def test_no_card_waits_less_than_the_service_takes() -> None:
    """A submission may be answered only after minutes; giving up sooner makes doubts of good answers."""
    assert [] == [model for model in card_ids() if load_card(model).limits.submit_timeout_s < 180]


def test_a_manifest_for_another_model_is_checked_by_its_card(tmp_path: Path) -> None:
    """What one model takes, another does not know."""
    text = f"""\
version: 1
campaign: night
model: {V6}
seed: 7
parameters: {{aspect_ratio: "16:9"}}
images: [{{id: fox, url: "{URLS[0]}"}}]
prompts: [Pan]
"""
    with pytest.raises(ManifestError, match=f'{V6} has no parameter "aspect_ratio"'):
        load_bytes(text.encode(), tmp_path / "night.yaml")
