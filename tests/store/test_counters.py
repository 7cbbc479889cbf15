"""What the table counts of itself is what is there; and no question takes longer where more jobs wait."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from batchrunner.rules.states import TRANSITIONS
from batchrunner.store import counters, filed, lost, reading
from batchrunner.store.changes import Change, Intended, JobRuled, Moved
from batchrunner.store.database import open_database, open_readonly
from batchrunner.store.schema import SCHEMA_VERSION, migrations
from batchrunner.store.tables import Store
from batchrunner.values import AttemptState, Job, JobState, MediaFile
from tests.fakes import START_US, a_job, a_manifest
from tests.store.test_store import an_attempt, finish, opened

CLIP = MediaFile("a/p-t1.mp4", "0" * 64, 4, 5.0, 960, 540)
STATES = {**dict.fromkeys(AttemptState, JobState.ACTIVE), AttemptState.DONE: JobState.DONE}
STATES |= {AttemptState.HELD: JobState.HELD, AttemptState.FAILED: JobState.FAILED}


def live(store: Store, job: Job, number: int, moves: list[int]) -> None:
    """Take an attempt at a job through some legal moves, one commit each."""
    attempt = an_attempt(job, number)
    changes: list[Change] = [Intended(attempt, START_US)]
    for choice in moves:
        store.commit(changes)
        legal = [(kind, target) for (source, kind), target in TRANSITIONS.items() if source == attempt.state]
        if not legal:
            return
        kind, target = legal[choice % len(legal)]
        over = target not in {AttemptState.ACCEPTED, AttemptState.UNKNOWN, AttemptState.HELD}
        done = target is AttemptState.DONE
        after = replace(
            attempt, state=target, cost_micros=120_000 if over else None, files=(CLIP,) if done else ()
        )
        changes = [Moved(after, attempt.state, kind, START_US + 1, STATES[target])]
        attempt = after
    store.commit(changes)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(
    lives=st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=5),
    prices=st.lists(st.sampled_from([None, 0, 150_000]), min_size=6, max_size=6),
    kept=st.integers(0, 6),
)
def test_every_change_is_counted(
    tmp_path_factory: pytest.TempPathFactory, lives: list[list[int]], prices: list[int | None], kept: int
) -> None:
    """Through any states, at any price, and where the manifest has lost jobs since."""
    folder = tmp_path_factory.mktemp("counted")
    jobs = [a_job(number, price) for number, price in enumerate(prices)]
    store = opened(folder, jobs)
    for number, (job, moves) in enumerate(zip(jobs, lives, strict=False), 1):
        live(store, job, number, moves)
    told = counters.differences(store.db)
    store.commit([JobRuled(jobs[5].id, JobState.FAILED, START_US, "ruled out")])
    changed = a_manifest(folder, sha256="1" * 64)
    store.record(changed, "card", lambda: jobs[:kept], output_folder=folder, version="1", now_us=START_US)

    assert told == counters.differences(store.db) == []
    assert sum(reading.totals(store.db).jobs.values()) == kept
    assert reading.totals(store.db).unlisted == 6 - kept
    store.close()


def test_what_a_stray_tool_did_is_seen_and_mended(tmp_path: Path) -> None:
    """It wrote into a tally, and put in a job of its own."""
    store = opened(tmp_path, [a_job(1), a_job(2)])
    store.db.execute("UPDATE job_tallies SET jobs = 7")
    store.db.execute(
        """INSERT INTO jobs (id, position, image, prompt, take, model, payload, name)
           VALUES ('mine', 3, 'a', 'p', 1, 'm', '{}', 'x')"""
    )
    found = counters.differences(store.db)
    store.recount()

    assert len(found) == 2
    assert "job_tallies has (7,) for ('pending', 1, 150000), and there are (2,)" in found
    assert counters.differences(store.db) == []
    assert reading.totals(store.db).jobs[JobState.PENDING] == 3
    store.close()


def test_pending_jobs_have_a_sum_and_a_dearest(tmp_path: Path) -> None:
    """Where one has no price, nobody knows the sum."""
    with closing(opened(tmp_path, [a_job(1, 100), a_job(2, 300), a_job(3, 300)])) as store:
        assert counters.pending(store.db) == (3, 700, 300)
        assert reading.pending_cost(store.db) == 700
    with closing(opened(tmp_path, [a_job(1, 100), a_job(4, None)], "1" * 64)) as store:
        assert counters.pending(store.db) == (2, None, 100)


# --- an older table -----------------------------------------------------------------------------------


def older(path: Path, before: str) -> None:
    """Make a state table as it was before a migration, with jobs in several states."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        db = Database(connection, execute_plugins=False, recursive_triggers=False)
        migrations.apply(db, stop_before=before)
        connection.executescript(
            """INSERT INTO campaign (slug, epoch, created_at) VALUES ('test', 3, '2026-11-01T00:00:00Z');
               INSERT INTO transitions VALUES ('submitting', 'done'), ('submitting', 'held');"""
        )
        for number in range(6):
            position = None if number == 5 else number
            connection.execute(
                """INSERT INTO jobs (id, position, image, prompt, take, model, payload, name, cost_usd_micros)
                   VALUES (?, ?, 'a', 'p', ?, 'm', '{}', ?, ?)""",
                [f"j{number}", position, number, f"a/b/{number}", None if number == 4 else 100],
            )
        for number, state in ((1, "done"), (2, "held")):
            connection.execute(
                """INSERT INTO attempts (id, job, number, state, model, account, origin, payload, fingerprint,
                     reserved_usd_micros, epoch)
                   VALUES (?, ?, 1, 'submitting', 'm', 'o', 'o', '{}', 'f', 100, 1)""",
                [number, f"j{number}"],
            )
            cost = 90 if state == "done" else None
            connection.execute(
                "UPDATE attempts SET state = ?, cost_usd_micros = ? WHERE id = ?", [state, cost, number]
            )
            file = "a/b/1.mp4" if state == "done" else None
            connection.execute(
                "UPDATE jobs SET state = ?, file = ? WHERE id = ?", [state, file, f"j{number}"]
            )
        connection.execute("PRAGMA user_version = 1")


