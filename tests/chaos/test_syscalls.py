"""Disk full, I/O errors, files that may not grow: the run says so and ends with 8; the next one goes on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batchrunner.emulator.process import EmbeddedEmulator
from tests.chaos.faults import can_inject, can_mount, faults, full_disk, small_files, wrong_after, wrong_with
from tests.chaos.rig import WEATHER, Night

AT_ONCE = 4
# Every ninth of all faults at the first 24 calls: each call, error and kind comes up, early and late.
CHOSEN = faults(range(1, 25), (1, 2))[::9]
GROUPS = 4


@pytest.mark.skipif(not can_inject(), reason="strace is not here, or may not trace")
@pytest.mark.parametrize("group", range(GROUPS))
def test_a_failing_system_call_ends_with_8_and_costs_nothing(tmp_path: Path, group: int) -> None:
    """Committed rows stay, the table is whole, nothing is paid twice, and the next run ends with all done."""
    with EmbeddedEmulator(WEATHER) as emulator, ThreadPoolExecutor(AT_ONCE) as pool:

        def outcome(number: int) -> tuple[bool, list[str]]:
            night = Night(tmp_path / str(number), emulator.api, emulator.key, number)
            return wrong_with(night, CHOSEN[number])

        outcomes = list(pool.map(outcome, range(group, len(CHOSEN), GROUPS)))

        assert [one for _fell, wrong in outcomes for one in wrong] == []
        assert sum(fell for fell, _wrong in outcomes) >= len(outcomes) // 2, "most faults must fall"


@pytest.mark.skipif(not can_mount(), reason="no mounts of one's own here")
@pytest.mark.parametrize(("folder", "kib"), [("state", 16), ("state", 104), ("state", 128), ("outputs", 8)])
def test_a_full_disk_ends_with_8_and_the_next_run_goes_on(tmp_path: Path, folder: str, kib: int) -> None:
    """A real disk without room: for the table, for its journal at some tick, for the second clip."""
    with EmbeddedEmulator(WEATHER) as emulator:
        night = Night(tmp_path / "night", emulator.api, emulator.key, kib)
        full_disk(night, folder, kib)

        assert wrong_after(night, {8}) == []


@pytest.mark.parametrize("blocks", [0, 60, 150, 165])
def test_a_file_size_limit_ends_with_8_and_the_next_run_goes_on(tmp_path: Path, blocks: int) -> None:
    """SQLite calls it an I/O error and not a full disk; what is to be done is the same."""
    with EmbeddedEmulator(WEATHER) as emulator:
        night = Night(tmp_path / "night", emulator.api, emulator.key, blocks)
        small_files(night, blocks)

        assert wrong_after(night, {8}) == []
