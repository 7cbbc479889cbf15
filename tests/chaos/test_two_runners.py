"""Two runners of one campaign, started together: one works, the other says who has it and goes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from batchrunner.emulator.process import EmbeddedEmulator
from tests.chaos.rig import LONGEST_S, WEATHER, Night

STARTS = 20
AT_ONCE = 2


def finished(running: subprocess.Popen[str]) -> tuple[int, int, str]:
    """Return a runner's exit code, its process id and what it said."""
    _out, said = running.communicate(timeout=LONGEST_S)
    return running.returncode, running.pid, said


def wrong_with_two(night: Night) -> Iterator[str]:
    """Start two runners together; yield what is not as promised."""
    runners = [night.shell.start("run", "night.yaml", "--quiet") for _ in range(2)]
    (worked, first, said), (refused, _second, why) = sorted(finished(one) for one in runners)
    if (worked, refused) != (0, 9):
        yield f"exit codes {worked} and {refused}: {said}{why}"
    elif f"process {first} on " not in why and "it has not written its name yet" not in why:
        yield f"does not name the first, {first}: {why}"
    night.finish()
    verdict = night.judge()
    yield from verdict.wrong
    if (verdict.accepted, verdict.held) != (night.takes, 0):
        yield str(verdict)


def test_two_runners_started_together_pay_once(tmp_path: Path) -> None:
    """Twenty times over, each in a campaign of its own, so that they also meet at the making of its table."""
    with EmbeddedEmulator(WEATHER) as emulator, ThreadPoolExecutor(AT_ONCE) as pool:

        def outcome(number: int) -> list[str]:
            return list(wrong_with_two(Night(tmp_path / str(number), emulator.api, emulator.key, number)))

        assert [one for wrong in pool.map(outcome, range(STARTS)) for one in wrong] == []
