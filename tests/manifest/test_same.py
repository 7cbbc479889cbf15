"""The same clip twice: told exactly where two jobs would send the same, without looking at every job."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.cards import load_card
from batchrunner.errors import ManifestError
from batchrunner.manifest.expand import expand
from batchrunner.manifest.ids import running_together
from batchrunner.manifest.same import may_be_alike
from batchrunner.manifest.seeds import derive_seed
from batchrunner.manifest.templates import fill, names
from batchrunner.values import Prompt
from tests.manifest.build import read
from tests.manifest.whole import unchecked

CARD = load_card("pixverse-v5.6-i2v")
URL = "https://example.com"
steady = settings(derandomize=True, max_examples=150, deadline=None)

words = st.sampled_from(["fox", "the fox", "a", ""]).map(lambda word: word or "x")
texts = st.sampled_from(
    ["push {a}", "push fox", "push the {b}", "{a}", "{b}{a}", "push the fox", "fox", "pan {a} in"]
)
own = st.dictionaries(
    st.sampled_from(["duration", "quality"]), st.sampled_from([5, 8, "540p", "720p"]), max_size=2
).filter(lambda one: one.get("duration", 5) in {5, 8} and one.get("quality", "540p") in {"540p", "720p"})


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a small manifest in which much is alike."""
    images = [
        {
            "id": f"i{n}",
            "url": f"{URL}/{draw(st.sampled_from('ab'))}.png",
            "vars": {"a": draw(words), "b": draw(words)},
        }
        for n in range(draw(st.integers(1, 3)))
    ]
    prompts = [
        {"id": f"p{n}", "text": draw(texts), "parameters": draw(own)} for n in range(draw(st.integers(1, 3)))
    ]
    ids = st.sampled_from([one["id"] for one in images]), st.sampled_from([one["id"] for one in prompts])
    rows = st.fixed_dictionaries({"image": ids[0], "prompt": ids[1], "parameters": own})
    return {
        "images": images,
        "prompts": prompts,
        "takes": draw(st.sampled_from([1, 2, [7], [7, 8]])),
        "matrix": draw(st.sampled_from([{"quality": ["540p"]}, {"duration": [5, 8]}])),
        "shots": draw(st.lists(rows, max_size=2)),
        "include": draw(st.lists(rows, max_size=2)),
        "exclude": draw(st.sampled_from([[], [], [{"image": "i0", "prompt": "p0"}]])),
    }


@steady
@given(told=manifests())
def test_jobs_that_send_the_same_are_told_and_no_others(told: dict[str, Any]) -> None:
    """Against all fingerprints of all jobs."""
    changed = {key: value for key, value in told.items() if value}
    jobs = list(expand(unchecked(**changed), CARD))
    twice = len({job.fingerprint for job in jobs}) < len(jobs)
    try:
        read(**changed)
        said = ""
    except ManifestError as error:
        said = str(error)
    if jobs:
        assert twice == ("the same clip" in said), said


def test_two_takes_with_one_seed_by_chance_are_told() -> None:
    """Among many takes it is looked for; one of them can be left out by its number."""
    changed: dict[str, Any] = {"prompts": [{"id": "p2390", "text": "Push in"}], "takes": 1_000}
    with pytest.raises(ManifestError, match=r"take 593 of .* the same clip as take 240 of"):
        read(**changed)

    assert derive_seed(20261123, "fox", "p2390", 240) == derive_seed(20261123, "fox", "p2390", 593)
    assert read(**changed, exclude=[{"take": 593}])[0].exclude


@steady
@given(
    some=st.lists(texts, min_size=2, max_size=5, unique=True),
    first=st.dictionaries(st.sampled_from("ab"), words, min_size=2),
)
def test_prompts_that_are_not_suspected_never_meet(some: list[str], first: dict[str, str]) -> None:
    """Whatever the words: what begins or ends differently stays different."""
    prompts = [Prompt(f"p{n}", text) for n, text in enumerate(some)]
    suspects = {one.id for one in may_be_alike(prompts)}
    filled = {one.id: fill(one.text, {name: first[name] for name in names(one.text)}) for one in prompts}
    alike = {one for one in filled for other in filled if one != other and filled[one] == filled[other]}

    assert alike <= suspects


short = st.lists(st.text("ab-.", min_size=1, max_size=4), min_size=1, max_size=6, unique=True)


@steady
@given(images=short, prompts=short, between=st.sampled_from([".", "-", "", "-a-", "--"]))
def test_ids_that_run_together_are_found(images: list[str], prompts: list[str], between: str) -> None:
    """Against every pair."""
    joined = [f"{image}{between}{prompt}" for image in images for prompt in prompts]
    found = running_together(images, prompts, between)

    assert (found is not None) == (len(set(joined)) < len(joined))
    if found is not None:
        (one, two), (three, four) = found
        assert f"{one}{between}{two}" == f"{three}{between}{four}"
        assert (one, two) != (three, four)


def test_a_million_jobs_are_not_compared_with_each_other() -> None:
    """Pictures of their own and prompts that begin differently prove it: none is a suspect."""
    assert [] == may_be_alike([Prompt(f"p{n}", f"{n:03d} on {{subject}}") for n in range(100)])
