"""The live view on a terminal, while a run waits."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.shell import against, wait_for


def test_while_a_run_waits_its_view_shows_the_last_clip_the_time_and_the_budget_of_this_run(
    tmp_path: Path,
) -> None:
    """One submission an hour: after the first clip nothing happens any more, and the view goes on."""
    with against(tmp_path) as shell:
        name = shell.write(takes=3, limits=", submits_per_hour: 1, budget: 9")
        ours, theirs = pty.openpty()
        words = [sys.executable, "-m", "batchrunner", "run", name, "--budget", "0.80"]
        environment = shell.environment(TERM="xterm", COLUMNS="160")
        process = subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown, until_s = b"", time.monotonic() + 60
        while b"12 s" not in shown and time.monotonic() < until_s:
            shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        while b"go on with" not in shown:
            shown += os.read(ours, 65536)
        wait_for(lambda: process.poll() is not None)
        os.close(ours)

    before, at_last, _after = shown.partition(b"12 s")
    assert at_last
    frame = before[before.rindex(b"11 s") :]
    assert b"1 done" in frame
    assert b"push-t1.mp4" in frame
    assert b"$0.15 spent, $0.00 reserved of $0.80" in frame
    assert process.returncode == 130
