"""The state table: what it refuses, what it promises, what it looks like from outside."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from batchrunner.clock import SystemClock, utc_text
from batchrunner.errors import InvariantError, LocalError, LockedError
from batchrunner.rules.states import TRANSITIONS, EventKind
from batchrunner.store import reading
from batchrunner.store.changes import Intended, Moved
from batchrunner.store.database import PRAGMAS, immediate, open_database, open_readonly
from batchrunner.store.lock import is_at_work, runner_lock
from batchrunner.store.tables import Store
from batchrunner.values import Attempt, AttemptState, Job, JobState
from tests.fakes import START_US, ManualClock, a_job, a_manifest


def opened(folder: Path, jobs: list[Job], text_hash: str = "0" * 64) -> Store:
    """Return a store with a campaign of some jobs."""
    store = Store(folder / "test.db")
    manifest = a_manifest(folder, sha256=text_hash)
    store.record(manifest, "card", lambda: jobs, output_folder=folder, version="1", now_us=START_US)
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with two pending jobs."""
    store = opened(tmp_path, [a_job(1), a_job(2)])
    yield store
    store.close()


def an_attempt(job: Job, number: int = 1) -> Attempt:
    """Return the first attempt at a job."""
    return Attempt(
        id=number,
        job=job.id,
        number=number,
        name=job.name,
        failures=0,
        state=AttemptState.SUBMITTING,
        model=job.model,
        account="org",
        origin="https://x.test",
        payload=job.payload,
        fingerprint=job.fingerprint,
        reserved_micros=150_000,
        submitted_us=START_US,
    )


def finish(store: Store, names: list[str]) -> None:
    """Write jobs 0, 1, 2 … down as done, in one commit, with clips of four bytes."""
    with immediate(store.db):
        store.db.execute("DROP TRIGGER attempts_begin")
        for number, name in enumerate(names):
            one = an_attempt(a_job(number), number + 1)
            store.db.execute(
                """INSERT INTO attempts (id, job, number, state, model, account, origin, payload, fingerprint,
                     submitted_at, closed_at, files, epoch) VALUES (?, ?, 1, 'done', 'm', 'o', 'o', '{}', ?,
                     '2026-11-23T00:00:00Z', '2026-11-23T00:01:00Z',
                     json_array(json_object('path', ?, 'size', 4, 'sha256', 'x')), 1)""",
                [one.id, one.job, one.fingerprint, name],
            )
            store.db.execute("UPDATE jobs SET state = 'done', file = ? WHERE id = ?", [name, one.job])


def moved(attempt: Attempt, kind: EventKind, state: AttemptState, job: JobState, **changes: object) -> Moved:
    """Return one move."""
    after = replace(attempt, state=state, **changes)  # type: ignore[arg-type]
    return Moved(after, attempt.state, kind, START_US + 1, job)


def test_every_connection_has_the_durable_settings(tmp_path: Path) -> None:
    """Also the second one."""
    for _ in range(2):
        db = open_database(tmp_path / "x.db")
        held = [db.execute(f"PRAGMA {name}").fetchone()[0] for name, _value, _expected in PRAGMAS]
        db.close()

        assert [expected for _name, _value, expected in PRAGMAS] == held


def test_the_file_is_private(tmp_path: Path) -> None:
    """Prompts are nobody else's business."""
    open_database(tmp_path / "x.db").close()

    assert stat.S_IMODE((tmp_path / "x.db").stat().st_mode) == 0o600


def test_the_tables_moves_are_the_rules_moves(store: Store) -> None:
    """Compared row by row."""
    rows = {(row["from_state"], row["to_state"]) for row in store.db["transitions"].rows}

    assert {(str(source), str(to)) for (source, _kind), to in TRANSITIONS.items() if source} == rows


def test_an_attempt_is_read_back_with_the_local_file_that_was_uploaded_for_it(tmp_path: Path) -> None:
    """Its payload has only the address: the job's own says which file that was."""
    job, upload = a_job(1, image_url=f"upload:{'1' * 64}.png"), f"upload:{'1' * 64}.png"
    store = opened(tmp_path, [job])
    sent = {**job.payload, "image_url": "https://storage.test/x.png"}
    begun = replace(an_attempt(job), payload=sent, pictures={"image_url": upload})
    store.commit([Intended(begun, START_US)])

    assert reading.live_attempts(store.db) == [begun]
    store.close()


