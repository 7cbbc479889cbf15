"""One look at the state table: all that a report page tells comes from a single commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from batchrunner.errors import LocalError
from batchrunner.standing import state_path
from batchrunner.store import accounts, gallery, reading
from batchrunner.store.database import explained, open_readonly
from batchrunner.store.lock import is_at_work
from batchrunner.store.runs import PastRun, Unwatched, past_runs, unwatched
from batchrunner.values import HeldJob, Totals

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Night:
    """A campaign as its state table has it. Rows are the tables' own, times are texts in UTC.

    `stories`: the events of those jobs that did not go plainly. `last`: when anything last happened.
    `at_work`: the last run goes on. `unwatched`: when nobody could see what the provider did.
    """

    campaign: Row
    totals: Totals
    jobs: tuple[Row, ...]
    attempts: tuple[Row, ...]
    stories: tuple[Row, ...]
    held: tuple[HeldJob, ...]
    runs: tuple[PastRun, ...]
    last: str | None
    at_work: bool = False
    unwatched: tuple[Unwatched, ...] = ()


def read_night(folder: Path, campaign: str) -> Night:
    """Read a whole campaign.

    Raises:
        UsageError: there is no state table.
        LocalError: it cannot be read.
    """
    path = state_path(folder, campaign)
    with explained(path):
        db = open_readonly(path)
        try:
            row = reading.campaign(db)
            if row is None:
                raise LocalError(f"{path} is not a state table of batchrunner")
            with accounts.snapshot(db):
                runs, lock = past_runs(db), path.with_suffix(".lock")
                return Night(
                    campaign=row,
                    totals=reading.totals(db),
                    jobs=tuple(gallery.jobs(db)),
                    attempts=tuple(gallery.attempts(db)),
                    stories=tuple(gallery.stories(db)),
                    held=tuple(reading.held_jobs(db)),
                    runs=tuple(runs),
                    last=gallery.last_word(db),
                    at_work=bool(runs) and runs[-1].ended_us is None and is_at_work(lock),
                    unwatched=tuple(unwatched(db, runs)),
                )
        finally:
            db.close()
