"""Manifests without images, for models that make clips of words alone, and those whose images are videos."""

from __future__ import annotations

import hashlib
import hmac
import struct
from pathlib import Path

import pytest

from batchrunner.manifest.expand import count, expand, rows
from batchrunner.manifest.load import load_bytes
from batchrunner.values import NO_IMAGE, Job
from tests.manifest.test_bad import BAD

HEAD = "version: 1\ncampaign: night\nmodel: {model}\nseed: 7\n"
WORDS = HEAD.format(model="pixverse-v5.6-t2v")
FILMS = HEAD.format(model="pixverse-v6-extend")
PROMPTS = """\
prompts:
  - {id: push, text: "Push in on {it}", vars: {it: the fox}}
  - {id: pan, text: Pan}
"""


def jobs(text: str, folder: Path) -> list[Job]:
    """Return the jobs of a manifest, however they are counted and written."""
    manifest, card = load_bytes(text.encode(), folder / "night.yaml")
    found = list(expand(manifest, card))
    assert len(found) == count(manifest, card)
    assert [job.row for job in found] == list(rows(manifest, card))
    return found


def test_each_prompt_is_made_for_itself(tmp_path: Path) -> None:
    """The image's part falls away from ids and names; nothing of it is sent."""
    first, *_rest, last = jobs(WORDS + "takes: 2\n" + PROMPTS, tmp_path)

    assert first.id == f"push.t1-{first.fingerprint[:8]}"
    assert (first.image, first.prompt, first.name) == ("", "push", "push-t1")
    assert (last.prompt, last.take, last.name) == ("pan", 2, "pan-t2")
    assert first.payload == {
        "prompt": "Push in on the fox",
        "duration": "5",
        "aspect_ratio": "16:9",
        "quality": "540p",
        "seed": first.seed,
    }


def test_a_seed_derives_from_the_prompt_and_the_take(tmp_path: Path) -> None:
    """As with an image, of which nothing stands where its id would."""
    mark = hmac.new(b"7", b"|pan|2", hashlib.sha256).digest()
    made = jobs(WORDS + "takes: 2\n" + PROMPTS, tmp_path)

    assert made[-1].seed == int.from_bytes(mark[:4], "big") & 0x7FFFFFFF


def test_nothing_moves_when_prompts_come_and_go(tmp_path: Path) -> None:
    """Ids and seeds of the others stay."""
    both = {job.id: job.seed for job in jobs(WORDS + PROMPTS, tmp_path)}
    alone = {job.id: job.seed for job in jobs(WORDS + "prompts: [{id: pan, text: Pan}]\n", tmp_path)}

    assert alone.items() < both.items()


def test_matrix_exclude_include_and_shots_work_on_prompts_alone(tmp_path: Path) -> None:
    """Also a table of shots that has nothing but words."""
    (tmp_path / "shots.csv").write_text("prompt,duration,beast\nA {beast} runs,8,lynx\npan,10,\n")
    text = (
        WORDS
        + PROMPTS
        + """\
takes: 2
matrix: {quality: [360p, 720p]}
exclude: [{prompt: pan, quality: 720p}]
include: [{prompt: pan, take: 1, parameters: {quality: 1080p}}]
shots:
  - {prompt: pan, id: slow, takes: [5]}
  - {csv: shots.csv}
"""
    )
    names = [job.name for job in jobs(text, tmp_path)]

    assert names == [
        "push-t1-360p",
        "push-t2-360p",
        "push-t1-720p",
        "push-t2-720p",
        "pan-t1-360p",
        "pan-t2-360p",
        "slow-t5-360p",
        "slow-t5-720p",
        "a-beast-runs-e2d15e-t1-360p-duration_8",
        "a-beast-runs-e2d15e-t2-360p-duration_8",
        "a-beast-runs-e2d15e-t1-720p-duration_8",
        "a-beast-runs-e2d15e-t2-720p-duration_8",
        "pan-t1-360p-duration_10",
        "pan-t2-360p-duration_10",
        "pan-t1-1080p",
    ]


def test_prompts_may_stand_only_to_be_named(tmp_path: Path) -> None:
    """Then only the shots are made."""
    text = f"{WORDS}{PROMPTS}product: false\nshots: [{{prompt: pan}}, {{text: Dancing}}]\n"
    manifest, _card = load_bytes(text.encode(), tmp_path / "night.yaml")

    assert [job.prompt for job in jobs(text, tmp_path)] == ["pan", "dancing-9879cd"]
    assert (manifest.images, manifest.shots[0].image) == ((), NO_IMAGE)
    assert [note.message for note in manifest.notes] == ['no shot names the prompt "push"']


def test_words_without_images_may_not_get_too_long(tmp_path: Path) -> None:
    """With what they are filled with."""
    text = WORDS + f'prompts: [{{id: push, text: "Push in on {{it}}", vars: {{it: {2040 * "x"}}}}}]\n'
    with pytest.raises(Exception, match=r"with its words it is 2,051 characters long; the model takes 2,048"):
        load_bytes(text.encode(), tmp_path / "night.yaml")


def test_the_images_of_a_model_that_takes_videos_are_videos(tmp_path: Path) -> None:
    """By address, file, pattern, table and shot; a file is known by its content."""
    (tmp_path / "films").mkdir()
    film = (BAD / "files" / "films" / "clip.mp4").read_bytes()
    for name in ("shot10.mp4", "shot2.mp4"):
        (tmp_path / "films" / name).write_bytes(film + struct.pack(">I4s10s", 18, b"free", name.encode()))
    (tmp_path / "films.csv").write_text("id,video\na,https://example.com/a.mp4\nb,films/shot2.mp4\n")
    text = (
        FILMS
        + PROMPTS.replace(", vars: {it: the fox}", "").replace("{it}", "it")
        + """\
images:
  - {url: "https://example.com/film?id=1"}
  - {glob: "films/*.mp4"}
  - {csv: films.csv}
shots: [{image: shot2, prompt: "It begins to rain"}, {image: "https://example.com/c.mp4", prompt: pan}]
"""
    )
    made = jobs(text, tmp_path)
    images = dict.fromkeys(job.image for job in made)
    local = [str(job.payload["video"]) for job in made if job.image.startswith("shot")]

    assert list(images) == ["film", "shot2", "shot10", "a", "b", "c"]
    assert len(set(local)) == 2
    assert all(one.startswith("upload:") and one.endswith(".mp4") for one in local)
    assert made[0].payload["video"] == "https://example.com/film?id=1"
