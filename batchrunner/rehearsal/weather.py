"""What a night may bring, in three strengths: pure, from a random source to a schedule.

The numbers are no measurements of a provider. `calm` is a night like most: one request in fifty fails and is
tried again. `rough` is a bad one, `storm` is worse than anybody has told of: what a plan survives there, it
survives. What depends on a manifest's own words and pictures (moderation, refused values) is not played.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from batchrunner.rehearsal.schedule import Schedule, Window
from batchrunner.rules.durations import Setting
from batchrunner.values import Job, Limits, Recovery

STEPS_A_JOB = 30  # of the engine, at which it can be killed; about
EVENTS_A_JOB = 2_000  # far more than any job takes, so that a rehearsal that does not end is noticed


@dataclass(frozen=True, slots=True)
class Weather:
    """Chances of one call, and events of one night. Lengths in seconds, as from and to."""

    posts: Mapping[str, float]  # what a POST meets beside "ok": provider.py tells what each means
    fails: float = 0.02  # a request fails at the provider, and says that trying again may help
    stuck: float = 0.0  # a request is never begun
    trouble: float = 0.0  # a poll or a list is not answered
    fetch_trouble: float = 0.0
    outages: int = 0
    outage_s: Window = (0.0, 0.0)
    list_down: int = 0
    crowded: float = 1.0  # for a third of the night the provider runs only this share of `in_flight`
    kills: int = 0
    power_cuts: bool = False
    late_s: float = 5.0
    lag_s: float = 1.0
    slow_s: float = 0.5


WEATHERS: Mapping[str, Weather] = {
    "calm": Weather(posts={}),
    "rough": Weather(
        posts={"lost": 0.005, "dropped": 0.003, "slow": 0.01, "502 accepted": 0.002, "503 full": 0.005},
        fails=0.04,
        trouble=0.02,
        fetch_trouble=0.02,
        outages=1,
        outage_s=(300.0, 1200.0),
        crowded=0.6,
        kills=1,
        lag_s=3.0,
        slow_s=1.0,
    ),
    "storm": Weather(
        posts={
            **{"lost": 0.02, "late": 0.01, "dropped": 0.02, "never_left": 0.02, "slow": 0.02, "429": 0.01},
            **{"500 accepted": 0.005, "500 dropped": 0.005, "502 accepted": 0.01, "502 dropped": 0.01},
            **{"odd accepted": 0.003, "503 full": 0.02},
        },
        fails=0.08,
        stuck=0.001,
        trouble=0.1,
        fetch_trouble=0.1,
        outages=2,
        outage_s=(600.0, 2400.0),
        list_down=1,
        crowded=0.5,
        kills=3,
        power_cuts=True,
        late_s=60.0,
        lag_s=10.0,
        slow_s=2.0,
    ),
}


def draw(
    weather: Weather,
    seed: str,
    jobs: tuple[Job, ...],
    limits: Limits,
    recovery: Recovery,
    takes: Mapping[Setting, tuple[float, float]],
    *,
    start_us: int,
    busy: Window,
    grain_s: float = 0.0,
) -> Schedule:
    """Return one night's schedule. `busy`: from when until when, in seconds, it is expected to work."""
    rng = random.Random(seed)  # noqa: S311 - weather, guards nothing
    lame = weather.fails + weather.stuck
    bad = sum(weather.posts.values())
    begin_s, end_s = busy

    def windows(number: int, length_s: Window) -> tuple[Window, ...]:
        starts = sorted(rng.uniform(begin_s, end_s) for _ in range(number))
        return tuple((at_s, at_s + rng.uniform(*length_s)) for at_s in starts)

    crowd_s = rng.uniform(begin_s, begin_s + (end_s - begin_s) * 2 / 3)
    most = max(1, int(limits.in_flight * weather.crowded))
    life = max(2, STEPS_A_JOB * len(jobs) // (weather.kills + 1))
    return Schedule(
        seed=rng.getrandbits(32),
        jobs=jobs,
        limits=limits,
        recovery=recovery,
        storm_s=float("inf"),
        posts={"ok": 1.0 - bad, **weather.posts},
        renders={"success": 1.0 - lame, "failed": weather.fails, "stuck": weather.stuck},
        late_s=weather.late_s,
        lag_s=weather.lag_s,
        stale_s=0.0,
        skew_s=0.0,
        dated=True,
        jump=(0.0, 0.0),
        trouble=weather.trouble,
        short=0.0,
        page=0,
        newest_first=True,
        tells_total=True,
        echo="whole",
        foreign=0,
        url_life_s=3600.0,
        fetch_trouble=weather.fetch_trouble,
        slow_s=weather.slow_s,
        outages=windows(weather.outages, weather.outage_s),
        list_down=windows(weather.list_down, weather.outage_s),
        kills=tuple(rng.randint(1, life) for _ in range(weather.kills)),
        power_cuts=weather.power_cuts,
        start_us=start_us,
        takes=takes,
        crowds=((crowd_s, crowd_s + (end_s - begin_s) / 3, most),) if most < limits.in_flight else (),
        fetch_s=5.0,
        grain_s=grain_s,
        seen=1000,
        steps_max=1_000_000 + EVENTS_A_JOB * len(jobs),
    )
