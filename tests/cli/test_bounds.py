"""`run` with a deadline, a budget or a number of jobs: the real program, its exit codes and its last line."""

from __future__ import annotations

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
