"""Shots, exclude, include: what is made, with which settings, under which ids and names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batchrunner.manifest.expand import count, expand
from batchrunner.manifest.load import load_bytes
from batchrunner.manifest.seeds import derive_seed
from batchrunner.values import Job
from tests.manifest.build import read

URL = "https://example.com"
ROWS: list[dict[str, Any]] = [
    {"image": "fox", "prompt": "The fox looks up"},
    {"image": "fox", "prompt": "The fox looks down", "duration": 8},
    {"image": f"{URL}/owl.png", "prompt": "push-in", "vars": {"subject": "the owl"}, "takes": 2},
]


def jobs(**changed: Any) -> list[Job]:
    """Return the jobs of the small manifest with some keys changed; their count is known before."""
    manifest, card = read(**changed)
    found = list(expand(manifest, card))
    assert len(found) == count(manifest, card)
    assert len({job.id for job in found}) == len({job.name.casefold() for job in found}) == len(found)
    return found


def alone(rows: list[dict[str, Any]], **changed: Any) -> list[Job]:
    """Return the jobs of shots, beside images and prompts that are only named."""
    return jobs(shots=rows, product=False, **changed)


def test_a_shot_is_one_image_with_its_own_words() -> None:
    """Alone, with what it names."""
    found = [(job.image, job.payload["prompt"], job.payload["duration"], job.take) for job in alone(ROWS)]

    assert [
        ("fox", "The fox looks up", "5", 1),
        ("fox", "The fox looks down", "8", 1),
        ("owl", "Slow push-in on the owl", "5", 1),
        ("owl", "Slow push-in on the owl", "5", 2),
    ] == found


def test_shots_stand_beside_the_product() -> None:
    """After it, in the order written."""
    product = jobs()

    assert product + alone(ROWS) == jobs(shots=ROWS)


def test_shots_need_no_images_or_prompts() -> None:
    """The whole manifest may be a shot list."""
    text = "version: 1\ncampaign: night\nmodel: pixverse-v5.6-i2v\nseed: 7\n"
    text += f'shots:\n  - {{image: "{URL}/fox.png", prompt: The fox looks up}}\n'
    (job,) = expand(*load_bytes(text.encode(), Path("night.yaml")))

    assert (f"{URL}/fox.png", "The fox looks up") == (job.payload["image_url"], job.payload["prompt"])


def test_a_shot_s_ids_and_seeds_never_drift() -> None:
    """Literal values: yesterday's state table must fit today's list."""
    found = [(job.id, job.seed, job.name) for job in alone(ROWS)]

    assert [
        ("fox.the-fox-looks-up-3c6757.t1-a2e38763", 962249839, "fox/the-fox-looks-up-3c6757-t1"),
        (
            "fox.the-fox-looks-down-5bd7c5.t1-e68a25e6",
            595908199,
            "fox/the-fox-looks-down-5bd7c5-t1-duration_8",
        ),
        ("owl.push-in.t1-68a23161", 649532473, "owl/push-in-t1"),
        ("owl.push-in.t2-a1b0db35", 2009474808, "owl/push-in-t2"),
    ] == found


def test_the_id_of_a_shot_stands_for_its_prompt() -> None:
    """In ids, seeds and names: a corrected typo then keeps the seed."""
    (first,) = alone([{"id": "s010", "image": "fox", "prompt": "The fox loks up"}])
    (second,) = alone([{"id": "s010", "image": "fox", "prompt": "The fox looks up"}])
    (named,) = alone([{"id": "s020", "image": "fox", "prompt": "push-in"}])

    assert ("s010", "fox/s010-t1") == (first.prompt, first.name)
    assert first.seed == second.seed
    assert first.id != second.id
    assert ("s020", "Slow push-in on the fox") == (named.prompt, named.payload["prompt"])


@pytest.mark.parametrize("word", ["push-in", "Push-In"])
def test_one_word_is_an_id_and_many_are_words(word: str) -> None:
    """And `text` is always words."""
    (named,) = alone([{"image": "fox", "prompt": word}])
    (words,) = alone([{"image": "fox", "text": word}])

    assert ("Slow push-in on the fox", word) == (named.payload["prompt"], words.payload["prompt"])


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ({}, "540p"),
        ({"all": "720p"}, "720p"),
        ({"all": "720p", "image": "360p"}, "360p"),
        ({"all": "720p", "image": "360p", "prompt": "1080p"}, "1080p"),
        ({"all": "720p", "image": "360p", "prompt": "1080p", "matrix": "540p"}, "540p"),
        ({"all": "720p", "image": "360p", "prompt": "1080p", "matrix": "540p", "shot": "720p"}, "720p"),
        ({"image": "360p", "shot": "1080p"}, "1080p"),
        ({"shot": "1080p"}, "1080p"),
    ],
)
@pytest.mark.parametrize("kind", ["shots", "include"])
def test_there_is_one_precedence(kind: str, layers: dict[str, str], expected: str) -> None:
    """Card, parameters, image, prompt, matrix, shot or include."""
    own = {name: {"quality": value} for name, value in layers.items()}
    row = {"image": "fox", "prompt": "push", "parameters": own.get("shot", {})}
    changed: dict[str, Any] = {
        "parameters": own.get("all", {}),
        "images": [{"id": "fox", "url": f"{URL}/fox.png", "parameters": own.get("image", {})}],
        "prompts": [{"id": "push", "text": "Push in", "parameters": own.get("prompt", {})}],
        "product": False,
        kind: [row],
    }
    if "matrix" in layers and kind == "include":
        return  # one combination: the matrix has no part in it
    if "matrix" in layers:
        changed["matrix"] = {"quality": [layers["matrix"]]}
    if kind == "include":
        changed["shots"] = [{"image": "fox", "text": "Something else"}]

    assert expected == jobs(**changed)[-1].payload["quality"]


def test_a_shot_is_made_at_every_combination_of_what_it_leaves_open() -> None:
    """What it sets itself is set."""
    matrix = {"quality": ["360p", "540p"], "duration": [5, 8]}
    found = alone([ROWS[0], {**ROWS[1], "duration": 10}], matrix=matrix)
    settings = [(job.payload["quality"], job.payload["duration"]) for job in found]

    assert [("360p", "5"), ("360p", "8"), ("540p", "5"), ("540p", "8")] == settings[:4]
    assert [("360p", "10"), ("540p", "10")] == settings[4:]


def test_shots_of_one_image_and_prompt_have_names_of_their_own() -> None:
    """By what they set; and one take has one seed at every setting."""
    rows = [
        {"image": "fox", "prompt": "push-in", **own}
        for own in (
            {"duration": 8},
            {"duration": 8, "quality": "720p"},
            {"negative_prompt": "a b"},
            {"negative_prompt": "a-b"},
            {"aspect_ratio": "1:1"},
        )
    ]
    found = jobs(shots=rows)

    assert "fox/push-in-t1-duration_8" == found[1].name
    assert "fox/push-in-t1-duration_8-quality_720p" == found[2].name
    assert "fox/push-in-t1-aspect_ratio_1x1" == found[5].name
    assert 1 == len({job.seed for job in found})


@pytest.mark.parametrize(
    ("takes", "expected"),
    [(3, [1, 2, 3]), ([42, 7], [42, 7]), (None, [1, 2])],
    ids=["count", "seeds", "usual"],
)
def test_a_shot_may_have_its_own_takes(takes: object, expected: list[int]) -> None:
    """A count, or fixed seeds."""
    row = {**ROWS[0], "takes": takes} if takes else ROWS[0]

    assert expected == [job.take for job in alone([row], takes=2)]


def test_a_table_of_shots_is_the_same_as_its_rows_written_out(tmp_path: Path) -> None:
    """Columns image, prompt, takes; parameters by their names; any other column a {var}."""
    head = "version: 1\ncampaign: night\nmodel: pixverse-v5.6-i2v\nseed: 7\nparameters: {duration: 5}\n"
    inline = f"""\
