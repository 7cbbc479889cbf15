"""Two runners of one campaign, started together: one works, the other says who has it and goes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from batchrunner.emulator.process import EmbeddedEmulator
from tests.chaos.rig import LONGEST_S, WEATHER, Night
from tests.shell import Done

STARTS = 20
AT_ONCE = 4


def finished(running: subprocess.Popen[str]) -> tuple[Done, int]:
    """Return what a runner left behind, and its process id."""
    out, said = running.communicate(timeout=LONGEST_S)
    return Done(running.returncode, out, said), running.pid


def wrong_with_two(night: Night) -> Iterator[str]:
    """Start two runners together; yield what is not as promised."""
    runners = [night.shell.start("run", "night.yaml", "--quiet", "--json") for _ in range(2)]
    ended = sorted((finished(one) for one in runners), key=lambda one: one[0].code)
    (worked, first), (refused, _second) = ended
    late = refused.code == 0  # on a machine that is busy one may begin once the other has ended
    if worked.code != 0 or refused.code not in {0, 9}:
        yield f"{worked} {refused}"
        return
    if late and 0 not in (worked.json["submissions"], refused.json["submissions"]):
        yield f"both have sent something: {worked} {refused}"
    if (
        not late
        and f"process {first} on " not in refused.err
        and "it has not written its name yet" not in refused.err
    ):
        yield f"does not name the first, {first}: {refused}"
    night.last = worked
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
