"""Large tables that are wrong: what is looked for per row must not be looked for among all rows."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from batchrunner.errors import ManifestError
from batchrunner.manifest.load import load

ROWS = 32_000
FEWER = 4  # times as few
GROWS_MAX = 9.0  # of processor time, for `FEWER` times the rows: held against each other, they take 16 times
HEAD = "version: 1\ncampaign: night\nmodel: pixverse-v5.6-i2v\nseed: 7\n"
PUSH = "prompts: [{id: push, text: 'Push in on {subject}'}]\n"
SHOTS = "prompts: [{id: push, text: Push in}]\nproduct: false\nshots: [{csv: shots.csv}]\n"


def images(*names: str) -> str:
    """Return a csv of images."""
    return "id,url\n" + "".join(f"{name},https://example.com/{name}.png\n" for name in names)


def cases(rows: int) -> dict[str, tuple[str, dict[str, str]]]:
    """Return manifests and their tables, by what is wrong with them."""
    listed = images(*(f"pic{n}" for n in range(rows)))
    unknown = "image,prompt\n" + "".join(f"other{n},push\n" for n in range(rows))
    empty = "id,url,subject\n" + "".join(f"e{n},https://example.com/e{n}.png,\n" for n in range(rows // 2))
    wide = ",".join(["id", "url", *(f"c{n}" for n in range(rows // 2))]) + "\nfox,no address\n"
    return {
        "images without a word, of two kinds": (
            "images: [{csv: empty.csv}, {csv: bare.csv}]\n" + PUSH,
            {"empty.csv": empty, "bare.csv": images(*(f"b{n}" for n in range(rows // 2)))},
        ),
        "unknown images, and a pattern that finds none": (
            "images: [{csv: images.csv}, {glob: x*.png}]\n" + SHOTS,
            {"images.csv": listed, "shots.csv": unknown},
        ),
        "unknown images, and an id that is there twice": (
            "images: [{csv: images.csv}, {id: pic1, url: 'https://example.com/x.png'}]\n" + SHOTS,
            {"images.csv": listed, "shots.csv": unknown},
        ),
        "columns": ("images: [{csv: wide.csv}]\n" + PUSH, {"wide.csv": wide}),
        "seeds, one of them twice": (
            f"images: [{{csv: images.csv}}]\n{PUSH}takes: [{', '.join(map(str, range(2 * rows)))}, 5]\n",
            {"images.csv": images("fox")},
        ),
        "blanks in a line before one that is no YAML": (
            f"images: [\n  {{id: fox,{12 * rows * ' '}x\n  {{id: ]\n",
            {},
        ),
    }


def took_s(case: str, rows: int, folder: Path) -> float:
    """Return how much processor time it takes to refuse a manifest of so many rows."""
    text, files = cases(rows)[case]
    folder.mkdir()
    path = folder / "night.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    began_s = time.process_time()
    with pytest.raises(ManifestError):
        load(path)
    return time.process_time() - began_s


@pytest.mark.parametrize("case", cases(0))
def test_what_is_wrong_in_many_rows_is_not_held_against_all_of_them(case: str, tmp_path: Path) -> None:
    """Somebody waits for the message: of each case, both sizes in one run."""
    few_s = took_s(case, ROWS // FEWER, tmp_path / "few")

    assert took_s(case, ROWS, tmp_path / "many") < GROWS_MAX * few_s
