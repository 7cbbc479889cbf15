"""`verify` finds what is not as it was written, and says what mends it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from batchrunner.clock import SystemClock
from batchrunner.store.database import SMALL
from batchrunner.store.lock import runner_lock
from tests.shell import Shell, against


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a night that is over: three clips."""
    folder = tmp_path_factory.mktemp("night")
    with against(folder) as shell:
        assert shell.run("run", shell.write(takes=3), "--quiet").code == 0
    return folder


@pytest.fixture
def shell(night: Path, tmp_path: Path) -> Shell:
    """A copy of it; clips are looked for in the copy too."""
    shutil.copytree(night, tmp_path / "night")
    return Shell(tmp_path / "night")


def verified(shell: Shell, *words: str) -> tuple[int, list[tuple[str, str, str]]]:
    """Return exit code and findings: kind, what, mend."""
    done = shell.inside("verify", "night", "--output", "outputs", "--json", *words)
    return done.code, [(one["kind"], one["what"], one["mend"]) for one in done.json["findings"]]


def clip(shell: Shell, take: int) -> Path:
    """Return the path of a take's clip."""
    return shell.folder / f"outputs/night/fox/push-t{take}.mp4"


def with_table(shell: Shell, statement: str) -> None:
    """Write into the state table as a stray tool does."""
    with closing(sqlite3.connect(shell.folder / "state/night.db", isolation_level=None)) as db:
        db.execute(statement)


def test_what_is_whole_is_whole(shell: Shell) -> None:
    """And it is told what was looked at; nothing is written."""
    before = {path: path.stat().st_mtime_ns for path in shell.folder.rglob("*")}
    done = shell.inside("verify", "night", "--output", "outputs")

    assert done.code == 0
    assert "3 clips" in done.out
    assert done.out.endswith("whole\n")
    assert before == {path: path.stat().st_mtime_ns for path in shell.folder.rglob("*")}


def lose(shell: Shell) -> None:
    """Take a clip away."""
    clip(shell, 1).unlink()


