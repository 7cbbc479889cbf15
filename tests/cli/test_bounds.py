"""`run` with a deadline, a budget or a number of jobs: the real program, its exit codes and its last line."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.shell import Shell, against


def test_a_few_first_then_a_budget_then_all(tmp_path: Path) -> None:
    """10, 6 and 0; each says what to do now, and the command that it names works."""
    with against(tmp_path) as shell:
        night = shell.write(takes=5)
        few = shell.run("run", night, "--max-new", "2")
        short = shell.run("run", night, "--budget", "0.50")
        told = short.err.splitlines()[-1]
        done = shell.run(*told.partition(": ")[2].split()[1:])

        assert (few.code, short.code, done.code) == (10, 6, 0), few.err + short.err + done.err
        assert few.err.splitlines()[-1].startswith("3 jobs left")
        assert "stopped: enough: as many new submissions as were asked for" in few.out
        assert "stopped: budget: the next job does not fit into it" in short.out
        assert told == "$0.75 is enough for all that is left: batchrunner run night.yaml --budget 0.75"
        assert shell.ledger()["posts"] == 5


def test_a_length_of_time(tmp_path: Path) -> None:
    """What was begun is finished, exit 10 tells that there is more, and another run goes on."""
    with against(tmp_path) as shell:
        night = shell.write(takes=200)
        first = shell.run("run", night, "--for", "2s", "--in-flight", "1", "--yes", "--json")
        few = shell.run("run", night, "--max-new", "0", "--json")

        assert first.code == 10, first.err
        assert first.json["stop"] == "deadline"
        assert 0 < first.json["jobs"]["done"] < 200
        assert first.json["jobs"]["active"] == 0
        assert first.json["next"].startswith(f"{first.json['jobs']['pending']} jobs left, some ")
        assert (few.code, few.json["submissions"]) == (10, 0)


def test_the_status_says_where_the_money_ends_the_run(tmp_path: Path) -> None:
    """As a plan does: by the budget that the last run was given, else by the manifest's."""
    with against(tmp_path) as shell:
        night = shell.write(takes=5, limits=", budget: 0.70")
        shell.run("run", night, "--max-new", "1")
        by_manifest = shell.run("status", "night").out
        shell.run("run", night, "--max-new", "1", "--budget", "0.50")
        by_call, told = shell.run("status", "night").out, shell.run("status", "night", "--json").json
        shell.run("run", night, "--budget", "0.50")
        used_up = shell.run("status", "night").out
        shell.run("run", night, "--budget", "0.75", "--max-new", "0")
        enough = shell.run("status", "night").out

    assert "the budget ends it after about 3 more jobs, in about " in by_manifest
    assert "spent $0.30, reserved $0.00, budget $0.50" in by_call
    assert "the budget ends it after about 1 more job, in about " in by_call
    assert (told["budget"], told["estimate"]["within"], told["estimate"]["cost"]) == (0.5, 1, 0.75)
    assert "no job that waits fits into what is left of the budget" in used_up
    assert "done in about " not in by_manifest + by_call + used_up
    assert "the budget ends it" not in enough


def test_a_plan_and_a_dry_run_tell_how_far_a_run_with_bounds_gets(tmp_path: Path) -> None:
    """Jobs, their money and the time; whichever bound comes first. Nothing is written."""
    shell = Shell(tmp_path)
    night = shell.write(takes=200)
    few = shell.inside("plan", night, "--max-new", "5")
    short = shell.inside("run", night, "-n", "--max-new", "5", "--budget", "0.50")
    timed = shell.inside("plan", night, "--for", "10m")
    told = shell.inside("plan", night, "--for", "10m", "--json").json
    whole = shell.inside("plan", night, "--for", "90h", "--max-new", "1000").out

    assert "--max-new ends it after 5 jobs, for $0.75 at most, in about " in few.out
    assert "the budget ends it after about 3 jobs, in about " in short.out
    assert "the deadline ends it after about " in timed.out
    assert 5 < told["within"] < 200
    assert (told["ends"], told["within_cost"], told["deadline"]) == (
        "deadline",
        pytest.approx(0.15 * told["within"]),
        600.0,
    )
    assert told["finish"] <= 600
    assert "ends it" not in whole
    assert not (tmp_path / "state").exists()


def test_a_deadline_counts_only_the_hours_of_the_window(tmp_path: Path) -> None:
    """What is over before they begin does nothing."""
    shell = Shell(tmp_path)
    opens = datetime.now().astimezone() + timedelta(hours=6)
    hours = f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}"
    night = shell.write(takes=200, limits=f', window: "{hours}"')

    before = shell.inside("plan", night, "--for", "5h").out
    within = shell.inside("plan", night, "--for", "6h10m", "--json").json

    assert "no job that waits would be done before the deadline" in before
    assert 0 < within["within"] < 200


def test_a_deadline_that_nothing_is_known_for_is_said(tmp_path: Path) -> None:
    """The emulator's pace is nobody's guess before its first clip."""
    with against(tmp_path) as shell:
        planned = shell.inside("plan", shell.write(), "--until", "07:00")

    assert "how much is done by the deadline is not known" in planned.out


def test_a_saved_plan_takes_no_bounds(tmp_path: Path) -> None:
    """It is of all there is to do; a run of it may be bounded."""
    shell = Shell(tmp_path)
    done = shell.inside("plan", shell.write(), "-o", "night.plan", "--max-new", "2")

    assert done.code == 2
    assert "give the bounds to `run FILE`" in done.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--until", "25:00"), "a time is written like 07:00"),
        (("--until", "2020-01-01T07:00"), "2020-01-01T07:00 has passed already"),
        (("--for", "soon"), "a length of time is written like 8h"),
        (("--budget", "much"), "a sum is written in dollars, like 52.40"),
        (("--max-new", "-1"), "-1 is not in the range"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, words: tuple[str, str], why: str) -> None:
    """Exit 2, before anything is made or sent."""
    shell = Shell(tmp_path, "http://127.0.0.1:1", "key")
    done = shell.run("run", shell.write(), *words)

    assert done.code == 2
    assert why in done.err
    assert not (tmp_path / "state").exists()
