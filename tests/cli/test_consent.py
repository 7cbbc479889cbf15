"""A run that may cost more than a threshold asks once, and takes nothing but a yes for one."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shell import Shell, against

QUESTION = "night: 3 jobs to submit to pixverse-v5.6-i2v, at most $0.45 still to pay"


def on_a_terminal(shell: Shell, *words: str, typed: str) -> tuple[int, str]:
    """Run a command with a terminal for input and errors; type once the question is there."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "batchrunner", *words],
        cwd=shell.folder,
        env=shell.environment(TERM="dumb"),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while b"[y/N] " not in said and (more := read(ours)):
        said += more
    os.write(ours, typed.encode())
    while more := read(ours):
        said += more
    running.communicate(timeout=60)
    os.close(ours)
    return running.returncode, said.decode()


def read(descriptor: int) -> bytes:
    """Return what is there to read; nothing once the other side has closed."""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""


def test_below_the_threshold_nobody_is_asked_and_above_it_a_script_must_say_yes(tmp_path: Path) -> None:
    """Exit 2, nothing sent, and both ways on are named; then `--yes` runs."""
    with against(tmp_path) as shell:
        asked = shell.run("run", shell.write(), "--ask-above", "0.44")
        by_environment = shell.run("run", "night.yaml", BATCHRUNNER_ASK_ABOVE="0.44")
        posts = shell.ledger()["posts"]
        agreed = shell.run("run", "night.yaml", "--ask-above", "0.44", "--yes")
        nothing_left = shell.run("run", "night.yaml", "--ask-above", "0")

        assert (asked.code, by_environment.code, posts) == (2, 2, 0)
        assert asked.err.splitlines() == [
            QUESTION,
            "that is more than $0.44, and nobody is here to ask; nothing was sent",
            "say yes to it: batchrunner run --yes night.yaml --ask-above 0.44; or save a plan and run that: "
            "batchrunner plan night.yaml -o night.plan",
        ]
        assert not any("asked" in line for line in agreed.err.splitlines())
        assert (agreed.code, nothing_left.code) == (0, 0)


def test_the_way_to_say_yes_is_for_just_what_was_asked(tmp_path: Path) -> None:
    """Pasted, it submits no further job and looks into no other state table; a plan would be of all."""
    with against(tmp_path) as shell:
        shell.write(name="night shift.yaml")
        folders = ("--state", "my tables", "--output", "clips")
        few = shell.run("run", "night shift.yaml", *folders, "--max-new", "1", "--ask-above", "0")
        everything = shell.run("run", "night shift.yaml", *folders, "--ask-above", "0")
        said = few.err.splitlines()[-1]
        pasted = shell.run(*shlex.split(said.removeprefix("say yes to it: batchrunner ")))

        told = "say yes to it: batchrunner run --yes 'night shift.yaml' --state 'my tables' --output clips"
        assert said == f"{told} --max-new 1 --ask-above 0"
        assert everything.err.splitlines()[-1] == (
            f"{told} --ask-above 0; or save a plan and run that: "
            "batchrunner plan 'night shift.yaml' -o night.plan --state 'my tables' --output clips"
        )
        assert (pasted.code, shell.ledger()["accepted"]) == (10, 1)
        assert (tmp_path / "my tables" / "night.db").is_file()


def test_what_is_written_and_never_sent_is_told_before_money_moves(tmp_path: Path) -> None:
    """As `plan` tells it: with `--yes` and below the threshold too, and no more once nothing is left."""
    with against(tmp_path) as shell:
        name = shell.write(takes=1)
        told = (tmp_path / name).read_text(encoding="utf-8")
        told = told.replace('fox.png"}', 'fox.png", vars: {mood: calm}}')
        (tmp_path / name).write_text(told.replace("takes: 1", "takes: 2"), encoding="utf-8")
        agreed = shell.run("run", name, "--yes", "--max-new", "1")
        cheap = shell.run("run", name)
        nothing_left = shell.run("run", name, "--yes")

        for done in (agreed, cheap):
            first, *rest = done.err.splitlines()
            assert first.startswith("note: night.yaml:")
            assert "no prompt uses {mood}" in first
            assert not any(line.startswith("note:") for line in rest)
        assert "note:" not in nothing_left.err


def test_what_is_still_to_pay_is_what_counts(tmp_path: Path) -> None:
    """Two of three are done: the third is below the threshold. So are a few jobs, or what a budget leaves."""
    with against(tmp_path) as shell:
        few = shell.run("run", shell.write(takes=3), "--max-new", "2", "--ask-above", "0.3")
        third = shell.run("run", "night.yaml", "--ask-above", "0.15")
        budget = shell.run("run", shell.write(takes=9, limits=", budget: 0.60"), "--ask-above", "0.15")

        assert (few.code, third.code) == (10, 0)
        assert budget.code == 6  # three times $0.15 are spent, and one more fits
        assert shell.ledger()["accepted"] == 4


def test_on_a_terminal_a_yes_is_asked_for_once(tmp_path: Path) -> None:
    """With the bill in one line; then it runs."""
    with against(tmp_path) as shell:
        code, said = on_a_terminal(shell, "run", shell.write(), "--ask-above", "0.1", typed="y\n")

        assert (code, said.count("[y/N]"), said.splitlines()[0]) == (0, 1, QUESTION)
        assert shell.ledger()["accepted"] == 3


@pytest.mark.parametrize("typed", ["n\n", "\n", "\x04", "yo\n"])
def test_on_a_terminal_only_a_yes_is_a_yes(tmp_path: Path, typed: str) -> None:
    """No, nothing, the end of input and anything else: exit 2, before anything is written."""
    shell = Shell(tmp_path, "http://127.0.0.1:9", "k")
    code, said = on_a_terminal(shell, "run", shell.write(), "--ask-above", "0.1", typed=typed)

    assert (code, said.count("[y/N]")) == (2, 1)
    assert said.splitlines()[-1] == "nothing was sent"
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("amount", ["ten", "nan", "inf", "-1"])
def test_a_threshold_that_is_no_amount_is_refused(tmp_path: Path, amount: str) -> None:
    """It must not let everything through."""
    shell = Shell(tmp_path, "http://127.0.0.1:9", "k")
    done = shell.run("run", shell.write(), BATCHRUNNER_ASK_ABOVE=amount)

    assert done.code == 2
    assert f'"{amount}" is not an amount in dollars' in done.err
