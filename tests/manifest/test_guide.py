"""docs/manifest.md: what it shows is right, and the limits that it tells are those that count."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from batchrunner.manifest import (
    characters,
    folder,
    pictures,
    settings,
    sheet,
    shots,
    textfile,
    yamlread,
)
from batchrunner.manifest.load import load_bytes
from tests.manifest.generated import furnish

GUIDE = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text(encoding="utf-8")
HEAD = "version: 1\ncampaign: night\nmodel: pixverse-v5.6-i2v\nseed: 7\n"
REST = 'images: [{id: a, url: "https://example.com/a.png"}]\nprompts: [{id: p, text: Push in}]\n'
SHOWN = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("text", SHOWN, ids=["images", "words", "shots", "combinations", "notify"])
def test_what_the_guide_shows_is_right(text: str, tmp_path: Path) -> None:
    """Beside files as it speaks of."""
    furnish(tmp_path)
    (tmp_path / "words.txt").write_text("Drift past\nOrbit {subject}\n")
    rest = "" if re.search("^(images|shots):", text, re.MULTILINE) else REST
    head = HEAD.replace("model: pixverse-v5.6-i2v\n", "") if text.startswith("model:") else HEAD
    manifest, _card = load_bytes((head + text + rest).encode(), tmp_path / "night.yaml")

    assert manifest.images or manifest.shots


@pytest.mark.parametrize(
    "number",
    [
        f"{yamlread.SIZE_MAX >> 20} MiB, {yamlread.DEPTH_MAX} levels deep, {yamlread.NODES_MAX:,} values",
        f"{textfile.SIZE_MAX >> 20} MiB, {textfile.ROWS_MAX:,} rows, {sheet.CELL_MAX:,} characters a cell",
        f"files of one pattern | {folder.FILES_MAX:,}",
        f"a local picture | {pictures.FILE_MAX // 1_000_000} MB",
        f"a local video | {pictures.VIDEO_MAX // 1_000_000} MB",
        f"an address | {pictures.URL_MAX:,} characters",
        f"takes | {shots.TAKES_MAX:,}",
        f"combinations of the matrix | {settings.COMBINATIONS_MAX:,}",
        f"mistakes told at once | {characters.PROBLEMS_MAX}",
    ],
)
def test_the_limits_of_the_guide_are_those_that_count(number: str) -> None:
    """One truth in two files, held together here."""
    assert number in GUIDE
