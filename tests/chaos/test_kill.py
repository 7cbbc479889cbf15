"""kill -9 of the real process from outside, at a moment that the emulator shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.shell import QUICK, against, wait_for


def test_a_kill_while_the_post_is_on_the_wire_is_found_again(tmp_path: Path) -> None:
    """The provider took it, nobody read the answer: adopted, not paid again."""
    with against(tmp_path, replace(QUICK, submit_script=("hang:5",))) as shell:
        running = shell.start("run", shell.write(takes=1))
        wait_for(lambda: shell.ledger()["accepted"] == 1)
        running.kill()
        running.communicate()
        again = shell.run("run", "night.yaml")

        assert again.code == 0, again.err
        doubt = "1 submission in doubt at the start, 0 since"
        assert f"{doubt}: 1 found at the provider (nothing paid again), 0 held" in again.out
        assert shell.ledger()["posts"] == 1