def flip(shell: Shell) -> None:
    """Change one bit of a clip."""
    data = bytearray(clip(shell, 2).read_bytes())
    data[len(data) // 2] ^= 1
    clip(shell, 2).write_bytes(data)


def cut(shell: Shell) -> None:
    """Leave a byte out."""
    clip(shell, 2).write_bytes(clip(shell, 2).read_bytes()[:-1])


def lose_sidecar(shell: Shell) -> None:
    """Take a sidecar away."""
    clip(shell, 3).with_suffix(".json").unlink()


def swap_sidecar(shell: Shell) -> None:
    """Put another clip's sidecar there."""
    shutil.copy(clip(shell, 1).with_suffix(".json"), clip(shell, 3).with_suffix(".json"))


def spoil_sidecar(shell: Shell) -> None:
    """Write something else into a sidecar."""
    clip(shell, 3).with_suffix(".json").write_text("[1]")


@pytest.mark.parametrize(
    ("what", "kind", "told", "mend"),
    [
        (lose, "missing", "push-t1.mp4 is gone", "batchrunner verify night --fetch"),
        (flip, "changed", "its bytes are others", "batchrunner verify night --fetch"),
        (cut, "changed", "bytes, not", "batchrunner verify night --fetch"),
        (lose_sidecar, "sidecar", "cannot be read: No such file", "batchrunner why night fox.push.t3-"),
        (swap_sidecar, "sidecar", "tells of fox.push.t1-", "batchrunner why night fox.push.t3-"),
        (spoil_sidecar, "sidecar", "is not as it was written", "batchrunner why night fox.push.t3-"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_is_wrong_in_the_folder_is_named(
    shell: Shell, what: Callable[[Shell], None], kind: str, told: str, mend: str
) -> None:
    """Once, with its job and its way out; exit 8."""
    what(shell)
    code, ((found, sentence, way),) = verified(shell)

    assert (code, found) == (8, kind)
    assert told in sentence
    assert mend in way


@pytest.mark.parametrize(
    ("statement", "kind", "told"),
    [
        ("UPDATE job_tallies SET jobs = 9 WHERE state = 'done'", "count", "job_tallies has (9,)"),
        ("UPDATE attempt_tallies SET spent_usd_micros = 0", "count", "attempt_tallies has"),
        ("UPDATE jobs SET file = NULL WHERE take = 1", "contradiction", "is done, and no file"),
        ("DROP TRIGGER attempts_kept", "contradiction", 'lacks its trigger "attempts_kept"'),
    ],
)
def test_what_is_wrong_in_the_table_is_named(shell: Shell, statement: str, kind: str, told: str) -> None:
    """As far as one can say it in a sentence."""
    with_table(shell, statement)
    code, ((found, sentence, _way),) = verified(shell)

    assert (code, found) == (8, kind)
    assert told in sentence


def test_wrong_counts_are_mended_by_the_command_that_is_named(shell: Shell) -> None:
    """Which does nothing else."""
    with_table(shell, "UPDATE attempt_tallies SET spent_usd_micros = 0")
    ((_kind, _what, way),) = verified(shell)[1]

    assert way == "batchrunner verify night --mend"
    assert verified(shell, "--mend") == (0, [])
    assert shell.inside("status", "night", "--json").json["spent"] > 0


def test_a_row_that_belongs_to_nothing_is_named(shell: Shell) -> None:
    """Foreign keys are kept by each connection for itself; a tool may not."""
    with_table(shell, "UPDATE attempts SET closed_at = 'x'")
    with closing(sqlite3.connect(shell.folder / "state/night.db", isolation_level=None)) as db:
        db.execute("DROP TRIGGER attempts_frozen")
        db.execute("UPDATE attempts SET job = 'nobody' WHERE id = 1")
    _code, findings = verified(shell)

    assert "row 1 of attempts belongs to a row of jobs that is not there" in [
        what for _kind, what, _ in findings
    ]


def test_a_damaged_page_is_found(shell: Shell) -> None:
    """Even one that no run has read yet."""
    table = shell.folder / "state/night.db"
    with closing(sqlite3.connect(table)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events_by_job'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with table.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    done = shell.inside("verify", "night", "--output", "outputs", "--json")

    assert done.code == 8
    assert "damage" in {one["kind"] for one in done.json["findings"]}
    assert "restore a copy" in done.json["findings"][0]["mend"]


def test_while_a_run_is_at_work_a_large_table_is_left_alone(shell: Shell) -> None:
    """A look through it would keep the run from committing; the clips are looked at all the same."""
    blob = f"INSERT INTO events (at, kind, epoch, detail) VALUES ('x', 'x', 1, hex(zeroblob({SMALL // 2})))"
    with_table(shell, blob)
    with_table(shell, "UPDATE job_tallies SET jobs = 9")
    clip(shell, 1).unlink()
    with runner_lock(shell.folder / "state/night.lock", SystemClock()):
        done = shell.inside("verify", "night", "--output", "outputs", "--json")

    assert ["missing"] == [one["kind"] for one in done.json["findings"]]
    assert "a run is at work" in done.json["unchecked"][0]


def test_no_campaign_is_a_wrong_call(shell: Shell) -> None:
    """Exit 2."""
    assert shell.inside("verify", "other").code == 2


def test_the_shape_of_json(shell: Shell) -> None:
    """It stays."""
    lose(shell)
    told = json.loads(shell.inside("verify", "night", "--output", "outputs", "--json").out)

    assert set(told) == {
        *("campaign", "whole", "exit_code", "state", "output", "clips", "bytes", "findings", "unchecked"),
    }
    assert set(told["findings"][0]) == {"kind", "what", "mend", "job", "path"}
    assert told["findings"][0]["path"] == "fox/push-t1.mp4"