def test_the_database_refuses_a_second_open_attempt(store: Store) -> None:
    """Whatever the code believes: one open attempt a job."""
    job = a_job(1)
    store.commit([Intended(an_attempt(job), START_US)])

    with pytest.raises(InvariantError, match="UNIQUE"):
        store.commit([Intended(an_attempt(job, 2), START_US)])


def test_the_database_refuses_a_request_id_owned_twice(store: Store) -> None:
    """One request belongs to one attempt."""
    for number in (1, 2):
        store.commit([Intended(replace(an_attempt(a_job(number)), id=number), START_US)])
    one, two = reading.live_attempts(store.db)
    store.commit([moved(one, EventKind.ACCEPTED, AttemptState.ACCEPTED, JobState.ACTIVE, request_id="r1")])

    with pytest.raises(InvariantError, match="UNIQUE"):
        store.commit(
            [moved(two, EventKind.ACCEPTED, AttemptState.ACCEPTED, JobState.ACTIVE, request_id="r1")]
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attempts SET state = 'done'",
        "UPDATE attempts SET payload = '{}'",
        "DELETE FROM attempts",
        "DELETE FROM jobs",
        "DELETE FROM events",
        "UPDATE events SET detail = 'x'",
        "INSERT INTO attempts (job, number, state, model, account, origin, payload, fingerprint, epoch) "
        "SELECT id, 9, 'accepted', 'm', 'a', 'o', '{}', 'f', 1 FROM jobs WHERE state = 'pending'",
    ],
)
def test_a_stray_tool_cannot_break_the_rules(store: Store, statement: str) -> None:
    """The triggers stand in the file, so they hold for every program that opens it."""
    store.commit([Intended(an_attempt(a_job(1)), START_US)])
    other = sqlite3.connect(store.path)

    with pytest.raises(sqlite3.IntegrityError):
        other.execute(statement)
    other.close()


def test_a_tick_is_all_or_nothing(store: Store) -> None:
    """A refused change takes the others of its tick with it."""
    good, bad = Intended(an_attempt(a_job(1)), START_US), Intended(an_attempt(a_job(1), 2), START_US)
    with pytest.raises(InvariantError):
        store.commit([good, bad])

    assert reading.live_attempts(store.db) == []
    assert len(reading.pending(store.db, START_US, 10)) == 2


def test_a_move_from_a_state_that_has_passed_is_refused(store: Store) -> None:
    """Two answers to one question cannot both be written."""
    attempt = an_attempt(a_job(1))
    store.commit([Intended(attempt, START_US)])
    move = moved(attempt, EventKind.UNCLEAR, AttemptState.UNKNOWN, JobState.ACTIVE)
    store.commit([move])

    with pytest.raises(InvariantError, match="not in the state"):
        store.commit([move])


def test_a_runner_that_was_taken_over_cannot_write(tmp_path: Path) -> None:
    """The epoch fences the older run, whatever became of its lock."""
    first = opened(tmp_path, [a_job(1)])
    second = opened(tmp_path, [a_job(1)])

    with pytest.raises(LockedError, match="taken this campaign over"):
        first.commit([Intended(an_attempt(a_job(1)), START_US)])
    first.close()
    second.close()


def test_the_second_runner_is_told_who_has_the_lock(tmp_path: Path) -> None:
    """Process, host and since when."""
    with (
        runner_lock(tmp_path / "x.lock", ManualClock()),
        pytest.raises(LockedError, match=f"process {os.getpid()} on .*, since {utc_text(START_US)}"),
        runner_lock(tmp_path / "x.lock", SystemClock()),
    ):
        pass


def test_what_a_dead_runner_has_left_running_is_named(tmp_path: Path) -> None:
    """Its lock is held on by its own clip process: waited for a while, then named. No run is at work then."""
    path = tmp_path / "x.lock"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    owner = {"pid": gone.pid, "host": socket.gethostname(), "since": "2026-11-23T00:00:00Z"}
    path.write_text(json.dumps({**owner, "clip_processes": [4711]}), encoding="utf-8")
    clock = ManualClock()
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with (
            pytest.raises(LockedError, match="its clip process has not: end it with `kill -9 4711`"),
            runner_lock(path, clock),
        ):
            pass
        at_work = is_at_work(path)

    assert clock.elapsed_s() > 5
    assert not at_work


