"""Campaigns of some jobs with several kills each: at random failpoints or times, in recoveries too."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from batchrunner.emulator.process import EmbeddedEmulator
from tests.chaos.rig import WEATHER, Night, Verdict

AT_ONCE = 4  # campaigns side by side: most of a run is waiting
LAUNCHES_MAX = 12
# Points that every run comes by which has something to submit, or to fetch.
POINTS = (
    [f"{name}.{when}" for name in ("intent", "accepted", "ready", "fetched", "done", "unknown", "adopted")
     for when in ("before", "commit", "after")]
    + [f"{name}.{when}" for name in ("submit", "connect", "sent", "status", "fetch", "part", "link", "unlink")
       for when in ("before", "after")]
    + ["recent.after", "part.half", "sidecar.half", "sidecar.after", "folder.after"]
)  # fmt: skip
# A run of such a campaign is at work for this long after its process was started.
EARLIEST_S, LATEST_S = 0.25, 1.6

Kill = Callable[[Night, random.Random], bool]


def at_a_point(night: Night, rng: random.Random) -> bool:
    """Kill the next run where it passes some point for the first or second time."""
    return night.killed_at(f"{rng.choice(POINTS)}:{rng.choice((1, 1, 1, 2))}")


def at_a_time(night: Night, rng: random.Random) -> bool:
    """Kill the next run some time."""
    return night.killed_after(rng.uniform(EARLIEST_S, LATEST_S))


def campaign(night: Night, kill: Kill, kills: int) -> Verdict:
    """Kill a campaign so often, as far as it lasts; run it to its end and judge."""
    rng = random.Random(night.seed)
    for _ in range(LAUNCHES_MAX):
        if night.kills >= kills or not (kill(night, rng) or night.goes_on()):
            break
    night.finish()
    return night.judge()


def campaigns(folder: Path, seeds: Iterable[int], kill: Kill, *, kills_each: int = 4) -> Verdict:
    """Run a campaign for each seed, some side by side, against one emulator."""
    with EmbeddedEmulator(WEATHER) as emulator, ThreadPoolExecutor(AT_ONCE) as pool:

        def one(seed: int) -> Verdict:
            night = Night(folder / f"{kill.__name__}-{seed}", emulator.api, emulator.key, seed, takes=4)
            return campaign(night, kill, kills_each)

        return sum(pool.map(one, seeds), Verdict())
