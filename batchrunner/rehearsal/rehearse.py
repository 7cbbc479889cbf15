"""Many nights of one campaign, and what they have in common.

How long the provider takes is learned, or guessed, and differs from night to night. So each night's provider
is a little faster or slower than it is thought to be, by quantiles of the same size: a few nights then show
as much of the range as they can.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from batchrunner.rehearsal.night import Night, play
from batchrunner.rehearsal.stage import Call, Script, Stage
from batchrunner.rehearsal.weather import WEATHERS, draw
from batchrunner.rules.durations import NORMAL, Durations
from batchrunner.rules.hours import window
from batchrunner.values import JobState

NIGHTS_MIN, NIGHTS_MAX = 2, 40
JOBS_PLAYED = 3_000  # in all nights together, unless the number of nights is given
MANY, GRAIN_S = 1_000, 1.0  # with more jobs time passes in whole seconds, which takes half as long to play
APART = 1_000  # jobs in all nights together from which on processes share the nights
ROOM = 1 << 28  # bytes that must be free in memory for a night's state table to lie there
ENOUGH = 20  # nights from which on 5 % and 95 % mean something

Asked = tuple[str, str, float, int]  # weather, seed, share, start: see `one_night`

# From so many samples on the typical time of a night differs by so much (a spread of its logarithm).
NIGHTS_DIFFER = ((20, 0.1), (1, 0.2), (0, 0.35))


@dataclass(frozen=True, slots=True)
class Range:
    """The middle of some nights, and their range: 5 % to 95 %, or lowest to highest where they are few."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was played, and how it ended."""

    script: Script
    weather: str
    seed: int
    start_us: int
    nights: tuple[Night, ...]

    @property
    def crashes(self) -> int:
        """How often the process was killed, in all nights."""
        return sum(one.crashes for one in self.nights)

    @property
    def twice(self) -> int:
        """How many clips were paid twice, in all nights."""
        return sum(one.twice for one in self.nights)

    @property
    def gambled(self) -> int:
        """How many of these the manifest's `recovery.on_absent: resubmit` had allowed."""
        return sum(one.gambled for one in self.nights)

    @property
    def lost(self) -> int:
        """How many requests were paid that nobody knows any more, in all nights."""
        return sum(one.lost for one in self.nights)

    @property
    def quantiles(self) -> bool:
        """True where ranges are 5 % to 95 %, else they are lowest to highest."""
        return len(self.nights) >= ENOUGH

    def jobs(self, state: JobState) -> Range:
        """Return how many jobs were in a state in the morning."""
        return self.range_of([one.jobs[state] for one in self.nights])

    def range_of(self, values: Sequence[float]) -> Range:
        """Return the range of a value of each night."""
        few = sorted(values)
        # One more night than these falls between any two of them, or beside them, with the same chance.
        tail = int(0.05 * (len(few) + 1)) - 1 if self.quantiles else 0
        return Range(few[tail], median(few), few[-1 - tail])

    @property
    def held(self) -> Counter[str]:
        """Why jobs were held, in all nights."""
        return sum((Counter(one.held) for one in self.nights), Counter[str]())

    @property
    def ends(self) -> Counter[int]:
        """How many nights ended with which exit code."""
        return Counter(one.exit_code for one in self.nights)


