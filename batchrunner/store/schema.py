"""The tables, as a list of migrations from the first day on.

A migration that has been released is never edited; what changes is added below it. The legal moves of
rules/states.py are written into `transitions` at every open, and triggers refuse whatever is not there:
so neither a bug of ours nor a stray tool can take an attempt where the rules do not.
"""

from __future__ import annotations

from typing import cast

from sqlite_utils import Database, Migrations
from sqlite_utils.db import Table

from batchrunner.rules.states import CLOSED, TRANSITIONS, EventKind
from batchrunner.store.counters import recount_attempts, recount_jobs

migrations = Migrations("batchrunner")
SCHEMA_VERSION = 4  # PRAGMA user_version: one more with every migration

_CLOSED = ", ".join(f"'{state}'" for state in sorted(CLOSED))


def table(db: Database, name: str) -> Table:
    """Return a table by name (sqlite-utils types `db[name]` as table or view)."""
    return cast(Table, db[name])


@migrations()
def first(db: Database) -> None:
    """Campaign, jobs, attempts, events, uploads, and the moves the database allows."""
    table(db, "campaign").create(
        {
            "slug": str,
            "manifest_path": str,
            "manifest_sha256": str,
            "manifest_text": str,
            "card_sha256": str,
            "model": str,
            "provider": str,
            "seed": int,
            "output_folder": str,
            "version": str,
            "epoch": int,
            "jobs_recorded": int,
            "created_at": str,
            "recorded_at": str,
        },
        pk="slug",
        not_null={"slug", "epoch", "created_at"},
    )
    table(db, "jobs").create(
        {
            "id": str,
            "position": int,
            "state": str,
            "image": str,
            "prompt": str,
            "take": int,
            "seed": int,
            "model": str,
            "payload": str,
            "name": str,
            "cost_usd_micros": int,
            "attempts": int,
            "failures": int,
            "due_at": str,
            "reason": str,
            "detail": str,
            "file": str,
            "updated_at": str,
        },
        pk="id",
        not_null={
            "id",
            "state",
            "image",
            "prompt",
            "take",
            "model",
            "payload",
            "name",
            "attempts",
            "failures",
        },
        defaults={"attempts": 0, "failures": 0, "state": "pending"},
    )
    table(db, "attempts").create(
        {
            "id": int,
            "job": str,
            "number": int,
            "state": str,
            "reason": str,
            "detail": str,
            "model": str,
            "account": str,
            "origin": str,
            "payload": str,
            "fingerprint": str,
            "reserved_usd_micros": int,
            "cost_usd_micros": int,
            "request_id": str,
            "submitted_at": str,
            "lost_at": str,
            "accepted_at": str,
            "ready_at": str,
            "fetched_at": str,
            "closed_at": str,
            "files": str,
            "epoch": int,
        },
        pk="id",
        not_null={"job", "number", "state", "model", "account", "origin", "payload", "fingerprint", "epoch"},
        foreign_keys=[("job", "jobs", "id")],
    )
    table(db, "events").create(
        {
            "id": int,
            "at": str,
            "job": str,
            "attempt": int,
            "kind": str,
            "from_state": str,
            "to_state": str,
            "reason": str,
            "detail": str,
            "evidence": str,
            "epoch": int,
        },
        pk="id",
        not_null={"at", "kind", "epoch"},
    )
    table(db, "uploads").create(
        {"origin": str, "account": str, "sha256": str, "public_url": str, "uploaded_at": str},
        pk=("origin", "account", "sha256"),
        not_null={"public_url"},
    )
    table(db, "transitions").create({"from_state": str, "to_state": str}, pk=("from_state", "to_state"))
    for statement in _INDEXES_AND_TRIGGERS:
        db.execute(statement)


