"""What the jobs that are left will probably cost, from what jobs that ended have cost. Pure.

A failed attempt is mostly free, and a job that fails for good is never paid; one that was rendered, paid
for and could not be used is paid again. So what is expected may lie below the price of a clip each, or above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

ENOUGH = 20  # jobs that ended, before a range is told
NINE_OF_TEN = 1.64  # a normal distribution lies within so many deviations


@dataclass(frozen=True, slots=True)
class Shown:
    """Jobs that ended, done or failed for good: what they should have cost once each, and what they did."""

    ended: int = 0
    failed: int = 0
    price_micros: int = 0
    paid_micros: int = 0

    @property
    def usual(self) -> bool:
        """Tell whether each clip was paid once and none failed."""
        return not self.failed and self.paid_micros == self.price_micros


def expected_micros(at_most_micros: int, shown: Shown) -> int | None:
    """Return what jobs that cost `at_most_micros` once each will cost, if it goes on as it went.

    None: nothing has ended yet, or nothing that had a price.
    """
    if not shown.price_micros:
        return None
    share = Decimal(shown.paid_micros) / shown.price_micros
    return int((at_most_micros * share).to_integral_value(ROUND_CEILING))


def range_micros(at_most_micros: int, left: int, shown: Shown) -> tuple[int, int] | None:
    """Return between which sums nine of ten nights end, where `left` jobs cost `at_most_micros` once each.

    Both that the share of failures may be another than was seen and that chance decides anew are in it (a
    beta-binomial count of failures); that tonight's failures may have a cause of their own is not.
    None: too few jobs have ended.
    """
    if shown.ended < ENOUGH or not shown.price_micros or not left:
        return None
    bad, good = shown.failed + 0.5, shown.ended - shown.failed + 0.5
    share = bad / (bad + good)
    spread = NINE_OF_TEN * math.sqrt(share * (1 - share) * (bad + good + left) / (left * (bad + good + 1)))
    low_bad, high_bad = max(0.0, share - spread), min(1.0, share + spread)
    if not shown.failed:
        low_bad = 0.0
    seen_good = 1 - shown.failed / shown.ended
    paid_each = shown.paid_micros / shown.price_micros / seen_good if seen_good else 1.0
    low, high = (at_most_micros * (1 - one) * paid_each for one in (high_bad, low_bad))
    return round(low), round(high)
