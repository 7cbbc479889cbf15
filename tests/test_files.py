"""What ships with the program, and where it is looked for."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from batchrunner import files
from batchrunner.errors import LocalError


def installed(folder: Path) -> ModuleType:
    """Return the module as it is in another place, with nothing round it."""
    copy = folder / "batchrunner" / "files.py"
    copy.parent.mkdir()
    copy.write_bytes(Path(files.__file__).read_bytes())
    spec = importlib.util.spec_from_file_location("files_elsewhere", copy)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["manifest", "card", "status", "plan"])
def test_every_schema_ships(name: str) -> None:
    """And says who it is."""
    assert f"{name}.schema.json" == json.loads(files.schema_text(f"{name}.schema.json"))["$id"]


def test_every_model_has_its_card() -> None:
    """Sorted, each under its own id."""
    found = [json.loads(files.card_text(model))["id"] for model in files.card_ids()]

    assert list(files.card_ids()) == sorted(found)
    assert {"pixverse-v5.6-i2v", "pixverse-v5.6-transition", "pixverse-v6-i2v"} <= set(found)


def test_the_demo_ships_with_its_pictures() -> None:
    """It must run on a machine without a network."""
    folder = files.demo_folder()

    assert (folder / "demo.yaml").is_file()
    assert {"fox.png", "harbour.jpg", "lighthouse.jpg"} <= {
        path.name for path in (folder / "images").iterdir()
    }


def test_a_file_that_is_missing_is_told_with_its_path() -> None:
    """The installation is at fault, not the user's manifest."""
    with pytest.raises(LocalError, match=r"not whole: .*nope\.json cannot be read \(No such file"):
        files.card_text("nope")


def test_a_folder_that_is_missing_is_told_with_what_to_do(tmp_path: Path) -> None:
    """A wheel that was built wrongly, or half an installation."""
    with pytest.raises(LocalError, match="the folder schemas is missing; install batchrunner again"):
        installed(tmp_path).schema_text("card.schema.json")


def test_what_lies_in_the_package_comes_before_what_lies_beside_it(tmp_path: Path) -> None:
    """Beside an installed package are other people's folders, one of which may be called `schemas`."""
    module = installed(tmp_path)
    for folder, text in ((tmp_path, "theirs"), (tmp_path / "batchrunner", "ours")):
        (folder / "schemas").mkdir()
        (folder / "schemas" / "x.json").write_text(text, encoding="utf-8")

    assert "ours" == module.schema_text("x.json")
