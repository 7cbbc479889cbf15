"""The live view on a terminal, while a run waits."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchrunner.cli.live import outlook_words
from batchrunner.engine.outlook import Outlook
from batchrunner.engine.steps import Stop
from batchrunner.rules.foresight import Foresight
from batchrunner.rules.hours import until_us
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


NOW_US = until_us("2026-11-23T22:00", 0)  # where this machine's clock stands, as people read it


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Outlook(None, None, None, None), ""),
        (Outlook(None, None, None, 12_000_000), "at most $12.00 in all"),
        (
            Outlook(Foresight(3600, 5400, 7200, ""), None, 11_701_234, 12_000_000),
            "done between 23:00 and 00:00, $11.70 to $12.00 in all",
        ),
        (Outlook(Foresight(60, 60, 61, ""), None, 3_000_001, 3_000_001), "done about 22:01, $3.00 in all"),
        (
            Outlook(Foresight(3600, 5400, 7200, ""), 12, None, 5_000_000),
            "the budget ends it after about 12 more jobs, between 23:00 and 00:00, at most $5.00 in all",
        ),
        (
            Outlook(None, 1, None, 1_000_000),
            "the budget ends it after about 1 more job, at most $1.00 in all",
        ),
        (
            Outlook(Foresight(3600, 5400, 7200, ""), None, None, None, cut=True),
            "done between 23:00 and 00:00 but for the deadline",
        ),
        (
            Outlook(None, 2, None, 450_000, Stop.ENOUGH),
            "--max-new ends it after about 2 more jobs, at most $0.45 in all",
        ),
        (Outlook(None, 0, None, None), "the budget ends it after what is under way"),
        (
            Outlook(Foresight(3600, 90_000, 180_000, ""), None, None, None),
            "done between 23:00 and 2026-11-26 00:00",
        ),
    ],
)
def test_what_is_to_be_expected_is_one_line(told: Outlook, words: str) -> None:
    """No more than is known; a time of another day has its day."""
    assert outlook_words(told, NOW_US) == words
