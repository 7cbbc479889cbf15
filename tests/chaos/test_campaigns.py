"""Several kills in a row, in first runs and in recoveries: nothing paid twice, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.campaigns import Kill, at_a_point, at_a_time, campaigns


@pytest.mark.parametrize("kill", [at_a_point, at_a_time])
def test_kills_in_a_row_cost_nothing(tmp_path: Path, kill: Kill) -> None:
    """The emulator's ledger is the judge."""
    verdict = campaigns(tmp_path, range(1000, 1005), kill, kills_each=3)

    assert verdict.wrong == ()
    assert (verdict.duplicates, verdict.lost) == (0, 0)
    assert verdict.kills >= 8, "most kills must find the run at work"
