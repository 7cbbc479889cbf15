"""A state table that cannot be written while POSTs are on the wire: what was paid for is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pytest

from batchrunner.engine.progress import Progress
from batchrunner.errors import LocalError
from batchrunner.store.changes import Intended
from batchrunner.values import JobState
from tests.engine.test_loop import Rig
from tests.fakes import ManualClock, T


class Slow(ManualClock):
    """A clock and a line: the first POST is answered at once, the others only while the loop waits."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], None]] = []
        self.first = True

    def submit(self, call: Callable[[], None], /) -> None:
        """Make the call, now or later."""
        if self.first:
            call()
        else:
            self.calls.append(call)
        self.first = False

    def take(self, inbox: SimpleQueue[T], wait_s: float) -> T | None:
        """Let a late answer come in where nothing else is there."""
        if inbox.empty() and wait_s >= 1.0 and self.calls:
            self.calls.pop(0)()
        return super().take(inbox, wait_s)


def test_what_was_accepted_while_the_table_failed_is_told_and_found_again(tmp_path: Path) -> None:
    """The run ends only when the POSTs are answered, and names them; the next run pays for nothing twice."""
    clock = Slow()
    one = Rig(tmp_path, clock=clock, submitters=clock)

    def fails_from_now_on(last: Progress) -> bool:
        if any(isinstance(change, Intended) for change in last.changes):
            one.store.db.execute("PRAGMA query_only = 1")
        return False

    with pytest.raises(LocalError) as caught:
        one.run(fails_from_now_on)

    assert clock.calls == []
    assert len(one.provider.ledger.jobs) == 3
    payloads = {row["job"]: json.loads(row["payload"]) for row in one.rows}
    for request_id, job in one.provider.ledger.jobs.items():
        (name,) = [name for name, payload in payloads.items() if payload == job.payload]
        assert f"{name} is request {request_id}" in str(caught.value)
    assert all(row["request_id"] is None for row in one.rows)

    one.run()

    assert one.jobs_in(JobState.DONE) == 3
    assert one.provider.ledger.posts == 3
