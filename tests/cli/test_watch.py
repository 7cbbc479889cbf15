"""`status --watch`, from a second terminal and from a pipe."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
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


def test_a_run_that_waits_for_its_hours_is_told_as_such(tmp_path: Path) -> None:
    """From the state table: nothing is stuck."""
    opens = datetime.now().astimezone() + timedelta(hours=3)
    hours = f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}"
    with against(tmp_path) as shell:
        running = shell.start("run", shell.write(takes=1, limits=f', window: "{hours}"'))
        wait_for(lambda: "a run is at work" in shell.inside("status", "night").out)
        told = shell.inside("status", "night").out
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
        after = shell.inside("status", "night").out

    assert f"; what waits is submitted from {opens:%Y-%m-%d %H:%M} on (limits.window)" in told
    assert "submitted from" not in after


def test_watching_is_for_people(tmp_path: Path) -> None:
    """With `--json` it is refused, with what to do instead."""
    assert "leave --json away" in Shell(tmp_path).run("status", "night", "--watch", "--json").err


def test_watching_may_begin_before_the_first_run(tmp_path: Path) -> None:
    """It says that it waits, and goes on when the state table comes."""
    with against(tmp_path) as shell:
        watching = shell.start("status", "night", "--watch")
        assert watching.stdout is not None
        first = watching.stdout.readline()
        shell.run("run", shell.write(takes=1))
        shown = watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=30)

    assert "night: waiting for its first run: there is no state table state/night.db yet" in first
    assert " of 1 job done" in shown + out
    assert (watching.returncode, err) == (0, "")


def test_status_after_a_kill_tells_what_is_in_doubt_and_that_the_run_did_not_end_by_itself(
    tmp_path: Path,
) -> None:
    """While it goes on that is said; and once another run has ended, why that did."""
    with against(tmp_path, replace(QUICK, submit_script=("hang:30",))) as shell:
        process = shell.start("run", shell.write(takes=1))
        wait_for(lambda: shell.ledger()["posts"] > 0)
        during, during_json = shell.run("status", "night").out, shell.run("status", "night", "--json").json
        process.kill()
        process.communicate()
        told, told_json = shell.run("status", "night").out, shell.run("status", "night", "--json").json

    assert "  a run is at work since 20" in during
    assert "1 submission without an answer so far\n" in during
    assert (during_json["last_run"]["at_work"], during_json["last_run"]["ended"]) == (True, None)
    assert "1 submission without an answer so far: run again; it looks for them first" in told
    ended = r"  the last run, of 20\S+ \S+, did not end by itself .*: its last word is of \d\d:\d\d\n"
    assert re.search(ended, told)
    assert told.endswith("\ngo on with: batchrunner run night.yaml\n")
    assert (told_json["last_run"]["at_work"], told_json["last_run"]["exit_code"]) == (False, None)


def test_status_tells_when_and_why_the_last_run_stopped_and_what_to_do_now(tmp_path: Path) -> None:
    """In the words of that run, until something else has happened."""
    with against(tmp_path) as shell:
        ended = shell.run("run", shell.write(takes=3), "--max-new", "1")
        told = shell.run("status", "night").out
        last = shell.run("status", "night", "--json").json["last_run"]
        shell.run("run", "night.yaml")
        done = shell.run("status", "night").out

    assert re.search(
        r"  the last run, 20\S+ \S+?( to \S+)?, stopped: enough: as many new submissions as were asked for"
        r" \(exit 10\)\n",
        told,
    )
    assert told.splitlines()[-1] == ended.err.splitlines()[-1]
    assert (last["stop"], last["exit_code"]) == ("enough", 10)
    assert last["began"] < last["ended"]
    assert ", every job was done (exit 0)\n" in done
    assert done.splitlines()[-1].startswith("clips: ")


def test_status_tells_of_an_error_that_ended_the_last_run(tmp_path: Path) -> None:
    """As far as the state table can still be written."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=1), "--max-new", "0")
        (tmp_path / "outputs" / "night").rename(tmp_path / "aside")
        (tmp_path / "outputs" / "night").write_text("in the way", encoding="utf-8")
        failed = shell.run("run", "night.yaml")
        told = shell.run("status", "night").out

    assert failed.code == 8
    assert "ended with an error: cannot write to the folder" in told
    assert "(exit 8)" in told
