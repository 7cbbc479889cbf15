"""How fast submissions may follow one another.

Two sliding windows, a minute and an hour, over the times of the submissions themselves. The times come
from the attempts table at start, so a restart does not forget what the last run used up. At most
`per_hour` times (or `per_minute`, where no hourly limit is set) are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from batchrunner.values import Limits

MINUTE_S = 60.0
HOUR_S = 3600.0


class Pace:
    """Counts submissions against the limits; times are steady seconds, oldest first."""

    def __init__(self, limits: Limits, past_s: Iterable[float] = ()) -> None:
        self._windows = [
            (length, limit, deque(past_s_in(past_s, limit), maxlen=limit))
            for length, limit in ((MINUTE_S, limits.submits_per_minute), (HOUR_S, limits.submits_per_hour))
            if limit is not None
        ]
        self._not_before_s = float("-inf")

    def ready_at_s(self, now_s: float) -> float:
        """Return the earliest time the next submission may start; not later than `now_s` means now."""
        # A window of `limit` submissions is full until its oldest one has left it.
        freed = [seen[0] + length for length, limit, seen in self._windows if len(seen) == limit]
        return max([self._not_before_s, *freed, now_s])

    def submitted(self, now_s: float) -> None:
        """Count one submission."""
        for _length, _limit, seen in self._windows:
            seen.append(now_s)

    def hold_off(self, until_s: float) -> None:
        """Start nothing before `until_s`: the provider said that it is too fast or full."""
        self._not_before_s = max(self._not_before_s, until_s)


def past_s_in(past_s: Iterable[float], limit: int) -> list[float]:
    """Return the newest `limit` of some times, oldest first."""
    return sorted(past_s)[-limit:]
