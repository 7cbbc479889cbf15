"""Large tables that are wrong: what is looked for per row must not be looked for among all rows."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from batchrunner.errors import ManifestError
from batchrunner.manifest.load import load

ROWS = 30_000
ENOUGH_S = 20.0  # each takes a second or two; held against each other, rows took minutes
HEAD = "version: 1\ncampaign: night\nmodel: pixverse-v5.6-i2v\nseed: 7\n"
PUSH = "prompts: [{id: push, text: 'Push in on {subject}'}]\n"
SHOTS = "prompts: [{id: push, text: Push in}]\nproduct: false\nshots: [{csv: shots.csv}]\n"


def images(*names: str) -> str:
    """Return a csv of images."""
    return "id,url\n" + "".join(f"{name},https://example.com/{name}.png\n" for name in names)


LISTED = images(*(f"pic{n}" for n in range(ROWS)))
UNKNOWN = "image,prompt\n" + "".join(f"other{n},push\n" for n in range(ROWS))
EMPTY = "id,url,subject\n" + "".join(f"e{n},https://example.com/e{n}.png,\n" for n in range(ROWS // 2))
WIDE = ",".join(["id", "url", *(f"c{n}" for n in range(20_000))]) + "\nfox,no address\n"

CASES = {
    "images without a word, of two kinds": (
        "images: [{csv: empty.csv}, {csv: bare.csv}]\n" + PUSH,
        {"empty.csv": EMPTY, "bare.csv": images(*(f"b{n}" for n in range(ROWS // 2)))},
    ),
    "unknown images, and a pattern that finds none": (
        "images: [{csv: images.csv}, {glob: x*.png}]\n" + SHOTS,
        {"images.csv": LISTED, "shots.csv": UNKNOWN},
    ),
    "unknown images, and an id that is there twice": (
        "images: [{csv: images.csv}, {id: pic1, url: 'https://example.com/x.png'}]\n" + SHOTS,
        {"images.csv": LISTED, "shots.csv": UNKNOWN},
    ),
    "columns": ("images: [{csv: wide.csv}]\n" + PUSH, {"wide.csv": WIDE}),
    "seeds, one of them twice": (
        f"images: [{{csv: images.csv}}]\n{PUSH}takes: [{', '.join(map(str, range(2 * ROWS)))}, 5]\n",
        {"images.csv": images("fox")},
    ),
    "blanks in a line before one that is no YAML": (
        f"images: [\n  {{id: fox,{400_000 * ' '}x\n  {{id: ]\n",
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_much_that_is_wrong_is_told_soon(case: str, tmp_path: Path) -> None:
    """Somebody waits for it, and mends one thing after the other."""
    text, files = CASES[case]
    path = tmp_path / "night.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    began_s = time.process_time()

    with pytest.raises(ManifestError):
        load(path)

    assert time.process_time() - began_s < ENOUGH_S