def test_recording_tries_nothing_out(tmp_path: Path) -> None:
    """No trial tables, as sqlite-utils' upsert makes them: their failure on a full disk loses rows unsaid."""
    with closing(opened(tmp_path, [a_job(1)])) as store:
        (before,) = store.db.execute("PRAGMA schema_version").fetchone()
    with closing(opened(tmp_path, [a_job(1), a_job(2)], "1" * 64)) as store:
        (after,) = store.db.execute("PRAGMA schema_version").fetchone()

        assert after == before
        assert store.db["jobs"].count == 2


def test_a_changed_manifest_adds_and_keeps(tmp_path: Path) -> None:
    """New jobs are added, kept ones keep their state, gone ones stay without a position."""
    store = opened(tmp_path, [a_job(1), a_job(2)])
    store.commit([Intended(an_attempt(a_job(1)), START_US)])
    store.close()
    store = opened(tmp_path, [a_job(1), a_job(3)], text_hash="1" * 64)
    rows = {row["id"]: (row["state"], row["position"]) for row in store.db["jobs"].rows}
    store.close()

    assert rows == {
        a_job(1).id: ("active", 1),
        a_job(2).id: ("pending", None),
        a_job(3).id: ("pending", 2),
    }


def test_the_table_is_readable_by_anyone(store: Store) -> None:
    """Plain columns, UTC times, JSON where it is JSON, every change with its event."""
    store.commit([Intended(an_attempt(a_job(1)), START_US)])
    db = open_readonly(store.path)
    (attempt,) = db["attempts"].rows
    events = [row["kind"] for row in db["events"].rows]
    db.close()

    assert attempt["submitted_at"] == "2025-11-24T16:00:00.000000Z"
    assert json.loads(attempt["payload"]) == dict(a_job(1).payload)
    assert events == ["run", "intent"]


def test_a_reader_cannot_write(store: Store) -> None:
    """`status` and `jobs` open the file for reading only."""
    db = open_readonly(store.path)

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("UPDATE jobs SET state = 'done'")
    db.close()


def test_a_newer_table_is_refused(tmp_path: Path) -> None:
    """With the sentence that helps."""
    db = open_database(tmp_path / "x.db")
    db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(LocalError, match="newer batchrunner"):
        open_database(tmp_path / "x.db")


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look like one" * 20])
def test_a_damaged_table_is_refused(tmp_path: Path, content: bytes) -> None:
    """Nothing is sent from a file that cannot be trusted."""
    (tmp_path / "x.db").write_bytes(content)

    with pytest.raises(LocalError, match="nothing was sent"):
        open_database(tmp_path / "x.db")


def test_a_link_in_place_of_the_table_is_refused(tmp_path: Path) -> None:
    """Behind a link, SQLite would look for the journal in the wrong place."""
    open_database(tmp_path / "real.db").close()
    (tmp_path / "x.db").symlink_to(tmp_path / "real.db")

    with pytest.raises(LocalError, match="plain file"):
        open_database(tmp_path / "x.db")


def test_a_commit_that_was_cut_off_does_not_keep_readers_out(tmp_path: Path) -> None:
    """A journal is left behind; whoever reads first has it rolled back, as the next run would."""
    path = tmp_path / "x.db"
    open_database(path).close()
    words = [
        *(sys.executable, "-c"),
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "db.execute('PRAGMA cache_size = 1'); db.execute('BEGIN IMMEDIATE');"
        "db.executemany('INSERT INTO uploads VALUES (?, 1, 1, zeroblob(9000), 1)',"
        "               [(n,) for n in range(99)]);"
        "os.kill(os.getpid(), 9)",
        str(path),
    ]
    subprocess.run(words, check=False)
    assert path.with_name("x.db-journal").stat().st_size > 0
    with closing(open_readonly(path)) as db:
        assert db.execute("SELECT count(*) FROM uploads").fetchone() == (0,)
