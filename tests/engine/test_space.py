"""Nothing is paid for that cannot be stored."""

from __future__ import annotations

from pathlib import Path

from batchrunner.engine.steps import Stop
from batchrunner.rules.space import FIRST_GUESS, RESERVE
from batchrunner.values import JobState
from tests.engine.test_loop import Rig, noted


def test_without_room_nothing_is_sent_and_the_run_says_why(tmp_path: Path) -> None:
    """Room for the reserve, but for no clip."""
    rig = Rig(tmp_path, free_bytes=RESERVE + FIRST_GUESS - 1)
    last = rig.run()

    assert rig.provider.ledger.posts == 0
    assert last.stop is Stop.LOCAL
    assert "64 MB" not in last.detail
    assert "free" in last.detail
    assert rig.jobs_in(JobState.PENDING) == 3


def test_room_for_one_means_one_at_a_time(tmp_path: Path) -> None:
    """Until the first clip tells how large they are."""
    rig = Rig(tmp_path, free_bytes=RESERVE + FIRST_GUESS)
    seen: list[int] = []
    rig.run(until=lambda progress: noted(seen, progress.in_flight))

    assert max(seen[: seen.index(1) + 3]) == 1
    assert rig.jobs_in(JobState.DONE) == 3


def test_what_is_paid_for_is_finished_without_room(tmp_path: Path) -> None:
    """The disk fills up after the first submissions: those are polled, fetched and published."""
    rig = Rig(tmp_path)

    def fill(_progress: object) -> bool:
        if rig.provider.ledger.posts:
            rig.free_bytes = 0
        return False

    rig.limits = type(rig.limits)(in_flight=2, submits_per_minute=None)
    last = rig.run(until=fill)

    assert rig.provider.ledger.posts == rig.jobs_in(JobState.DONE) == 2
    assert last.stop is Stop.LOCAL


def test_a_run_goes_on_once_there_is_room_again(tmp_path: Path) -> None:
    """While something is in flight the disk is looked at again."""
    rig = Rig(tmp_path)
    rig.limits = type(rig.limits)(in_flight=1, submits_per_minute=None)

    def tight(_progress: object) -> bool:
        rig.free_bytes = 0 if rig.clock.steady_s < 20 and rig.provider.ledger.posts else 1 << 40
        return False

    rig.run(until=tight)

    assert rig.jobs_in(JobState.DONE) == 3


def test_a_full_disk_is_no_trouble_once_everything_is_done(tmp_path: Path) -> None:
    """The last submission is out, and nothing more is wanted: the run ends well."""
    rig = Rig(tmp_path)

    def fill(_progress: object) -> bool:
        if rig.provider.ledger.posts == len(rig.jobs):
            rig.free_bytes = 0
        return False

    last = rig.run(until=fill)

    assert rig.jobs_in(JobState.DONE) == 3
    assert last.stop is None
