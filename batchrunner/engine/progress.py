"""How a run stands, as the loop tells it after every tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from batchrunner.engine.planner import Wait
from batchrunner.engine.steps import Stop
from batchrunner.store.changes import Change
from batchrunner.values import JobState


@dataclass(frozen=True, slots=True)
class Tally:
    """What this run has done so far."""

    submissions: int = 0
    downloads: int = 0
    in_doubt: int = 0  # submissions of unknown fate found at the start
    unclear: int = 0  # submissions of this run whose answer was lost
    found: int = 0  # of those in doubt, now or then: found in the provider's list
    swept: int = 0  # paid for in an earlier run whose record is lost, and taken over
    spared: int = 0  # held back, because others like them were refused
    spared_micros: int = 0
    asleep_s: float = 0.0  # for how long the machine was suspended meanwhile
    duplicates: int = 0  # given up as absent and paid for again, and found after all


@dataclass(frozen=True, slots=True)
class Progress:
    """One tick: what it wrote, and how the campaign stands after it. Money in micro-dollars."""

    changes: tuple[Change, ...]
    jobs: Mapping[JobState, int]
    in_flight: int
    downloading: int
    spent_micros: int
    reserved_micros: int
    waiting_for: Wait
    opens_us: int | None  # when the hours of the window begin (microseconds UTC); None while they last
    outage_s: float
    tally: Tally
    stop: Stop | None
    detail: str
    problem: str  # the last thing that went wrong, for people
    limits_found: Mapping[str, int]  # that the provider seems to have, by their names in a manifest
