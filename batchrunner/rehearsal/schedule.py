"""One night's world: who renders how long, what the weather does to calls, and when the runner is killed.

All weather stays within what the protocol assumes of a provider: refusals are truthful, one POST makes one
request at most, and whatever was accepted is in the list sooner or later.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from batchrunner.rules.durations import Setting
from batchrunner.values import Job, Limits, Recovery

START_US = 1_764_000_000_000_000
CALLS = 5  # pauses between a list's making and what the engine concludes from it, with all that is reread
CALM_POSTS: Mapping[str, float] = {"ok": 1.0}
RENDER_S = (5.0, 120.0)  # where no times are known

Window = tuple[float, float]  # from when until when, in seconds from the start


@dataclass(frozen=True)
class Schedule:
    """One seed's world. Times in seconds; `trouble` and `rough` are chances of a call."""

    seed: int
    jobs: tuple[Job, ...]
    limits: Limits
    recovery: Recovery
    storm_s: float
    posts: Mapping[str, float]
    renders: Mapping[str, float]
    late_s: float  # how long after its POST a request may be accepted
    lag_s: float  # how long after its acceptance it may be missing in the list
    stale_s: float  # how old a list may be, now and then
    skew_s: float  # the provider's clock against ours
    dated: bool  # its answers tell its time
    jump: tuple[float, float]  # when our wall clock jumps, and by how much
    trouble: float  # a repeatable call fails
    short: float  # the list shows only its first `page`
    page: int
    newest_first: bool
    tells_total: bool
    echo: str  # of the list: whole, some, none; a request itself tells its payload, or (mute) does not
    foreign: int  # requests that somebody else makes with the same key
    url_life_s: float
    fetch_trouble: float
    slow_s: float  # calls take up to so long, and overtake each other
    outages: tuple[Window, ...] = ()
    list_down: tuple[Window, ...] = ()
    kills: tuple[int, ...] = ()  # each after so many steps of life
    takeover: int = 0  # the tick after which a second runner starts beside the first; 0: never
    power_cuts: bool = False
    # What a rehearsal of a real campaign says besides.
    start_us: int = START_US  # wall time at the start
    takes: Mapping[Setting, tuple[float, float]] | None = None  # mean and spread of the logarithm of seconds
    crowds: tuple[tuple[float, float, int], ...] = ()  # from when until when only so many run at once
    bad_keys: tuple[Window, ...] = ()  # the key is refused
    naps: tuple[Window, ...] = ()  # the machine is suspended; the runner's steady clock tells it
    fetch_s: float = 30.0  # a download takes up to so long
    grain_s: float = 0.0  # things happen at whole multiples of it: coarser, and quicker to play
    seen: int = 1 << 30  # requests that the list goes back
    steps_max: int = 40_000  # whatever needs more events and waits does not end

    @property
    def bounded(self) -> bool:
        """True while whatever is accepted is in the list, even in an old one, before `grace` ends."""
        return self.late_s + self.lag_s + self.stale_s + CALLS * self.slow_s < self.recovery.grace_s

    @property
    def timely(self) -> bool:
        """True while a request can be known by its time: the clocks agree, or it is known how they differ."""
        return self.jump[1] == 0.0 and (self.dated or abs(self.skew_s) <= 120.0)

    def pause_s(self, rng: random.Random) -> float:
        """Return how long the next step of a call takes."""
        return rng.uniform(0.01, self.slow_s)

    def grained_s(self, at_s: float) -> float:
        """Return the next moment, from `at_s` on, at which things may happen."""
        return math.ceil(at_s / self.grain_s - 1e-9) * self.grain_s if self.grain_s else at_s

    def without_kills(self) -> Schedule:
        """Return the same world in which nobody is killed."""
        return replace(self, kills=(), takeover=0)
