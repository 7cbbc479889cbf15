"""What a run counts as it goes: jobs by state, money, and what this run did.

Read once from the table, then kept up with every change that is written, so that no tick has to ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from batchrunner.engine.progress import Tally
from batchrunner.rules.states import EventKind
from batchrunner.store.changes import Change, Moved
from batchrunner.values import Attempt, AttemptState, JobState, PendingJob, Totals


class Books:
    """Money in micro-dollars; `problem` is the last thing that went wrong, for people."""

    def __init__(self, totals: Totals, *, may_gamble: bool = True) -> None:
        self._jobs: Counter[JobState] = Counter(totals.jobs)
        self._in_doubt = 0
        self._found = 0
        self._unclear = 0
        self._downloads = 0
        self.submissions = 0
        self.asleep_s = 0.0
        self.swept = 0
        self._spared = 0
        self._spared_micros = 0
        self.spent_micros = totals.spent_micros
        self.reserved_micros = totals.reserved_micros
        self._duplicates = 0
        self.may_gamble = may_gamble
        self.waived = totals.attempts.get(AttemptState.WAIVED, 0)
        self.problem = ""

    @property
    def jobs(self) -> Mapping[JobState, int]:
        """Jobs of the manifest by state."""
        return dict(self._jobs)

    @property
    def tally(self) -> Tally:
        """What this run has done."""
        return Tally(
            submissions=self.submissions,
            downloads=self._downloads,
            in_doubt=self._in_doubt,
            unclear=self._unclear,
            found=self._found - self.swept,
            swept=self.swept,
            spared=self._spared,
            spared_micros=self._spared_micros,
            asleep_s=self.asleep_s,
            duplicates=self._duplicates,
        )

    def doubted(self, count: int) -> None:
        """Note how many submissions were in doubt when the run began."""
        self._in_doubt = count

    def intended(self, attempt: Attempt) -> None:
        """Count an attempt that begins."""
        self.reserved_micros += attempt.open_micros
        self._shift(JobState.PENDING, JobState.ACTIVE)

    def followed(self, before: Attempt, after: Attempt, changes: Iterable[Change]) -> None:
        """Count what a step did to an attempt."""
        self.spent_micros += after.spent_micros - before.spent_micros
        self.reserved_micros += after.open_micros - before.open_micros
        self.waived += after.state is AttemptState.WAIVED
        for change in changes:
            if isinstance(change, Moved):
                self._moved(change)

    def ruled_out(self, job: str, detail: str) -> None:
        """Count a pending job that failed without an attempt."""
        self._shift(JobState.PENDING, JobState.FAILED)
        self.problem = f"{job}: {detail}"

    def held_back(self, job: str, detail: str) -> None:
        """Count a pending job that is held without having been sent."""
        self._shift(JobState.PENDING, JobState.HELD)
        self.problem = f"{job}: {detail}"

    def duplicate(self, attempt: Attempt, request_id: str) -> None:
        """Count a gamble that was lost: there are no more of them."""
        self._duplicates += 1
        self.may_gamble = False
        self.problem = f"{attempt.job}: {request_id} was given up and turned up after all: paid twice"

    def spared(self, job: PendingJob) -> None:
        """Count a pending job that is held back, and the money that it would have cost."""
        self._shift(JobState.PENDING, JobState.HELD)
        self._spared += 1
        self._spared_micros += job.cost_micros or 0

    def _moved(self, change: Moved) -> None:
        if change.attempt.listed:
            was_held = change.source is AttemptState.HELD
            self._shift(JobState.HELD if was_held else JobState.ACTIVE, change.job)
        self._found += change.kind is EventKind.FOUND
        self._unclear += change.kind is EventKind.UNCLEAR
        self._downloads += change.kind is EventKind.FETCHED
        if change.detail:
            self.problem = f"{change.attempt.job}: {change.detail}"

    def _shift(self, source: JobState, target: JobState) -> None:
        self._jobs[source] -= 1
        self._jobs[target] += 1
