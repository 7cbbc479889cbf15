"""When a job may try again, by the reason of its last failure.

Only reasons that say something about the job count against `retry.attempts`; weather (rate limits, full
queues, a dead network) does not, and is bounded by its own cap and by the outage limit. Delays are a floor
plus full jitter over a capped exponential, so that a thousand jobs that failed together do not come back
together. Sources of the numbers: the provider asks for 20 s after a rate-limit failure, and its capacity
answers were seen to last over 20 minutes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from batchrunner.values import Reason

ASKED_MIN_S = 1.0  # a provider that asks for no wait at all waits so long all the same
ATTEMPTS_MAX = 200  # of one job, whatever the reasons: no loop without an end


@dataclass(frozen=True, slots=True)
class Rule:
    """`counted`: a failure of the job's own. `tries`: how often this reason alone may end an attempt."""

    counted: bool
    base_s: float
    cap_s: float
    floor_s: float = 0.0
    tries: int | None = None


FINAL = Rule(counted=True, base_s=0, cap_s=0, tries=1)

RULES: dict[Reason, Rule] = {
    Reason.NETWORK: Rule(counted=False, base_s=2, cap_s=60),
    Reason.RATE: Rule(counted=False, base_s=15, cap_s=300, floor_s=20),
    Reason.CAPACITY: Rule(counted=False, base_s=20, cap_s=300, floor_s=10),
    Reason.CREDENTIALS: Rule(counted=False, base_s=2, cap_s=60),
    Reason.CREDIT: Rule(counted=False, base_s=2, cap_s=60),
    Reason.BACKEND: Rule(counted=True, base_s=30, cap_s=60, floor_s=10, tries=2),
    Reason.TRANSIENT: Rule(counted=True, base_s=10, cap_s=300, floor_s=2),
    Reason.RENDER: Rule(counted=True, base_s=10, cap_s=300, floor_s=2),
    Reason.UNCLEAR: Rule(counted=True, base_s=10, cap_s=300, floor_s=2),
    Reason.OUTPUT: Rule(counted=True, base_s=10, cap_s=60, floor_s=2, tries=3),
    Reason.REQUEST: FINAL,
    Reason.MODERATION: FINAL,
    Reason.MODEL: FINAL,
    Reason.PICTURE: FINAL,
    Reason.CANCELLED: FINAL,
}


def backoff_s(rule: Rule, failures: int, rng: random.Random, retry_after_s: float | None = None) -> float:
    """Return how long to wait after the `failures`-th failure in a row (counted from 1), in seconds.

    Where the provider has said how long (`retry_after_s`), its word stands in place of our floor and base.
    """
    floor_s, base_s = rule.floor_s, rule.base_s
    if retry_after_s is not None:
        floor_s = max(ASKED_MIN_S, retry_after_s)
        base_s = min(base_s, floor_s)
    ceiling_s = min(rule.cap_s, base_s * 2.0 ** min(failures - 1, 16))
    return floor_s + rng.uniform(0.0, ceiling_s)


def next_try_s(
    reason: Reason,
    *,
    attempts: int,
    failures: int,
    attempts_limit: int,
    rng: random.Random,
    retry_after_s: float | None = None,
) -> float | None:
    """Return the delay before the job's next attempt in seconds, or None when it has failed for good.

    `attempts` counts all attempts so far, `failures` the counted ones, both with this one included.
    """
    rule = RULES.get(reason, FINAL)
    limit = attempts_limit if rule.tries is None else min(rule.tries, attempts_limit)
    if attempts >= ATTEMPTS_MAX or (rule.counted and failures >= limit):
        return None
    return backoff_s(rule, max(1, failures if rule.counted else attempts), rng, retry_after_s)


def trouble_s(troubles: int, rng: random.Random, retry_after_s: float | None = None) -> float:
    """Return the delay before a repeatable call is made again after `troubles` failures in a row."""
    return backoff_s(Rule(counted=False, base_s=2, cap_s=60, floor_s=1), troubles, rng, retry_after_s)
