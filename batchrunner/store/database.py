"""Opening the state table so that its word can be trusted.

`journal_mode=DELETE` with `synchronous=EXTRA` is the one setting of SQLite under which a commit that has
returned survives a power cut on every file system: EXTRA also syncs the folder after the journal's
unlink, which is the commit. It costs about a millisecond; a job needs four or five. WAL is not used: its
NORMAL level may lose the last commits, and releases before 3.51.3 have a reset race.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from batchrunner.errors import InvariantError, LocalError, UsageError
from batchrunner.store.expected import check_schema
from batchrunner.store.left import Left
from batchrunner.store.left import left as left_now
from batchrunner.store.schema import SCHEMA_VERSION, migrations, write_transitions

# Pragma, the value to set, and the value that must be read back.
PRAGMAS: tuple[tuple[str, str, str | int], ...] = (
    ("journal_mode", "DELETE", "delete"),
    ("synchronous", "EXTRA", 3),
    ("fullfsync", "1", 1),
    ("foreign_keys", "1", 1),
    ("trusted_schema", "0", 0),
    ("cell_size_check", "1", 1),
    ("secure_delete", "1", 1),
    ("busy_timeout", "30000", 30000),
)


READ_ERROR = sqlite3.DatabaseError  # what a question raises that cannot be answered
SMALL = 32 * 2**20  # bytes: so much is looked through in some hundredths of a second


def open_database(path: Path, *, create: bool = True, left: Left | None = None) -> Database:
    """Open the state table for writing; make and migrate it as needed.

    It is looked through for damage, unless it is large and lies there as `left` says that it was left.

    Raises:
        LocalError: the file cannot be opened, is damaged, or was made by a newer version.
    """
    with explained(path):
        _check_file(path, create=create)
        at_rest = left is not None and left.size > SMALL and left == left_now(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=True)
        try:
            _set_pragmas(connection)
            _check_version(connection, path)
            if not at_rest:
                _check_health(connection, path)
            db = Database(connection, execute_plugins=False, recursive_triggers=False)
            if migrations.pending(db):
                migrations.apply(db)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            check_schema(db, path)
            write_transitions(db)
        except BaseException:
            connection.close()
            raise
    return db


def open_readonly(path: Path) -> Database:
    """Open an existing state table for reading only; it never blocks a runner for long.

    Raises:
        UsageError: there is no such file.
        LocalError: it is not a state table.
    """
    with explained(path):
        if not path.is_file():
            raise UsageError(f"there is no state table {path}: nothing was run or recorded there yet")
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            connection.execute("PRAGMA query_only = 1")
            connection.execute("PRAGMA trusted_schema = 0")
            connection.execute("PRAGMA busy_timeout = 30000")
            _check_readable(connection, path)
        except BaseException:
            connection.close()
            raise
        return Database(connection, execute_plugins=False, recursive_triggers=False)


@contextlib.contextmanager
def maybe_readonly(path: Path) -> Iterator[Database | None]:
    """Open a state table for reading only where there is one, else give None; close it afterwards.

    Raises:
        LocalError: it is there and cannot be read.
    """
    if not path.exists():
        yield None
        return
    with explained(path):
        db = open_readonly(path)
        try:
            yield db
        finally:
            db.close()


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and the file system into sentences.

    Raises:
        InvariantError: the table refused a write that breaks a rule (a bug).
        LocalError: everything else.
    """
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise InvariantError(f"the state table {path} refused a write: {error}") from error
    except sqlite3.Error as error:
        raise LocalError(f"the state table {path} cannot be used: {error}{_advice(error)}") from error
    except BrokenPipeError:
        raise  # of whoever reads what is printed of the table
    except OSError as error:
        raise LocalError(f"cannot use {error.filename or path}: {error.strerror}") from error


@contextlib.contextmanager
def immediate(db: Database) -> Iterator[None]:
    """One write transaction that takes the write lock at once, so that no reader turns it back later."""
    db.conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.conn.execute("COMMIT")
    except BaseException:
        if db.conn.in_transaction:
            db.conn.execute("ROLLBACK")
        raise


def _check_file(path: Path, *, create: bool) -> None:
    if not path.exists() and not path.is_symlink():
        if not create:
            raise LocalError(f"there is no state table {path}")
        # Made here and not by SQLite, so that it is private from its first byte.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return
    info = path.lstat()
    if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1:
        # SQLite finds the rollback journal by name: behind a link it would look in the wrong place.
        raise LocalError(f"the state table {path} must be a plain file with one name, not a link")


def _check_readable(connection: sqlite3.Connection, path: Path) -> None:
    try:
        _check_version(connection, path)
    except sqlite3.OperationalError as error:
        if not getattr(error, "sqlite_errorname", "").startswith("SQLITE_READONLY"):
            raise
        _roll_back(path)
        _check_version(connection, path)


def _roll_back(path: Path) -> None:
    """Undo what a run that died in the middle of a commit has left; a connection that only reads cannot.

    SQLite does it by itself at the first read, and only where nobody is writing.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA busy_timeout = 30000")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        connection.close()


def _set_pragmas(connection: sqlite3.Connection) -> None:
    for name, value, expected in PRAGMAS:
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        (held,) = connection.execute(f"PRAGMA {name}").fetchone()
        if held != expected:
            raise LocalError(f"SQLite keeps {name} at {held!r} and not {expected!r}: state would not be safe")


def _check_health(connection: sqlite3.Connection, path: Path) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise LocalError(f"the state table {path} is damaged ({verdict}); nothing was sent; restore a copy")


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise LocalError(
            f"the state table {path} was made by a newer batchrunner (schema {version}, this one knows "
            f"{SCHEMA_VERSION}): upgrade batchrunner"
        )


def _advice(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL" or name.startswith("SQLITE_IOERR"):
        return " (is the disk full? free some space and run again)"
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return " (check the folder's permissions)"
    if name in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
        return "; nothing was sent; restore a copy"
    if name.startswith("SQLITE_BUSY"):
        return " (another program holds it open for writing; close it and run again)"
    return ""
