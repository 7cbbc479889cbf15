"""Expansion: which jobs a manifest stands for, and that nothing moves them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.cards import load_card
from batchrunner.manifest.expand import count, expand
from batchrunner.manifest.load import load, load_bytes
from batchrunner.manifest.seeds import derive_seed
from batchrunner.values import Image, Job, Manifest, Picture, Price, Prompt, fingerprint
from tests.manifest import build

PICTURES = Path(__file__).parents[2] / "manifests" / "images"
CARD = load_card("pixverse-v5.6-i2v")
steady = settings(derandomize=True, max_examples=50, deadline=None)

NIGHT = """\
version: 1
campaign: night
model: pixverse-v5.6-i2v
seed: 20261123
takes: 2
matrix: {quality: [540p, 1080p]}
images:
  - {id: fox, url: "https://example.com/fox.png", vars: {subject: the fox}}
prompts:
  - {id: push, text: "Push in on {subject}"}
"""


def jobs_of(text: str) -> list[Job]:
    """Return the jobs of a manifest's text."""
    manifest, card = load_bytes(text.encode(), Path("night.yaml"))
    return list(expand(manifest, card))


def an_image(name: str, **parameters: object) -> Image:
    """Return an image at an address of its own."""
    return Image(name, (Picture(url=f"https://example.com/{name}.png"),), parameters=parameters)


def night(**changes: object) -> Manifest:
    """Return a manifest of two images, two prompts and three takes, with some changes."""
    manifest, _card = load_bytes(NIGHT.encode(), Path("night.yaml"))
    usual = replace(
        manifest,
        matrix={},
        takes=3,
        images=(an_image("fox"), an_image("owl")),
        prompts=(Prompt("push", "Push in"), Prompt("drift", "Drift past")),
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def seeds(manifest: Manifest) -> dict[tuple[str, str, int], int | None]:
    """Return the seed at each place."""
    return {(job.image, job.prompt, job.take): job.seed for job in expand(manifest, CARD)}


def test_ids_seeds_names_and_costs_never_drift() -> None:
    """Literal values: if this fails, a state table of yesterday no longer fits its manifest."""
    found = [(job.id, job.seed, job.name, job.cost_micros) for job in jobs_of(NIGHT)]

    assert [
        ("fox.push.t1-650e17f6", 853024065, "fox/push-t1-540p", 150_000),
        ("fox.push.t2-9d39f34e", 50592410, "fox/push-t2-540p", 150_000),
        ("fox.push.t1-3930a1d7", 853024065, "fox/push-t1-1080p", 150_000),
        ("fox.push.t2-0035521a", 50592410, "fox/push-t2-1080p", 150_000),
    ] == found


def test_payload_and_fingerprint_never_drift() -> None:
    """The fingerprint is over exactly what is sent."""
    job = jobs_of(NIGHT)[0]

    assert {
        "image_url": "https://example.com/fox.png",
        "prompt": "Push in on the fox",
        "duration": "5",
        "aspect_ratio": "16:9",
        "quality": "540p",
        "seed": 853024065,
    } == job.payload
    assert "650e17f622d1d4ebcdd13855f9ae4113f5e1a9db295e180d0e17fb6b6dd190b0" == job.fingerprint


def test_every_fingerprint_is_that_of_the_payload() -> None:
    """However expansion gets there quickly, it is the hash that the rest of the program knows."""
    for job in expand(night(matrix={"quality": ("540p", "1080p")}), CARD):
        assert fingerprint(job.model, job.payload) == job.fingerprint
        assert job.payload["seed"] == job.seed


def test_a_model_without_seeds_gets_none() -> None:
    """Then takes are told apart by their number alone."""
    found = list(expand(night(), replace(CARD, seed_field=None)))

    assert all(job.seed is None and "seed" not in job.payload for job in found)
    assert all(fingerprint(job.model, job.payload) == job.fingerprint for job in found)
    assert len(found) == len({job.id for job in found})


def test_a_seed_is_an_hmac_of_its_place() -> None:
    """A fixed value, and within what the provider takes."""
    assert 853024065 == derive_seed(20261123, "fox", "push", 1)
    assert all(0 <= derive_seed(7, "fox", "push", take) < 2**31 for take in range(1_000))


def test_the_order_is_image_prompt_setting_take() -> None:
    """As written: what stands first is rendered first."""
    manifest = night(matrix={"quality": ("1080p", "540p")}, takes=2)
    found = [(job.image, job.prompt, job.payload["quality"], job.take) for job in expand(manifest, CARD)]

    assert list(itertools.product(("fox", "owl"), ("push", "drift"), ("1080p", "540p"), (1, 2))) == found


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ({}, "540p"),
        ({"all": "720p"}, "720p"),
        ({"all": "720p", "image": "360p"}, "360p"),
        ({"all": "720p", "image": "360p", "prompt": "1080p"}, "1080p"),
        ({"all": "720p", "image": "360p", "prompt": "1080p", "matrix": "540p"}, "540p"),
        ({"image": "360p", "matrix": "1080p"}, "1080p"),
    ],
)
def test_the_more_special_setting_wins(layers: dict[str, str], expected: str) -> None:
    """The card's default, then every job's, the image's, the prompt's, the matrix's."""
    own = {name: {"quality": value} for name, value in layers.items()}
    manifest = night(
        parameters=own.get("all", {}),
        images=(an_image("fox", **own.get("image", {})),),
        prompts=(Prompt("push", "Push in", parameters=own.get("prompt", {})),),
        matrix={"quality": (layers["matrix"],)} if "matrix" in layers else {},
    )

    assert {expected} == {job.payload["quality"] for job in expand(manifest, CARD)}


