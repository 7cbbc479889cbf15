"""A table is looked through for damage at every start, unless it lies there as it was left."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from batchrunner.clock import SystemClock
from batchrunner.errors import LocalError
from batchrunner.store.database import SMALL, open_database
from batchrunner.store.left import Left, left, told
from batchrunner.store.lock import is_at_work, runner_lock

CLOCK = SystemClock()


def filled(path: Path, size: int) -> None:
    """Make a table of at least so many bytes."""
    with closing(open_database(path)) as db:
        db.execute(
            """INSERT INTO events (at, kind, epoch, detail) SELECT 'x', 'x', 1, hex(zeroblob(1500))
               FROM json_each(?)""",
            [str([0] * (size // 3_000))],
        )


def spoil(path: Path) -> None:
    """Turn one page in the middle into nonsense, as a bad disk does: the file's times stay."""
    info = path.stat()
    with path.open("r+b") as file:
        file.seek(info.st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that is too large to be looked through at every start."""
    path = tmp_path_factory.mktemp("left") / "large.db"
    filled(path, SMALL + 2**20)
    return path


@pytest.fixture
def copy(large: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    path = tmp_path / "x.db"
    path.write_bytes(large.read_bytes())
    return path


def test_a_large_table_as_it_was_left_is_not_looked_through(copy: Path) -> None:
    """Damage that nothing can have done but the disk is found when its page is read."""
    as_left = left(copy)
    spoil(copy)
    with (
        closing(open_database(copy, left=as_left)) as db,
        pytest.raises(sqlite3.DatabaseError, match="malformed"),
    ):
        db.execute("SELECT max(detail) FROM events").fetchall()


@pytest.mark.parametrize("what", ["nothing said", "written to since", "journal", "put back", "touched"])
def test_whatever_else_it_is_looked_through(copy: Path, what: str) -> None:
    """A killed run leaves no word; anybody's write, or another file, is not what was left."""
    as_left: Left | None = left(copy)
    match what:
        case "nothing said":
            as_left = None
        case "written to since":
            info = copy.stat()
            with closing(sqlite3.connect(copy)) as db:
                db.execute("UPDATE transitions SET to_state = to_state")
                db.commit()
            os.utime(copy, ns=(info.st_atime_ns, info.st_mtime_ns))
        case "journal":
            copy.with_name("x.db-journal").write_bytes(b"")
        case "put back":
            twin = copy.with_name("twin")
            twin.write_bytes(copy.read_bytes())
            info = copy.stat()
            twin.replace(copy)
            os.utime(copy, ns=(info.st_atime_ns, info.st_mtime_ns))
        case "touched":
            copy.touch()
    spoil(copy)
    with pytest.raises(LocalError, match="damaged"):
        open_database(copy, left=as_left)


def test_a_small_table_is_always_looked_through(tmp_path: Path) -> None:
    """It takes no time."""
    path = tmp_path / "x.db"
    filled(path, 2**20)
    as_left = left(path)
    spoil(path)

    with pytest.raises(LocalError, match="damaged"):
        open_database(path, left=as_left)


def test_the_word_stands_from_the_end_of_a_run_to_the_beginning_of_the_next(tmp_path: Path) -> None:
    """A run that dies has taken it back."""
    path, lock_path = tmp_path / "x.db", tmp_path / "x.lock"
    open_database(path).close()
    with runner_lock(lock_path, CLOCK) as lock:
        first = lock.left
        lock.note(7)
        lock.leave(path)
    with runner_lock(lock_path, CLOCK) as lock:
        second, epoch = lock.left, lock.epoch
    with runner_lock(lock_path, CLOCK) as lock:
        third = lock.left

    assert (first, second, third, epoch) == (None, left(path), None, 7)


@pytest.mark.parametrize("value", [None, [], {}, {"size": "1"}, {"size": 1, "counter": 2, "inode": None}])
def test_what_is_no_word_is_none(value: object) -> None:
    """A lock file of an older version, or one that somebody edited."""
    assert told(value) is None


def test_a_lock_is_seen_from_outside(tmp_path: Path) -> None:
    """Without taking it."""
    path = tmp_path / "x.lock"
    before = is_at_work(path)
    with runner_lock(path, CLOCK):
        during = is_at_work(path)

    assert (before, during, is_at_work(path)) == (False, True, False)