def nights_for(jobs: int) -> int:
    """Return how many nights are played where nobody says: fewer of more jobs, so that it takes seconds."""
    return max(NIGHTS_MIN, min(NIGHTS_MAX, JOBS_PLAYED // max(1, jobs)))


def rehearse(
    stage: Stage,
    weather: str,
    *,
    start_us: int,
    nights: int | None = None,
    seed: int = 1,
    each: Callable[[int, int], None] | None = None,
    hands: int | None = None,
) -> Rehearsal:
    """Play some nights that begin at `start_us`; `each` is told how many of how many are over.

    `hands`: processes that share the nights; by default one, or all there may be where the nights are long.

    Raises:
        BatchrunnerError: as `Campaign.run`.
        InvariantError: a rule of the protocol did not hold: a bug.
    """
    number = nights or nights_for(len(stage.script.jobs))
    order = random.Random(seed).sample(range(number), number)  # noqa: S311 - weather, guards nothing
    asked = [(weather, f"{seed} {at}", (rank + 0.5) / number, start_us) for at, rank in enumerate(order)]
    played = list[Night]()
    with tempfile.TemporaryDirectory(prefix="batchrunner-rehearsal-", dir=_memory()) as folder:
        for night in _played(stage, asked, folder, hands or _hands(number * len(stage.script.jobs))):
            played.append(night)
            if each is not None:
                each(len(played), number)
    return Rehearsal(stage.script, weather, seed, start_us, tuple(played))


def one_night(
    stage: Stage, weather: str, seed: str, share: float, start_us: int, folder: str | None = None
) -> Night:
    """Play one night; in a `share` of all nights (0 to 1) the provider is faster than in this one."""
    script = stage.script
    z = NORMAL.inv_cdf(share)
    takes = {what: (one.mu + z * _differs(one), one.sigma) for what, one in script.durations.items()}
    schedule = draw(
        WEATHERS[weather],
        f"{weather} {seed}",
        script.sent,
        script.limits,
        stage.manifest.recovery,
        takes,
        start_us=start_us,
        busy=_busy(stage, start_us),
        grain_s=GRAIN_S if len(script.jobs) > MANY else 0.0,
    )
    with tempfile.TemporaryDirectory(prefix="batchrunner-rehearsal-", dir=folder or _memory()) as own:
        return play(stage, schedule, Path(own))


# --- the parts ----------------------------------------------------------------------------------------


def _hands(jobs: int) -> int:
    if jobs < APART:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _played(stage: Stage, asked: Sequence[Asked], folder: str, hands: int) -> Iterator[Night]:
    """Yield the nights in their order."""
    hands = min(hands, len(asked))
    if hands <= 1:
        yield from (one_night(stage, *one, folder) for one in asked)
        return
    # A process of its own begins with nothing of this one's: the same on every system. On the way out, also
    # by Ctrl-C, those that are still at it are ended; their files go with `folder`.
    with multiprocessing.get_context("spawn").Pool(hands, _begin, (stage.call,)) as pool:
        yield from pool.imap(_night, [(*one, folder) for one in asked])


_stages: list[Stage] = []  # of a process that plays nights for another one


def _begin(call: Call) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that asked is interrupted, and ends this one
    _stages.append(Stage(call))


def _night(asked: tuple[str, str, float, int, str]) -> Night:
    return one_night(_stages[0], *asked)


def _differs(known: Durations) -> float:
    return next(differs for samples, differs in NIGHTS_DIFFER if known.samples >= samples)


def _busy(stage: Stage, start_us: int) -> tuple[float, float]:
    """Return from when until when the run is expected to work, in seconds from its start; about."""
    script, limits = stage.script, stage.script.limits
    means = [one.mean_s for one in script.durations.values()] or [0.0]
    lasts_s = len(script.jobs) * (sum(means) / len(means)) / limits.in_flight
    for limit, span_s in ((limits.submits_per_minute, 60.0), (limits.submits_per_hour, 3600.0)):
        lasts_s = max(lasts_s, len(script.jobs) * span_s / limit if limit else 0.0)
    opens_us = window(limits.window).opens_us(start_us, stage.bounds.zone) if limits.window else None
    begin_s = (opens_us - start_us) / 1e6 if opens_us else 0.0
    return begin_s, begin_s + lasts_s


def _memory() -> str | None:
    """Return a folder in memory, where the machine has one with room: a sync costs nothing there."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder made in it is this process's own
    try:
        return str(memory) if shutil.disk_usage(memory).free >= ROOM else None
    except OSError:
        return None