def test_an_images_words_win_over_the_prompts() -> None:
    """The prompt says what stands where the image says nothing."""
    image = an_image("fox")._replace(vars={"light": "dusk"})
    prompt = Prompt("push", "{light}, {mood}, {{as it is}}", vars={"light": "noon", "mood": "calm"})
    (job,) = expand(night(images=(image,), prompts=(prompt,), takes=1), CARD)

    assert "dusk, calm, {as it is}" == job.payload["prompt"]


def test_a_number_is_a_word_as_it_was_written() -> None:
    """`1.10` is a text once it stands in a prompt."""
    text = NIGHT.replace("subject: the fox", "subject: 1.10")

    assert {"Push in on 1.10"} == {job.payload["prompt"] for job in jobs_of(text)}


def test_the_same_number_is_the_same_job_however_written() -> None:
    """Else `5.0` would be paid again where `5` is done."""
    five, five_point = (f"{NIGHT}parameters: {{duration: {written}}}\n" for written in ("5", "5.0"))

    assert [job.id for job in jobs_of(five)] == [job.id for job in jobs_of(five_point)]


def test_takes_may_be_the_seeds_themselves() -> None:
    """Each is its own take, so that the order of the list says nothing."""
    found, turned = (list(expand(night(takes=takes), CARD)) for takes in ((42, 7), (7, 42)))

    assert {(7, 7), (42, 42)} == {(job.take, job.seed) for job in found}
    assert {job.id for job in found} == {job.id for job in turned}


def test_one_take_has_one_seed_at_every_quality() -> None:
    """So that a draft shows what the dear version will be."""
    found: dict[tuple[str, str, int], set[int | None]] = {}
    for job in expand(night(matrix={"quality": ("360p", "1080p")}), CARD):
        found.setdefault((job.image, job.prompt, job.take), set()).add(job.seed)

    assert {1} == {len(one) for one in found.values()}


@steady
@given(data=st.data())
def test_the_order_of_anything_moves_nothing(data: st.DataObject) -> None:
    """Images, prompts, matrix and every mapping's keys may be written in any order."""
    told = yaml.safe_load(NIGHT)
    told["images"].append({"id": "owl", "url": "https://example.com/owl.png", "vars": {"subject": "it"}})
    told["prompts"].append({"id": "drift", "text": "Drift past"})
    told["matrix"]["duration"] = [5, 8]
    told["matrix"]["quality"] = ["360p", "540p"]
    before = jobs_of(yaml.safe_dump(told))
    for section in ("images", "prompts"):
        told[section] = data.draw(st.permutations(told[section]))
    told["matrix"] = {
        key: data.draw(st.permutations(told["matrix"][key]))
        for key in data.draw(st.permutations(list(told["matrix"])))
    }
    told = {key: told[key] for key in data.draw(st.permutations(list(told)))}
    after = jobs_of(yaml.safe_dump(told, sort_keys=False))

    assert {(job.id, job.seed, job.fingerprint) for job in before} == {
        (job.id, job.seed, job.fingerprint) for job in after
    }


@steady
@given(
    images=st.sets(st.sampled_from(["ant", "bee", "cat", "dog"])),
    prompts=st.sets(st.sampled_from(["pan", "zoom", "orbit"])),
    takes=st.integers(3, 6),
    parameters=st.dictionaries(st.just("duration"), st.sampled_from([5, 8])),
    qualities=st.sets(st.sampled_from(["360p", "540p", "720p"])),
)
def test_what_is_added_moves_no_seed(
    images: set[str], prompts: set[str], takes: int, parameters: dict[str, int], qualities: set[str]
) -> None:
    """More images, prompts, takes or settings leave every seed that there was."""
    usual = night()
    more = night(
        images=(*map(an_image, sorted(images)), *usual.images),
        prompts=(*(Prompt(name, name) for name in sorted(prompts)), *usual.prompts),
        takes=takes,
        parameters=parameters,
        matrix={"quality": tuple(sorted(qualities))} if qualities else {},
    )

    assert seeds(usual).items() <= seeds(more).items()


def test_what_is_added_moves_no_id() -> None:
    """Only a changed payload makes a new job."""
    usual = night()
    more = night(images=(an_image("bee"), *usual.images), takes=5)

    assert {job.id for job in expand(usual, CARD)} < {job.id for job in expand(more, CARD)}


