"""How a run ended: one exit code, and one line that says what to do now."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchrunner.engine.progress import Tally
from batchrunner.engine.steps import Stop
from batchrunner.values import HeldJob, JobState, Totals

STOP_CODES: Mapping[Stop, int] = {
    Stop.LOCAL: 8,
    Stop.FOLDER: 8,
    Stop.CREDENTIALS: 5,
    Stop.CREDIT: 6,
    Stop.BUDGET: 6,
    Stop.OUTAGE: 7,
    Stop.MODEL: 3,
    Stop.DEADLINE: 10,
    Stop.ENOUGH: 10,
    Stop.SIGNAL: 130,
}
WORST_FIRST = (70, 8, 9, 5, 6, 7, 10, 130, 4, 3, 0)


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one run. `failed` holds the first few failed jobs."""

    campaign: str
    stop: Stop | None
    detail: str
    tally: Tally
    totals: Totals
    held: tuple[HeldJob, ...]
    failed: tuple[dict[str, Any], ...]
    elapsed_s: float
    output: Path
    manifest: Path
    missing: tuple[str, ...] = ()  # published files that are not where they were put
    idle: bool = False  # nothing was done, and all is as the last run left it
    limits_found: Mapping[str, int] = field(default_factory=dict)  # see Progress
    rest_s: float | None = None  # how long what is left takes by what was learned; None: not known
    to_finish_micros: int | None = None  # what the pending jobs cost at most; None: a price is not known

    @property
    def exit_code(self) -> int:
        """The worst of what is true, in the documented order. A signal's own code is the roof's."""
        codes = {0}
        if self.stop is not None:
            codes.add(STOP_CODES[self.stop])
        if self.missing:
            codes.add(8)
        if self.held:
            codes.add(4)
        if self.totals.jobs[JobState.FAILED]:
            codes.add(3)
        return min(codes, key=WORST_FIRST.index)

    @property
    def again(self) -> str:
        """The command that goes on."""
        return f"batchrunner run {shlex.quote(str(self.manifest))}"

    @property
    def needed(self) -> str:
        """The budget with which all that is left could be paid, in dollars, rounded up to the cent."""
        micros = self.totals.spent_micros + self.totals.reserved_micros + (self.to_finish_micros or 0)
        return f"{-(-micros // 10_000) / 100:.2f}"

    def _left(self) -> str:
        """Say how many jobs are left, and how long they take: at the pace of this run, if it had one."""
        left, done = self.totals.jobs[JobState.PENDING], self.tally.downloads
        jobs = f"{left:,} job{'' if left == 1 else 's'} left"
        if not left:
            return jobs
        if not done:
            return jobs if self.rest_s is None else f"{jobs}, some {_roughly(self.rest_s)} of running"
        rest_s = left * (self.elapsed_s - self.tally.asleep_s) / done
        return f"{jobs}, some {_roughly(rest_s)} at the pace of this run"

    @property
    def next_step(self) -> str:
        """What to do now; nothing when every job is done."""
        failed, needed = self.totals.jobs[JobState.FAILED], self.needed
        by_stop = {
            Stop.LOCAL: f"mend that on this machine, then go on with: {self.again}",
            Stop.FOLDER: f"see to that, then go on with: {self.again}",
            Stop.CREDENTIALS: f"set a valid GMI_API_KEY, then go on with: {self.again}",
            Stop.CREDIT: f"add credit to the account, then go on with: {self.again}",
            Stop.BUDGET: f"${needed} is enough for all that is left: {self.again} --budget {needed}",
            Stop.DEADLINE: f"{self._left()}; go on with: {self.again}",
            Stop.ENOUGH: f"{self._left()}; look at the clips, then go on with: {self.again}",
            Stop.OUTAGE: f"when the provider answers again, go on with: {self.again}",
            Stop.MODEL: f"mend what it names, then: batchrunner retry {self.campaign} && {self.again}",
            Stop.SIGNAL: f"go on with: {self.again}",
        }
        if self.stop is not None:
            return by_stop[self.stop]
        if self.missing:
            return (
                f"put the missing files back into {self.output} (or name the right folder with --output); "
                f"or fetch them again, free: batchrunner verify {self.campaign} --fetch"
            )
        if self.held:
            return f"settle the held jobs with the commands above, then: {self.again}"
        if failed:
            return f"mend what the reasons name, then: batchrunner retry {self.campaign} && {self.again}"
        return ""


def _roughly(seconds: float) -> str:
    """Return a length of time that is only foreseen, rounded up."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"
