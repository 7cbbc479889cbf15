"""`status --watch`, from a second terminal and from a pipe."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.shell import QUICK, Shell, against, wait_for


def test_a_pipe_gets_a_line_for_each_change_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    """Nothing is said twice; exit 0, no traceback."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=1))
        watching = shell.start("status", "night", "--watch")
        assert watching.stdout is not None
        first = watching.stdout.readline()
        shell.run("run", shell.write(takes=2))
        second = watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=30)

    assert "night: 1 of 1 job done; 1  done; spent $0.15" in first
    assert " of 2 jobs done" in second + out
    assert (watching.returncode, err) == (0, "")


def test_a_terminal_gets_one_view(tmp_path: Path) -> None:
    """Drawn in place."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=1))
        ours, theirs = pty.openpty()
        words = [sys.executable, "-m", "batchrunner", "status", "night", "--watch"]
        process = subprocess.Popen(
            words, cwd=tmp_path, env=shell.environment(TERM="xterm"), stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        shown = b""
        until_s = time.monotonic() + 30
        while b"clips:" not in shown and time.monotonic() < until_s:
            shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        wait_for(lambda: process.poll() is not None)
        os.close(ours)

    assert b"1 of 1 job done" in shown
    assert process.returncode == 0


def test_watching_is_for_people(tmp_path: Path) -> None:
    """With `--json` it is refused, with what to do instead; a campaign that is not there is told."""
    shell = Shell(tmp_path)

    assert "leave --json away" in shell.run("status", "night", "--watch", "--json").err
    assert "there is no state table" in shell.run("status", "night", "--watch").err


def test_status_after_a_kill_tells_what_is_in_doubt(tmp_path: Path) -> None:
    """And that the next run settles it; afterwards it says no more of it."""
    with against(tmp_path, replace(QUICK, submit_script=("hang:30",))) as shell:
        process = shell.start("run", shell.write(takes=1))
        wait_for(lambda: shell.ledger()["posts"] > 0)
        process.kill()
        process.communicate()
        told = shell.run("status", "night").out

    assert "1 submission without an answer so far: if no run is at work, run again" in told
