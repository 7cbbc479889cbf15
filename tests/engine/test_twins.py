"""Jobs that send exactly the same are interchangeable, and so are the requests that they leave behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from batchrunner.values import JobState, Limits, Listing
from tests.engine.test_loop import Rig
from tests.fakes import FakeProvider, a_job


class Paged(FakeProvider):
    """Its list leaves out the oldest request for a while, and says that it is not whole."""

    whole_at_s = 1_000.0

    def recent(self, model: str) -> Listing:
        """The list, or its newer part."""
        listing = super().recent(model)
        if self.clock.elapsed_s() >= self.whole_at_s:
            return listing
        return replace(listing, jobs=listing.jobs[1:], complete=False)


def test_a_twin_finds_the_request_that_its_elder_left_behind(tmp_path: Path) -> None:
    """The elder took the younger's request, long after its own: the younger must find the elder's."""
    jobs = [a_job(1), a_job(2), a_job(3), a_job(4), a_job(5, seed=1)]
    rig = Rig(tmp_path, jobs=jobs, limits=Limits(in_flight=8, submits_per_minute=1))
    rig.provider = Paged(rig.clock, ["lost", "ok", "ok", "ok", "lost"])
    rig.run()

    assert rig.provider.ledger.posts == 5
    assert rig.jobs_in(JobState.DONE) == 5
    assert {row["request_id"] for row in rig.rows} == {"r1", "r2", "r3", "r4", "r5"}