@pytest.mark.parametrize(
    "change",
    [{"parameters": {"duration": 8}}, {"prompts": (Prompt("push", "Push out"),)}, {"seed": 8}],
)
def test_another_payload_is_another_job(change: dict[str, object]) -> None:
    """A changed setting, text or seed never passes for what is done already."""
    assert not {job.id for job in expand(night(), CARD)} & {job.id for job in expand(night(**change), CARD)}


texts = st.text(st.sampled_from("aA1:/-. !_é"), min_size=1, max_size=4)


@steady
@given(
    styles=st.lists(texts, min_size=1, max_size=4, unique=True),
    sizes=st.lists(texts, min_size=1, max_size=4, unique=True),
)
def test_names_never_collide(styles: list[str], sizes: list[str]) -> None:
    """Not even where two values look alike in a file name, or letters differ in case only."""
    matrix = {"negative_prompt": tuple(styles), "quality": tuple(sizes)}
    found = [job.name.casefold() for job in expand(night(matrix=matrix, takes=1), CARD)]

    assert len(set(found)) == len(found)


def test_values_that_stand_side_by_side_do_not_run_together() -> None:
    """`a` beside `b-c` is not `a-b` beside `c`."""
    matrix = {"negative_prompt": ("a", "a-b"), "quality": ("b-c", "c")}
    found = [job.name for job in expand(night(matrix=matrix, takes=1), CARD)]

    assert len(set(found)) == len(found)


def test_long_values_in_names_are_cut_and_marked() -> None:
    """A path's part stays within what every file system takes, and stays its own."""
    matrix = {"negative_prompt": (200 * "x", 201 * "x")}
    found = {job.name for job in expand(night(matrix=matrix, takes=1), CARD)}

    assert 8 == len(found)
    assert max(len(part) for name in found for part in name.split("/")) <= 120


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{campaign}/{model}/{image}-{prompt}-{seed}", "night/pixverse-v5.6-i2v/fox-push-853024065"),
        ("{image}/{aspect_ratio}/t{take}", "fox/16x9/t1"),
        ("{image} at {quality}", "fox-at-540p"),
        ("{image}/{thinking_type}", "fox/default"),
        ("aux/{{x}} y {take}", "aux_/x-y-1"),
    ],
)
def test_a_template_names_the_clips(template: str, expected: str) -> None:
    """Whatever it holds, the path is safe on every file system."""
    job = next(expand(night(output_name=template), CARD))

    assert expected == job.name


def test_a_file_is_its_content(tmp_path: Path) -> None:
    """Another name for the same bytes is the same job; other bytes under the same name are another."""

    def job(name: str, picture: str) -> Job:
        (tmp_path / name).write_bytes((PICTURES / picture).read_bytes())
        text = NIGHT.replace('url: "https://example.com/fox.png"', f"file: {name}").replace(
            "takes: 2", "takes: 1"
        )
        return next(expand(*load_bytes(text.encode(), tmp_path / "night.yaml")))

    first, renamed, changed = job("a.png", "fox.png"), job("b.png", "fox.png"), job("a.png", "harbour.jpg")

    assert first == renamed
    assert first.seed == changed.seed
    assert first.id != changed.id
    assert first.payload["image_url"].startswith("upload:")
    assert first.payload["image_url"].endswith(".png")
    assert changed.payload["image_url"].endswith(".jpeg")


def test_the_manifests_folder_is_where_files_are() -> None:
    """And the demo has the twelve jobs that it says it has."""
    manifest, card = load(PICTURES.parent / "demo.yaml")
    found = list(expand(manifest, card))

    assert 12 == len(found) == count(manifest, card)
    assert 12 == len({job.name for job in found})


@steady
@given(
    takes=st.one_of(st.integers(1, 5), st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True)),
    matrix=st.dictionaries(
        st.sampled_from(["quality", "duration"]), st.lists(st.integers(), min_size=1, max_size=3, unique=True)
    ),
)
def test_the_count_is_that_of_the_jobs(takes: int | list[int], matrix: dict[str, list[int]]) -> None:
    """Known without making one of them; and no two have one id."""
    manifest = night(
        takes=takes if isinstance(takes, int) else tuple(takes),
        matrix={key: tuple(values) for key, values in matrix.items()},
    )
    found = [job.id for job in expand(manifest, CARD)]

    assert count(manifest, CARD) == len(found) == len(set(found))


def test_a_price_in_the_manifest_is_the_jobs_price() -> None:
    """Micro-dollars a job."""
    manifest = night(price=Price("job", 70_000))

    assert {70_000} == {job.cost_micros for job in expand(manifest, CARD)}


def test_braces_in_a_parameter_are_doubled_as_in_a_prompt() -> None:
    """What is written as `{{name}}` is sent as {name}: nothing is filled in there."""
    manifest, card = build.read(parameters={"negative_prompt": "blurry {{subject}}, {1}"})

    assert {"blurry {subject}, {1}"} == {job.payload["negative_prompt"] for job in expand(manifest, card)}
