"""Commands that are printed work when they are pasted: they name the folders of the call."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from batchrunner.ways import placed
from tests.shell import QUICK, against

ST = Path("my state")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "go on with: batchrunner run night.yaml",
            "go on with: batchrunner run night.yaml --state 'my state' --output out",
        ),
        (
            "mend it, then: batchrunner retry night && batchrunner run m.yaml",
            "mend it, then: batchrunner retry night --state 'my state' && "
            "batchrunner run m.yaml --state 'my state' --output out",
        ),
        (
            "  batchrunner resolve n j --adopt REQUEST_ID | --resubmit",
            "  batchrunner resolve n j --adopt REQUEST_ID --state 'my state' | --resubmit",
        ),
        (
            "batchrunner verify night --mend",
            "batchrunner verify night --mend --state 'my state' --output out",
        ),
        ("nothing to paste", "nothing to paste"),
        ("batchrunner models show x", "batchrunner models show x"),
    ],
)
def test_folders_that_are_not_the_usual_ones_are_named(text: str, expected: str) -> None:
    """At the end of each command, in quotes where they need them."""
    assert placed(text, ST, Path("out")) == expected
    assert placed(text, Path("state")) == text


def test_the_command_that_is_printed_goes_on_in_the_same_folders(tmp_path: Path) -> None:
    """Pasted as it stands, it pays for nothing twice."""
    with against(tmp_path, replace(QUICK, submit_script=("ok", "drop"))) as shell:
        first = shell.run("run", shell.write(takes=3), "--state", "s s", "--output", "o", "--max-new", "1")
        told = first.err.splitlines()[-1].partition("batchrunner ")[2]
        second = shell.run(*shlex.split(told))

        assert told == "run night.yaml --state 's s' --output o"
        assert second.code == 4
        assert "--state 's s'" in second.err.splitlines()[-1]
        assert shell.run("status", "night", "--state", "s s").out.count("--state 's s'  # ") == 3
        assert shell.ledger()["posts"] == 3
        assert not (tmp_path / "state").exists()
