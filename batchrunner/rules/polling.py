"""When to ask again how an accepted request stands."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Growing intervals in seconds, from the model's card."""

    first_s: float
    growth: float
    cap_s: float


def next_poll_s(schedule: Schedule, polls: int, rng: random.Random) -> float:
    """Return the wait before poll number `polls` + 1: growing to a cap, spread by a tenth either way.

    The spread keeps jobs that were submitted together from being asked for together ever after.
    """
    grown = schedule.first_s * schedule.growth ** min(polls, 64)
    return min(schedule.cap_s, grown) * rng.uniform(0.9, 1.1)
