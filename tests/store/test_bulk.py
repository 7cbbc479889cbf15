"""A table is the same, whether its jobs came in all at once or were there already; indexes and all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from batchrunner.store.bulk import TOGETHER
from batchrunner.store.counters import differences
from batchrunner.store.tables import Store
from batchrunner.values import Job
from tests.fakes import START_US, a_job, a_manifest
from tests.store.test_store import opened


def schema(db: Database) -> set[tuple[str, str]]:
    """Return all that a table's file says of itself."""
    rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {(name, sql) for name, sql in rows}


@pytest.mark.parametrize("number", [0, 1, TOGETHER - 1, TOGETHER, TOGETHER + 1, 3 * TOGETHER])
def test_every_job_has_its_place_and_every_index_has_it(number: int, tmp_path: Path) -> None:
    """However many: the last ones, too few for a statement of many, are there like all others."""
    with closing(Store(tmp_path / "empty.db")) as empty:
        before = schema(empty.db)
    jobs = [a_job(one) for one in range(number)]
    with closing(opened(tmp_path, jobs)) as store:
        found = store.db.execute("SELECT id, position FROM jobs ORDER BY position").fetchall()
        (verdict,) = store.db.execute("PRAGMA integrity_check").fetchone()

        assert schema(store.db) == before
        assert found == [(job.id, position) for position, job in enumerate(jobs, 1)]
        assert (verdict, differences(store.db)) == ("ok", [])


def test_jobs_that_are_there_take_new_ones_in_between(tmp_path: Path) -> None:
    """Rows of one statement may be new or known, and keep the manifest's order."""
    with closing(opened(tmp_path, [a_job(one) for one in range(0, 2 * TOGETHER, 2)])):
        pass
    jobs = [a_job(one) for one in reversed(range(2 * TOGETHER))]
    with closing(opened(tmp_path, jobs, "1" * 64)) as store:
        found = store.db.execute("SELECT id FROM jobs ORDER BY position").fetchall()

        assert [id_ for (id_,) in found] == [job.id for job in jobs]
        assert differences(store.db) == []


def test_what_fails_half_way_leaves_an_empty_table_with_all_indexes(tmp_path: Path) -> None:
    """The jobs stream in while they are written: what goes wrong with one of them undoes all."""

    def jobs() -> Iterator[Job]:
        yield from (a_job(one) for one in range(TOGETHER + 1))
        raise RuntimeError("the last one is wrong")

    with closing(Store(tmp_path / "test.db")) as store:
        before = schema(store.db)
        with pytest.raises(RuntimeError):
            store.record(
                a_manifest(tmp_path), "card", jobs, output_folder=tmp_path, version="1", now_us=START_US
            )

        assert schema(store.db) == before
        assert store.db["jobs"].count == 0
