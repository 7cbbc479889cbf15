"""A state table with a schema that is not ours is refused before anything is sent."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from batchrunner.errors import LocalError
from batchrunner.store.database import open_database


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "CREATE TRIGGER quiet AFTER INSERT ON attempts BEGIN DELETE FROM uploads; END",
            'holds the trigger "quiet", which batchrunner did not make; nothing was sent; '
            'remove it: DROP TRIGGER "quiet"',
        ),
        ("CREATE VIEW a AS SELECT 1", 'holds the view "a"'),
        ("CREATE TABLE notes (x)", 'holds the table "notes", .*restore a copy'),
        ("DROP INDEX one_open_attempt", 'lacks its index "one_open_attempt"'),
        ("DROP TRIGGER attempts_move", 'lacks its trigger "attempts_move"'),
        (
            "ALTER TABLE uploads ADD COLUMN mine TEXT",
            'the table "uploads" of .* is not as batchrunner made it',
        ),
    ],
)
def test_what_is_not_ours_is_named(tmp_path: Path, change: str, told: str) -> None:
    """With what is to be done about it."""
    path = tmp_path / "x.db"
    open_database(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(change)

    with pytest.raises(LocalError, match=told):
        open_database(path)


def test_what_sqlite_makes_for_itself_is_no_matter(tmp_path: Path) -> None:
    """Statistics, say, that a browser of tables leaves behind."""
    path = tmp_path / "x.db"
    open_database(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("ANALYZE")

    open_database(path).close()
