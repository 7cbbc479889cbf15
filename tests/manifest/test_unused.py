"""What is written and never sent: told where it may be meant, refused where it is dear."""

from __future__ import annotations

from pathlib import Path

from batchrunner.manifest.load import load
from tests.manifest.build import read

FOX = {"id": "fox", "url": "https://example.com/fox.png"}


def notes(folder: Path, text: str, **tables: str) -> list[str]:
    """Return the notes on a manifest beside some csv files."""
    for name, table in tables.items():
        (folder / f"{name}.csv").write_text(table, encoding="utf-8")
    path = folder / "night.yaml"
    head = "version: 1\ncampaign: night\nmodel: pixverse-v5.6-i2v\nseed: 7\n"
    path.write_text(head + text, encoding="utf-8")
    return [str(one).removeprefix(f"{folder}/") for one in load(path)[0].notes]


def test_columns_that_no_prompt_uses_are_noted_at_the_header(tmp_path: Path) -> None:
    """Eight seconds in a column `seconds` are five seconds in the clip."""
    table = "image,prompt,mood,seconds,#by\nhttps://example.com/fox.png,The {mood} fox,calm,8,ann\n"

    assert notes(tmp_path, "shots: {csv: shots.csv}\n", shots=table) == [
        "shots.csv:1:19: seconds: no prompt uses {seconds} (#seconds says that it is a note)"
    ]


def test_vars_that_no_prompt_uses_are_noted_once(tmp_path: Path) -> None:
    """Those of entries, of their tables, and of shots; a name once, however many rows have it."""
    text = """\
images:
  - {id: fox, url: "https://example.com/fox.png", vars: {subject: the fox, mod: dark}}
  - {id: owl, url: "https://example.com/owl.png", vars: {subject: the owl, mod: calm}}
  - {csv: more.csv, vars: {subject: it, era: now}}
prompts: [{id: push, text: "Push in on {subject}"}]
shots: [{image: fox, prompt: push, duration: 8, vars: {tone: low}}]
"""

    assert notes(tmp_path, text, more="url\nhttps://example.com/elk.png\n") == [
        "night.yaml:6:76: images[0].vars.mod: no prompt uses {mod}",
        "night.yaml:8:41: images[2].vars.era: no prompt uses {era}",
        "night.yaml:10:56: shots[0].vars.tone: no prompt uses {tone}",
    ]


def test_what_no_shot_names_makes_no_clip_and_is_noted() -> None:
    """Images and prompts that are not multiplied are there to be named."""
    images = [FOX, FOX | {"id": "owl"}, FOX | {"id": "elk"}]
    shots = [{"image": "fox", "prompt": "The fox looks up"}]
    manifest, _card = read(images=images, prompts=[{"id": "push", "text": "x y"}], shots=shots, product=False)

    assert [one.message for one in manifest.notes] == [
        'no shot names the image "owl", nor 1 more',
        'no shot names the prompt "push"',
    ]


def test_what_is_used_is_not_noted() -> None:
    """Nor are braces refused that nobody could mean as a word."""
    shots = [{"image": "fox", "prompt": "push-in", "negative_prompt": "no {1}, no {}, no {a: b}"}]
    manifest, _card = read(shots=shots)

    assert manifest.notes == ()


def test_a_note_does_not_change_what_is_sent(tmp_path: Path) -> None:
    """A column `prompt` is a word like any other where a prompt uses it."""
    text = 'images: {csv: fox.csv}\nprompts: ["{prompt}, cinematic"]\n'

    assert notes(tmp_path, text, fox="url,prompt\nhttps://example.com/fox.png,The fox\n") == []


def test_a_comment_that_ends_an_unquoted_prompt_is_noted(tmp_path: Path) -> None:
    """Everything from ` #` on is no part of the paid words; beside an id or a quoted text it may be."""
    text = """\
images: [{id: fox, url: "https://example.com/fox.png"}]  # the fox
prompts:
  - Camera pushes in, #1 shot
  - "Camera pulls out"  # quoted
  - id: wait  # an id
    text: The fox waits
      for #2
shots:
  - {image: fox, prompt: wait, duration: 8}  # outside
  - image: fox
    prompt: wait  # named
    duration: 10
  - image: fox
    prompt: Look up, #3
"""

    what = "the rest of the line is a comment: put the text into quotes if it belongs to it"
    assert notes(tmp_path, text) == [
        f"night.yaml:7:23: prompts[0]: {what}",
        f"night.yaml:11:11: prompts[2].text: {what}",
        f"night.yaml:18:22: shots[2].prompt: {what}",
    ]


def test_a_character_that_nobody_sees_in_a_prompt_is_noted(tmp_path: Path) -> None:
    """It came with a text that was copied; what holds words or letters together is meant."""
    text = """\
images: [{id: fox, url: "https://example.com/fox.png"}]
prompts:
  - Push\u200b in
  - {id: soft, text: "Pull\u2060 out"}
  - "Drift\u00a0: la mer, \U0001f469\u200d\U0001f3a8"
"""

    assert notes(tmp_path, text) == [
        "night.yaml:7:5: prompts[0]: the invisible character U+200B is in the text, and would be sent",
        "night.yaml:8:22: prompts[1].text: the invisible character U+2060 is in the text, and would be sent",
    ]