images: [{{id: fox-1, url: "{URL}/fox.png"}}]
shots:
  - {{id: s1, image: fox-1, prompt: "In {{weather}}", vars: {{weather: rain}}, duration: 8, takes: 2}}
  - {{image: "{URL}/owl.png", text: Dancing}}
"""
    table = f"""\
images: [{{id: fox-1, url: "{URL}/fox.png"}}]
shots: {{csv: shots.csv}}
"""
    rows = "ID;Image;Prompt;text;takes;Duration;weather\nS1;Fox 1;In {weather};;2;8;rain\n"
    rows += f";{URL}/owl.png;;Dancing;;;\n"
    (tmp_path / "shots.csv").write_text(rows)
    first, second = (
        list(expand(*load_bytes((head + text).encode(), tmp_path / "night.yaml"))) for text in (inline, table)
    )

    assert 3 == len(first)
    assert first == second


# --- exclude and include ------------------------------------------------------------------------------

GRID: dict[str, Any] = {
    "images": [{"id": name, "url": f"{URL}/{name}.png"} for name in ("fox", "owl")],
    "prompts": [{"id": name, "text": name} for name in ("push", "drift")],
    "matrix": {"quality": ["540p", "1080p"]},
    "takes": 3,
}


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ({"image": "fox"}, 12),
        ({"prompt": "push"}, 12),
        ({"take": 2}, 16),
        ({"quality": "1080p"}, 12),
        ({"image": "fox", "quality": "1080p"}, 18),
        ({"image": "fox", "prompt": "push", "quality": "1080p", "take": 3}, 23),
        ({"parameters": {"quality": "1080p"}, "take": 3}, 20),
        ({"duration": 5, "image": "owl"}, 12),
    ],
)
def test_an_exclude_takes_out_all_that_it_matches(exclude: dict[str, Any], left: int) -> None:
    """All of its keys together; what it does not name may be anything. Defaults count as values."""
    found = jobs(**GRID, exclude=[exclude])
    flat = {**exclude.get("parameters", {}), **{k: v for k, v in exclude.items() if k != "parameters"}}

    assert left == len(found)
    for job in found:
        has = {"image": job.image, "prompt": job.prompt, "take": job.take, **job.payload, "duration": 5}
        assert not all(has[key] == value for key, value in flat.items())


def test_excludes_add_up_and_leave_shots_out_too() -> None:
    """Each take is left out for its own reason."""
    exclude = [{"image": "fox", "take": 1}, {"image": "fox", "take": 3, "quality": "540p"}, {"prompt": "s1"}]
    shots = [{"id": name, "image": "owl", "prompt": "The owl"} for name in ("s1", "s2")]
    found = jobs(**GRID, exclude=exclude, shots=shots)
    fox = [(job.payload["quality"], job.take) for job in found if (job.image, job.prompt) == ("fox", "push")]

    assert [("540p", 2), ("1080p", 2), ("1080p", 3)] == fox
    assert "s1" not in {job.prompt for job in found}
    assert 6 == len([job for job in found if job.prompt == "s2"])


def test_exclude_takes_out_what_the_card_forbids() -> None:
    """As users know it from CI: every combination of the matrix but the one that there is not."""
    matrix = {"quality": ["540p", "1080p"], "duration": [5, 10]}
    found = jobs(**{**GRID, "matrix": matrix}, exclude=[{"quality": "1080p", "duration": 10}])

    assert {("540p", "5"), ("540p", "10"), ("1080p", "5")} == {
        (job.payload["quality"], job.payload["duration"]) for job in found
    }


def test_exclude_moves_nothing() -> None:
    """What is left is what was there."""
    assert set(map(str, jobs(**GRID, exclude=[{"quality": "1080p"}, {"take": 1}]))) < set(
        map(str, jobs(**GRID))
    )


def test_an_include_adds_one_combination() -> None:
    """Whatever is excluded; the matrix has no part in it."""
    include = [
        {"image": "fox", "prompt": "push", "parameters": {"quality": "1080p", "duration": 8}, "take": 1}
    ]
    found = jobs(**GRID, exclude=[{"image": "fox"}], include=include)
    added = found[-1]

    assert 13 == len(found)
    assert ("fox", "push", 1) == (added.image, added.prompt, added.take)
    assert ("1080p", "8") == (added.payload["quality"], added.payload["duration"])
    assert derive_seed(20261123, "fox", "push", 1) == added.seed


def test_an_include_may_bring_back_what_was_excluded_or_one_take_more() -> None:
    """As a job like any other."""
    whole = jobs(**GRID)
    back = {"image": "fox", "prompt": "push", "quality": "1080p", "take": 2}
    found = jobs(**GRID, exclude=[{"image": "fox", "quality": "1080p"}], include=[back, {**back, "take": 7}])

    assert (
        next(job for job in whole if job.payload["quality"] == "1080p" and job.take == 2).id == found[-2].id
    )
    assert 7 == found[-1].take


def test_an_include_without_a_take_has_them_all() -> None:
    """As a shot has; with fixed seeds, a take is a seed."""
    row = {"image": "fox", "prompt": "push", "duration": 8}

    assert [1, 2, 3] == [job.take for job in jobs(**GRID, include=[row])[-3:]]
    assert [99] == [job.seed for job in jobs(**GRID | {"takes": [7]}, include=[{**row, "take": 99}])[-1:]]


def test_an_included_job_does_not_move_the_others() -> None:
    """Neither ids nor names."""
    row = {"image": "fox", "prompt": "push", "duration": 8}

    assert jobs(**GRID) == jobs(**GRID, include=[row])[:24]
