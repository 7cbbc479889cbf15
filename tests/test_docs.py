"""What the documents say is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from batchrunner import __version__
from batchrunner.cli.main import COMMANDS
from batchrunner.engine.outcome import STOP_CODES
from batchrunner.manifest.load import load_bytes
from batchrunner.rules.states import TRANSITIONS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_picture_of_the_states_is_the_table() -> None:
    """The diagram in docs/architecture.md has every move and no other."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = set(re.findall(r"^    (\[\*\]|\w+) --> (\w+)$", text, re.MULTILINE))

    assert {(str(source or "[*]"), str(target)) for (source, _kind), target in TRANSITIONS.items()} == drawn


def test_the_manifest_in_the_readme_is_valid(tmp_path: Path) -> None:
    """But for the photo, which is made here."""
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "photos").mkdir()
    demo = (ROOT / "manifests" / "images" / "fox.png").read_bytes()
    (tmp_path / "photos" / "harbour.png").write_bytes(demo)
    manifest, _card = load_bytes(block.encode(), tmp_path / "night.yaml")

    assert manifest.campaign == "harbour-lookbook"


@pytest.mark.parametrize("code", sorted(set(STOP_CODES.values()) | {0, 2, 3, 4, 9, 70}))
def test_every_exit_code_is_in_the_readme(code: int) -> None:
    """With what to do."""
    assert re.search(rf"^\| {code}\b", README, re.MULTILINE)


def test_every_command_is_in_the_changelog() -> None:
    """What is new is told."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert [name for name in COMMANDS if f"`{name}`" not in text] == []


def test_every_link_in_the_documents_leads_somewhere() -> None:
    """Relative links only; there is nothing else to check offline."""
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_version_is_one() -> None:
    """In the package and in the project file."""
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
