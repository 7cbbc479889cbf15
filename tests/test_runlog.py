"""The log of a run: what was committed, line by line; it never gets in the way."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchrunner import runlog
from batchrunner.runlog import RunLog
from tests.shell import QUICK, Shell, against, wait_for


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return the log of a campaign."""
    path = folder / "state" / "night.log.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_run_tells_its_story_line_by_line(tmp_path: Path) -> None:
    """From the intent to the clip, with times, ids and money; private; the next run has another number."""
    with against(tmp_path, replace(QUICK, submit_script=("accept_then_drop",))) as shell:
        shell.run("run", shell.write(takes=1))
        shell.run("run", shell.write(takes=2))

    told = lines(tmp_path)
    first = [one["event"] for one in told if one["run"] == told[0]["run"]]
    assert first[0] == "run"
    assert [one for one in first if one not in {"run", "end"}] == [
        *("intent", "unclear", "found", "ready", "fetched", "published")
    ]
    assert told[-1]["event"] == "end"
    assert (told[-1]["jobs"]["done"], told[-1]["spent_usd"]) == (2, 0.3)
    assert len({one["run"] for one in told}) == 2
    assert sorted(one["at"] for one in told) == [one["at"] for one in told]
    assert stat.S_IMODE((tmp_path / "state" / "night.log.jsonl").stat().st_mode) == 0o600


def test_a_log_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    """Here it is a folder."""
    with against(tmp_path) as shell:
        (tmp_path / "state" / "night.log.jsonl").mkdir(parents=True)
        done = shell.run("run", shell.write(takes=1))

    assert done.code == 0, done.err


def test_a_log_behind_a_link_is_not_followed(tmp_path: Path) -> None:
    """Somebody may have put it there."""
    mine = tmp_path / "mine.txt"
    mine.write_text("mine", encoding="utf-8")
    (tmp_path / "x.log.jsonl").symlink_to(mine)
    with RunLog(tmp_path / "x.log.jsonl", 1) as log:
        log.say(0, "run", {})

    assert mine.read_text(encoding="utf-8") == "mine"


def test_a_log_that_has_grown_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few are kept, all of them private."""
    monkeypatch.setattr(runlog, "SIZE_MAX", 300)
    with RunLog(tmp_path / "x.log.jsonl", 1) as log:
        for number in range(100):
            log.say(number, "run", {"detail": 50 * "x"})

    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 1 + runlog.KEPT
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert all(json.loads(line) for path in kept for line in path.read_text(encoding="utf-8").splitlines())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_the_machine_is_kept_awake_for_as_long_as_the_run_lives(tmp_path: Path) -> None:
    """Also after kill -9: the helper waits for the end of a pipe. A variable turns it off."""
    tools = tmp_path / "tools"
    tools.mkdir()
    helper = tools / "systemd-inhibit"
    helper.write_text(
        '#!/bin/sh\necho "$$ $*" >> inhibited\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n'
    )
    helper.chmod(0o755)
    with against(tmp_path, replace(QUICK, submit_script=("hang:30",) * 3)) as shell:
        path = f"{tools}:{shell.environment()['PATH']}"
        on = started(shell, PATH=path)
        wait_for((tmp_path / "inhibited").exists)
        number, _, words = (tmp_path / "inhibited").read_text(encoding="utf-8").partition(" ")
        assert "--what=sleep:idle" in words
        assert is_alive(int(number))
        on.kill()
        on.communicate()
        wait_for(lambda: not is_alive(int(number)))
        (tmp_path / "inhibited").unlink()
        shell.run("run", "night.yaml", PATH=path, BATCHRUNNER_AWAKE="0")
        assert not (tmp_path / "inhibited").exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_a_helper_that_may_not_keep_the_machine_awake_leaves_no_zombie(tmp_path: Path) -> None:
    """Without a system bus it ends at once, and the run goes on for hours."""
    tools = tmp_path / "tools"
    tools.mkdir()
    helper = tools / "systemd-inhibit"
    helper.write_text('#!/bin/sh\necho "$$" > refused\nexit 1\n')
    helper.chmod(0o755)
    with against(tmp_path, replace(QUICK, submit_script=("hang:30",) * 3)) as shell:
        on = started(shell, PATH=f"{tools}:{shell.environment()['PATH']}")
        wait_for((tmp_path / "refused").exists)
        number = int((tmp_path / "refused").read_text(encoding="utf-8"))
        wait_for(lambda: not Path(f"/proc/{number}").exists(), within_s=5)
        on.kill()
        on.communicate()


def started(shell: Shell, **more: str) -> subprocess.Popen[bytes]:
    """Start a run and wait until its first POST hangs."""
    before = shell.ledger()["posts"]
    words = [sys.executable, "-m", "batchrunner", "run", shell.write(takes=3)]
    process = subprocess.Popen(
        words, cwd=shell.folder, env=shell.environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(lambda: shell.ledger()["posts"] > before or process.poll() is not None)
    return process


def is_alive(number: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
