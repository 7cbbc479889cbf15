"""What the jobs that are left will probably cost, from what jobs that ended have cost. Pure.

A failed attempt is mostly free, and a job that fails for good is never paid; one that was rendered, paid
for and could not be used is paid again. So what is expected may lie below the price of a clip each, or above.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal


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
