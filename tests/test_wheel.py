"""The wheel: the same bytes from the same tree, all that belongs in it, and nothing else."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]
PARTS = ("batchrunner", "schemas", "manifests")
LOOSE = ("pyproject.toml", "README.md", "LICENSE")


def built(folder: Path, at_s: int) -> Path:
    """Build the wheel from a copy of the tree whose files all have one time."""
    tree = folder / "tree"
    for part in PARTS:
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in LOOSE:
        shutil.copy(ROOT / name, tree / name)
    for path in tree.rglob("*"):
        os.utime(path, (at_s, at_s))
    (made,) = WheelBuilder(str(tree)).build(directory=str(folder / "dist"), versions=["standard"])
    return Path(made)


def test_two_builds_are_equal_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In other folders, from files with other times."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    first, second = built(tmp_path / "a", 1_700_000_000), built(tmp_path / "elsewhere", 1_750_000_000)

    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()


def test_it_holds_what_belongs_in_it_and_nothing_else(tmp_path: Path) -> None:
    """Modules, schemas and manifests; no tests, no stray file, nothing that runs when Python starts."""
    with ZipFile(built(tmp_path, 1_700_000_000)) as wheel:
        names = set(wheel.namelist())
    info = {name for name in names if ".dist-info/" in name}
    expected = {
        str(
            Path("batchrunner", path.relative_to(ROOT / "batchrunner"))
            if part == "batchrunner"
            else Path("batchrunner", path.relative_to(ROOT))
        )
        for part in PARTS
        for path in (ROOT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }

    assert names - info == expected
    assert {name.partition("/")[2] for name in info} == {
        *("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"),
    }
    assert not any(name.endswith((".pth", ".so", ".pyc")) for name in names)
