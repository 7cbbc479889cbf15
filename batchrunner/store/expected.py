"""What may stand in a state table's schema: what the migrations make, and nothing else.

A trigger or a view that somebody put into the file would run, or be read, as if it were ours; a rule of ours
that somebody took out would no longer guard the money.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sqlite_utils import Database

from batchrunner.errors import LocalError
from batchrunner.store.schema import migrations


def check_schema(db: Database, path: Path) -> None:
    """Compare a migrated table's schema with what it must be.

    Raises:
        LocalError: something is there that must not be, is missing, or reads otherwise; it is named.
    """
    found, wanted = _schema(db), _expected()
    for kind, name in sorted(found.keys() ^ wanted.keys()):
        has = (kind, name) in found
        what = (
            f'holds the {kind} "{name}", which batchrunner did not make'
            if has
            else f'lacks its {kind} "{name}"'
        )
        raise LocalError(f"the state table {path} {what}; nothing was sent; {_way_on(kind, name, has=has)}")
    for kind, name in sorted(wanted):
        if found[kind, name] != wanted[kind, name]:
            raise LocalError(
                f'the {kind} "{name}" of the state table {path} is not as batchrunner made it; '
                "nothing was sent; restore a copy"
            )


def _way_on(kind: str, name: str, *, has: bool) -> str:
    quoted = name.replace('"', '""')
    return f'remove it: DROP {kind.upper()} "{quoted}"' if has and kind != "table" else "restore a copy"


@cache
def _expected() -> Mapping[tuple[str, str], str]:
    db = Database(memory=True, execute_plugins=False, recursive_triggers=False)
    migrations.apply(db)
    try:
        return _schema(db)
    finally:
        db.close()


def _schema(db: Database) -> dict[tuple[str, str], str]:
    """Return what was made by name, each in words, without what SQLite and sqlite-utils keep for themselves.

    A table is told by its columns: how its text is quoted depends on the version of sqlite-utils.
    """
    rows = db.execute("SELECT type, name, sql, tbl_name FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {
        (kind, name): repr(db[name].columns) if kind == "table" else sql
        for kind, name, sql, table in rows
        if not table.startswith(("sqlite_", "_sqlite_"))
    }