@pytest.mark.parametrize("before", ["coverage", "card_text", "counters"])
def test_an_older_table_is_counted_as_it_is_brought_up_to_date(tmp_path: Path, before: str) -> None:
    """And it says the same before, when it is only read, as after."""
    path = tmp_path / "old.db"
    older(path, before)
    with closing(open_readonly(path)) as db:
        read = reading.totals(db), counters.pending(db), reading.held_jobs(db)
    with closing(open_database(path)) as db:
        now = reading.totals(db), counters.pending(db), reading.held_jobs(db)
        wrong, folders = counters.differences(db), dict(filed.folders(db))
        (version,) = db.execute("PRAGMA user_version").fetchone()

    assert read == now
    assert now[0].jobs[JobState.PENDING] == 3
    assert (now[0].spent_micros, now[0].reserved_micros, now[0].unlisted) == (90, 100, 1)
    assert now[1] == (3, None, 100)
    assert wrong == []
    assert folders == {"a/b/": None}
    assert version == SCHEMA_VERSION


# --- the work that a question is ----------------------------------------------------------------------


QUESTIONS: dict[str, Callable[[Database], Any]] = {
    "totals": reading.totals,
    "money": reading.money,
    "next jobs, by coverage": lambda db: reading.pending(db, START_US, 8, "coverage"),
    "next jobs, as written": lambda db: reading.pending(db, START_US, 8, "written"),
    "next due": lambda db: reading.next_due_us(db, START_US),
    "has work": reading.has_work,
    "cost": reading.pending_cost,
    "held": reading.held_jobs,
    "spared": reading.spared_jobs,
    "failed": lambda db: reading.failed_jobs(db, 5),
    "live": reading.live_attempts,
    "pace": reading.recent_job_s,
    "jobs like it": lambda db: reading.pending_like(db, "rare", None),
    "lost": lambda db: reading.lost_span_us(db, "f"),
    "models": lost.pending_models,
    "watched": lambda db: lost.watched(db, START_US),
    "duplicate": lost.has_duplicate,
    "folders": lambda db: list(filed.folders(db)),
    "files in turn": lambda db: list(filed.since(db, "a/p-t5.mp4", 20)),
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    """A small table and one of sixteen times the jobs, half of them done."""
    made = []
    for size in (500, 8_000):
        store = opened(tmp_path_factory.mktemp(f"of-{size}"), [a_job(number) for number in range(size)])
        finish(store, [f"a/p-t{number}.mp4" for number in range(size // 2)])
        made.append(store)
    yield made[0], made[1]
    for store in made:
        store.close()


@pytest.mark.parametrize("what", QUESTIONS)
def test_no_question_is_more_work_where_there_are_more_jobs(tables: tuple[Store, Store], what: str) -> None:
    """Counted in steps of SQLite's machine, so that it does not matter how busy this one is."""
    small, large = (steps(store, QUESTIONS[what]) for store in tables)

    assert large <= small * 3 + 400


def steps(store: Store, ask: Callable[[Database], Any]) -> int:
    """Return how many steps a question takes."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    ask(store.db)
    store.db.conn.set_progress_handler(step, 1)
    try:
        ask(store.db)
    finally:
        store.db.conn.set_progress_handler(None, 1)
    return count
