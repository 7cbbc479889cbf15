"""kill -9 of the real process at random moments, resumed to the end: nothing paid twice, nothing lost."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.shell import QUICK, against, wait_for


@pytest.mark.parametrize("seed", range(4))
def test_kills_at_random_times_cost_nothing(tmp_path: Path, seed: int) -> None:
    """Some kills in a row, then a run to the end; the emulator's ledger is the judge."""
    rng = random.Random(seed)
    config = replace(QUICK, post_delay_s=0.15, duration_s=(0.0, 0.6), seed=seed)
    with against(tmp_path, config) as shell:
        name = shell.write(takes=8)
        for _ in range(3):
            running = shell.start("run", name)
            time.sleep(rng.uniform(0.5, 1.6))
            running.kill()
            running.communicate()
        last = shell.run("run", name)
        ledger = shell.ledger()

        # A POST that the kill cut off before it arrived is nowhere to be found: held, and told so.
        assert last.code in {0, 4}, last.err
        assert shell.charged_at_most_once()
        status = shell.run("status", "night", "--json").json
        assert status["jobs"]["done"] + status["jobs"]["held"] == 8
        assert ledger["accepted"] == status["jobs"]["done"]
        assert len(shell.clips()) == status["jobs"]["done"]


def test_a_kill_while_the_post_is_on_the_wire_is_found_again(tmp_path: Path) -> None:
    """The provider took it, nobody read the answer: adopted, not paid again."""
    with against(tmp_path, replace(QUICK, submit_script=("hang:5",))) as shell:
        running = shell.start("run", shell.write(takes=1))
        wait_for(lambda: shell.ledger()["accepted"] == 1)
        running.kill()
        running.communicate()
        again = shell.run("run", "night.yaml")

        assert again.code == 0, again.err
        assert (
            "1 submission in doubt at the start: 1 found at the provider (nothing paid again), 0 held"
            in again.out
        )
        assert shell.ledger()["posts"] == 1