_INDEXES_AND_TRIGGERS = (
    "CREATE INDEX jobs_by_state ON jobs (state, position)",
    "CREATE INDEX jobs_waiting ON jobs (due_at) WHERE state = 'pending' AND due_at IS NOT NULL",
    "CREATE INDEX events_by_job ON events (job)",
    "CREATE INDEX attempts_by_job ON attempts (job, number)",
    "CREATE INDEX attempts_by_state ON attempts (state)",
    "CREATE INDEX attempts_by_time ON attempts (submitted_at)",
    f"CREATE UNIQUE INDEX one_open_attempt ON attempts (job) WHERE state NOT IN ({_CLOSED})",
    "CREATE UNIQUE INDEX one_owner ON attempts (account, request_id) WHERE request_id IS NOT NULL",
    """CREATE TRIGGER attempts_begin BEFORE INSERT ON attempts WHEN NEW.state <> 'submitting'
       BEGIN SELECT RAISE(ABORT, 'illegal move: an attempt begins as submitting'); END""",
    """CREATE TRIGGER attempts_move BEFORE UPDATE OF state ON attempts WHEN NOT EXISTS
       (SELECT 1 FROM transitions WHERE from_state = OLD.state AND to_state = NEW.state)
       BEGIN SELECT RAISE(ABORT, 'illegal move of an attempt'); END""",
    """CREATE TRIGGER attempts_frozen
       BEFORE UPDATE OF id, job, number, payload, fingerprint, model ON attempts
       BEGIN SELECT RAISE(ABORT, 'what an attempt sends is frozen'); END""",
    """CREATE TRIGGER attempts_kept BEFORE DELETE ON attempts
       BEGIN SELECT RAISE(ABORT, 'attempts are never deleted'); END""",
    """CREATE TRIGGER jobs_kept BEFORE DELETE ON jobs
       BEGIN SELECT RAISE(ABORT, 'jobs are never deleted'); END""",
    """CREATE TRIGGER events_fixed BEFORE UPDATE ON events
       BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TRIGGER events_kept BEFORE DELETE ON events
       BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
)


@migrations()
def coverage(db: Database) -> None:
    """The pending jobs in an order in which every shot comes once before any comes twice."""
    db.execute(
        """CREATE INDEX jobs_by_coverage ON jobs (take, cost_usd_micros, position)
           WHERE state = 'pending' AND position IS NOT NULL"""
    )


@migrations()
def card_text(db: Database) -> None:
    """The model's card as it was: with the manifest's text, all that a plan is made from."""
    table(db, "campaign").add_column("card_text", str)


PLAIN = (EventKind.INTENT, EventKind.ACCEPTED, EventKind.READY, EventKind.FETCHED, EventKind.PUBLISHED)
# What happens to every job that goes well; all other events are few, and have an index of their own. SQLite
# takes it for a question that says so in just these words.
UNUSUAL = f"kind NOT IN ({', '.join(repr(str(kind)) for kind in PLAIN)})"
_FOLDER = "rtrim({0}, replace({0}, '/', ''))"  # a path up to its last slash


@migrations()
def counters(db: Database) -> None:
    """What a million jobs would take too long to count, and to look for: see counters.py, presence.py."""
    for statement in _COUNTERS:
        db.execute(statement)
    table(db, "campaign").add_column("looked_to", str)
    folder = _FOLDER.format("file")
    db.execute(f"INSERT INTO folders (path) SELECT DISTINCT {folder} FROM jobs WHERE file IS NOT NULL")
    recount_jobs(db)
    recount_attempts(db)


def _counted(row: str, sign: str) -> str:
    """Return a statement that adds an attempt's row to the tally of its state, or takes it away."""
    open_ = f"CASE WHEN {row}.cost_usd_micros IS NULL THEN coalesce({row}.reserved_usd_micros, 0) ELSE 0 END"
    return f"""INSERT INTO attempt_tallies
        VALUES ({row}.state, {sign}1, {sign}coalesce({row}.cost_usd_micros, 0), {sign}{open_})
        ON CONFLICT (state) DO UPDATE SET attempts = attempts + excluded.attempts,
            spent_usd_micros = spent_usd_micros + excluded.spent_usd_micros,
            reserved_usd_micros = reserved_usd_micros + excluded.reserved_usd_micros"""


_COUNTERS = (
    """CREATE TABLE job_tallies (state TEXT NOT NULL, listed INTEGER NOT NULL,
       cost_usd_micros INTEGER NOT NULL, jobs INTEGER NOT NULL,
       PRIMARY KEY (state, listed, cost_usd_micros)) WITHOUT ROWID""",
    """CREATE TABLE attempt_tallies (state TEXT PRIMARY KEY, attempts INTEGER NOT NULL,
       spent_usd_micros INTEGER NOT NULL, reserved_usd_micros INTEGER NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE folders (path TEXT PRIMARY KEY, inode INTEGER, changed_ns INTEGER, looked_ns INTEGER)
       WITHOUT ROWID""",
    """CREATE TRIGGER jobs_tallied AFTER UPDATE OF state ON jobs WHEN NEW.state IS NOT OLD.state
       BEGIN
         UPDATE job_tallies SET jobs = jobs - 1 WHERE state = OLD.state
             AND listed = (OLD.position IS NOT NULL) AND cost_usd_micros = coalesce(OLD.cost_usd_micros, -1);
         INSERT INTO job_tallies
             VALUES (NEW.state, NEW.position IS NOT NULL, coalesce(NEW.cost_usd_micros, -1), 1)
             ON CONFLICT (state, listed, cost_usd_micros) DO UPDATE SET jobs = jobs + 1;
       END""",
    f"""CREATE TRIGGER jobs_filed AFTER UPDATE OF file ON jobs WHEN NEW.file IS NOT NULL
       BEGIN INSERT INTO folders (path) VALUES ({_FOLDER.format("NEW.file")}) ON CONFLICT DO NOTHING; END""",
    f"""CREATE TRIGGER attempts_begun AFTER INSERT ON attempts
       BEGIN {_counted("NEW", "+")}; END""",
    f"""CREATE TRIGGER attempts_tallied
       AFTER UPDATE OF state, cost_usd_micros, reserved_usd_micros ON attempts
       BEGIN {_counted("OLD", "-")}; {_counted("NEW", "+")}; END""",
    """CREATE INDEX jobs_by_image ON jobs (image) WHERE state = 'pending' AND position IS NOT NULL""",
    "CREATE INDEX jobs_by_file ON jobs (file) WHERE file IS NOT NULL",
    "CREATE INDEX attempts_lost ON attempts (fingerprint) WHERE lost_at IS NOT NULL",
    f"CREATE INDEX events_unusual ON events (kind) WHERE {UNUSUAL}",
)


def write_transitions(db: Database) -> None:
    """Make the table of legal moves equal to the rules, where it is not."""
    legal = {(str(source), str(target)) for (source, _kind), target in TRANSITIONS.items() if source}
    held = {(row["from_state"], row["to_state"]) for row in table(db, "transitions").rows}
    if held == legal:
        return
    with db.atomic():
        table(db, "transitions").delete_where()
        table(db, "transitions").insert_all(
            {"from_state": source, "to_state": target} for source, target in sorted(legal)
        )
