"""Waits: retries, polls, pace, outages."""

from __future__ import annotations

import random

import pytest

from batchrunner.rules.budget import fits
from batchrunner.rules.outage import FAILURES_TO_OPEN, PROBE_CAP_S, Breaker
from batchrunner.rules.pacing import Pace
from batchrunner.rules.polling import Schedule, next_poll_s
from batchrunner.rules.retry import ATTEMPTS_MAX, RULES, backoff_s, next_try_s
from batchrunner.values import Limits, Reason


@pytest.mark.parametrize("reason", list(RULES))
def test_backoff_grows_to_its_cap_and_keeps_its_floor(reason: Reason) -> None:
    """Over many draws, each delay lies between floor and floor + capped exponential."""
    rule, rng = RULES[reason], random.Random(1)
    for failures in range(1, 40):
        ceiling_s = min(rule.cap_s, rule.base_s * 2.0 ** (failures - 1))
        delay_s = backoff_s(rule, failures, rng)

        assert rule.floor_s <= delay_s <= rule.floor_s + ceiling_s


def test_jitter_is_full() -> None:
    """The delays of many jobs that failed together spread over the whole range."""
    rng = random.Random(2)
    delays = [backoff_s(RULES[Reason.TRANSIENT], 3, rng) for _ in range(500)]

    assert min(delays) < 5
    assert max(delays) > 37


def test_the_providers_own_wish_is_a_floor() -> None:
    """Retry-After is waited out before the jitter begins."""
    assert backoff_s(RULES[Reason.RATE], 1, random.Random(3), retry_after_s=120) >= 120


def test_a_provider_that_says_how_long_is_believed() -> None:
    """One second is one second and some jitter, not our own twenty; no wait at all is not believed."""
    waits = [backoff_s(RULES[Reason.RATE], 1, random.Random(seed), retry_after_s=1) for seed in range(200)]
    zero = [backoff_s(RULES[Reason.RATE], 1, random.Random(seed), retry_after_s=0) for seed in range(200)]
    fifth = [backoff_s(RULES[Reason.RATE], 5, random.Random(seed), retry_after_s=1) for seed in range(200)]

    assert 1 <= min(waits) <= max(waits) <= 2
    assert 1 <= min(zero)
    assert 12 < max(fifth) <= 17
    assert backoff_s(RULES[Reason.RATE], 1, random.Random(3)) >= 20


@pytest.mark.parametrize(
    ("reason", "failures", "again"),
    [
        (Reason.TRANSIENT, 3, True),
        (Reason.TRANSIENT, 4, False),
        (Reason.RENDER, 4, False),
        (Reason.BACKEND, 1, True),
        (Reason.BACKEND, 2, False),
        (Reason.MODERATION, 1, False),
        (Reason.REQUEST, 1, False),
        (Reason.RATE, 99, True),
        (Reason.NETWORK, 99, True),
        (Reason.STUCK, 1, False),
    ],
)
def test_how_often_a_job_may_fail_goes_by_reason(reason: Reason, failures: int, again: bool) -> None:
    """With `retry.attempts: 4`."""
    wait_s = next_try_s(reason, attempts=failures, failures=failures, attempts_limit=4, rng=random.Random(4))

    assert (wait_s is not None) is again


def test_no_reason_is_tried_without_end() -> None:
    """Even weather has a cap on attempts."""
    wait_s = next_try_s(
        Reason.NETWORK, attempts=ATTEMPTS_MAX, failures=0, attempts_limit=4, rng=random.Random(5)
    )

    assert wait_s is None


def test_polls_grow_from_the_first_to_the_cap() -> None:
    """A tenth of spread either way, never past the cap and its spread."""
    rng, schedule = random.Random(6), Schedule(first_s=1.0, growth=2.0, cap_s=20.0)
    waits = [next_poll_s(schedule, polls, rng) for polls in range(100)]

    assert 0.9 <= waits[0] <= 1.1
    assert 18 <= min(waits[10:]) <= max(waits) <= 22


def test_the_minute_window_slides() -> None:
    """The third submission of two a minute waits for the first to be a minute old."""
    pace = Pace(Limits(submits_per_minute=2))
    pace.submitted(0.0)
    pace.submitted(10.0)

    assert pace.ready_at_s(11.0) == 60.0
    assert pace.ready_at_s(61.0) == 61.0


def test_both_windows_count_and_the_past_counts() -> None:
    """The hourly limit holds where the minute would allow more, also for the last run's submissions."""
    pace = Pace(Limits(submits_per_minute=10, submits_per_hour=3), past_s=[-100.0, -50.0, -10.0])

    assert pace.ready_at_s(0.0) == 3500.0


def test_without_limits_nothing_waits() -> None:
    """No window, no wait; only a hold-off counts."""
    pace = Pace(Limits(submits_per_minute=None))
    for at_s in range(100):
        pace.submitted(float(at_s))
    assert pace.ready_at_s(100.0) == 100.0
    pace.hold_off(130.0)

    assert pace.ready_at_s(100.0) == 130.0


def test_five_silences_open_the_breaker_and_one_answer_closes_it() -> None:
    """Four do not."""
    breaker = Breaker()
    for at_s in range(FAILURES_TO_OPEN - 1):
        breaker = breaker.failed(float(at_s))
    assert not breaker.open
    breaker = breaker.failed(10.0)
    assert breaker.open
    assert breaker.lasted_s(20.0) == 20.0

    assert not breaker.answered().open


def test_probes_become_rare() -> None:
    """Each unanswered probe doubles the wait up to a cap."""
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        breaker = breaker.failed(0.0)
    waits = []
    for _ in range(12):
        now_s = breaker.probe_at_s
        breaker = breaker.probed(now_s)
        waits.append(breaker.probe_at_s - now_s)

    assert waits == sorted(waits)
    assert waits[0] == 10.0
    assert waits[-1] == PROBE_CAP_S


@pytest.mark.parametrize(
    ("cost", "spent", "reserved", "budget", "fit"),
    [
        (10, 0, 0, None, True),
        (None, 0, 0, None, True),
        (None, 0, 0, 100, False),
        (10, 45, 45, 100, True),
        (11, 45, 45, 100, False),
    ],
)
def test_the_budget_bounds_spent_plus_reserved(
    cost: int | None, spent: int, reserved: int, budget: int | None, fit: bool
) -> None:
    """And a job of unknown price never fits into one."""
    assert fits(cost, spent_micros=spent, reserved_micros=reserved, budget_micros=budget) is fit
