"""From a seed to a schedule: the campaign, the policy, the weather, and when the runner is killed.

All weather stays within what the protocol assumes of a provider: refusals are truthful, one POST makes one
request at most, and whatever was accepted is in the list before `grace` ends. Some nights break the last of
these: under `hold` nothing but time may then be lost, under `resubmit` no more than the gambles it allows.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from batchrunner.rehearsal.schedule import CALLS, Schedule
from batchrunner.values import Job, Limits, Recovery
from tests.fakes import a_job

COST_MICROS = 150_000
SLOW_S = (0.1, 2.0, 20.0)

# What a POST may meet, and how often beside "ok" in the worst weather. See provider.py for what each means.
POST_FATES: Mapping[str, float] = {
    "instant": 0.3,
    "lost": 1.0,
    "late": 2.0,
    "slow": 1.0,
    "dropped": 0.7,
    "never_left": 0.4,
    "500 accepted": 0.6,
    "500 dropped": 0.3,
    "502 accepted": 0.6,
    "502 dropped": 0.3,
    "odd accepted": 0.4,
    "odd dropped": 0.2,
    "409 accepted": 0.2,
    "429": 0.5,
    "503 full": 0.3,
    "500 backend": 0.2,
    "400": 0.15,
    "402": 0.15,
    "401": 0.1,
}
RENDER_FATES: Mapping[str, float] = {
    "success": 6.0,
    "failed": 0.8,
    "rate": 0.4,
    "moderation": 0.5,
    "cancelled": 0.2,
    "stuck": 0.2,
    "no url at first": 0.5,
    "no url": 0.2,
}


def draw(seed: int) -> Schedule:
    """Return the schedule of a seed: the same on every machine."""
    rng = random.Random(f"schedule {seed}")
    recovery = Recovery(
        on_absent=rng.choice(("hold", "resubmit", "resubmit")),
        grace_s=600.0,
        give_up_s=rng.choice((1200.0, 3600.0)),
        risk=rng.randint(0, 3),
    )
    lag_s, stale_s, slow_s = rng.choice((0.0, 3.0, 60.0)), rng.choice((0.0, 0.0, 40.0)), rng.choice(SLOW_S)
    latest_s = recovery.grace_s - lag_s - stale_s - CALLS * slow_s - 1.0
    late_s = rng.choice((5.0, 60.0, 240.0, latest_s, latest_s))
    if recovery.on_absent == "hold" and rng.random() < 0.3:
        late_s = rng.uniform(600.0, 3000.0)  # later than grace: what is given up must still turn up
    jobs = _jobs(rng)
    rough, tells_total = rng.choice((0.1, 0.3, 0.6)), rng.random() < 0.5
    night = Schedule(
        seed=seed,
        jobs=jobs,
        limits=Limits(
            in_flight=rng.choice((1, 2, 4, 4)),
            submits_per_minute=rng.choice((None, None, 4)),
            budget_micros=_budget(rng, len(jobs)),
            max_outage_s=1800.0,
        ),
        recovery=recovery,
        storm_s=rng.uniform(600.0, 7200.0),
        posts=_mixed(rng, POST_FATES, rough, "ok"),
        renders=_mixed(rng, RENDER_FATES, 0.5, "success"),
        late_s=late_s,
        lag_s=lag_s,
        stale_s=stale_s,
        skew_s=rng.choice((0.0, 0.0, -100.0, 100.0)),
        dated=seed % 2 == 0,
        jump=_jump(seed),
        trouble=rng.choice((0.0, 0.05, 0.3)),
        short=rng.choice((0.0, 0.0, 0.5, 1.0)),
        page=3 if tells_total else 10,
        newest_first=rng.random() < 0.7,
        tells_total=tells_total,
        echo=rng.choice(("whole", "whole", "some", "none", "mute")),
        foreign=rng.choice((0, 0, 2, 12)),
        url_life_s=rng.choice((20.0, 3600.0)),
        fetch_trouble=rng.choice((0.0, 0.3)),
        slow_s=slow_s,
        outages=_windows(rng, 0.3, (60.0, 3000.0)),
        list_down=_windows(rng, 0.3, (60.0, 5400.0)),
        kills=tuple(rng.randint(1, rng.choice((15, 60))) for _ in range(rng.choice((0, 1, 1, 2, 3)))),
        takeover=rng.randint(1, 12) if rng.random() < 0.2 else 0,
        power_cuts=rng.random() < 0.5,
    )
    return _themed(night, rng, latest_s)


def _themed(night: Schedule, rng: random.Random, latest_s: float) -> Schedule:
    """Let some nights have one trouble only, at its worst: what is rare in mixed weather is tried there."""
    theme = rng.random()
    if theme >= 0.24:
        return night
    gamble = replace(night.recovery, on_absent="resubmit", risk=rng.randint(1, 3))
    night = replace(night, recovery=gamble, echo="whole", trouble=0.0, outages=(), list_down=())
    if theme < 0.08:  # acceptance as late as grace allows, in a list that is always whole
        return replace(night, posts={"ok": 0.4, "late": 0.6}, late_s=latest_s, short=0.0)
    if theme < 0.12:  # later than grace: a gamble may now be lost, and is counted as such
        return replace(night, posts={"ok": 0.4, "late": 0.6}, late_s=3000.0)
    if theme >= 0.2:  # a clock that is wrong by hours: found if the provider tells its own, else never absent
        return replace(night, posts={"ok": 0.4, "lost": 0.6}, skew_s=rng.choice((-7200.0, 7200.0)))
    # One page of the oldest, and no word about more.
    night = replace(night, posts={"ok": 0.4, "lost": 0.6}, late_s=min(night.late_s, latest_s))
    return replace(night, newest_first=False, foreign=12, short=1.0, page=10, tells_total=False)


def _jump(seed: int) -> tuple[float, float]:
    """Let somebody set the clock in one night of ten, by hours or days; its chance is its own."""
    rng = random.Random(f"jump {seed}")
    if rng.random() >= 0.1:
        return 0.0, 0.0
    return rng.uniform(0.0, 3600.0), rng.choice((-172_800.0, -7200.0, 7200.0, 172_800.0))


def _jobs(rng: random.Random) -> tuple[Job, ...]:
    count = rng.randint(3, 5)
    twins = rng.random() < 0.4  # fixed seeds: some jobs send exactly the same
    return tuple(
        a_job(number, COST_MICROS, seed=min(number, 2) if twins else number, prompt="la mer, café")
        for number in range(1, count + 1)
    )


def _budget(rng: random.Random, jobs: int) -> int | None:
    return None if rng.random() < 0.5 else COST_MICROS * rng.randint(1, jobs + 1) + rng.randint(0, 1000)


def _mixed(rng: random.Random, fates: Mapping[str, float], share: float, good: str) -> dict[str, float]:
    """Pick a few of some fates; together they have `share`, the good one has the rest."""
    chosen = {fate: fates[fate] for fate in rng.sample(sorted(fates), rng.randint(1, 6)) if fate != good}
    whole = sum(chosen.values()) or 1.0
    mixed = {fate: weight / whole * share for fate, weight in chosen.items()}
    return {good: 1.0 - sum(mixed.values()), **mixed}


def _windows(
    rng: random.Random, chance: float, length_s: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    if rng.random() >= chance:
        return ()
    start_s = rng.uniform(0.0, 900.0)
    return ((start_s, start_s + rng.uniform(*length_s)),)
