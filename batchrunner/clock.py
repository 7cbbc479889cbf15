"""The one door to time.

Wall time is only ever recorded; waits and deadlines use steady time. Everything below the roof gets a
`Clock` handed in, so that a test can run a night in milliseconds.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Time as the engine sees it."""

    def now_us(self) -> int:
        """Wall time in microseconds since 1970 (UTC): for records, never for waits."""

    def elapsed_s(self) -> float:
        """Steady time in seconds from an arbitrary start: for waits, never for records."""

    def asleep_s(self) -> float:
        """For how long in all the machine has been suspended, in seconds; 0 where nobody can tell."""

    def take(self, inbox: SimpleQueue[T], wait_s: float) -> T | None:
        """Return the first item that arrives within `wait_s` seconds, else None."""

    def pause(self, wait_s: float) -> None:
        """Let so many seconds pass, whatever arrives."""


class SystemClock:
    """The machine's clock. Steady time counts a suspend where the system offers such a clock."""

    _steady = getattr(time, "CLOCK_BOOTTIME", None)

    def now_us(self) -> int:
        """See `Clock`."""
        return time.time_ns() // 1_000

    def elapsed_s(self) -> float:
        """See `Clock`."""
        if self._steady is None:
            return time.monotonic()
        return time.clock_gettime(self._steady)

    def asleep_s(self) -> float:
        """See `Clock`. Of the two steady clocks one stands still meanwhile."""
        return 0.0 if self._steady is None else time.clock_gettime(self._steady) - time.monotonic()

    def take(self, inbox: SimpleQueue[T], wait_s: float) -> T | None:
        """See `Clock`."""
        try:
            return inbox.get(timeout=wait_s) if wait_s > 0 else inbox.get_nowait()
        except Empty:
            return None

    def pause(self, wait_s: float) -> None:
        """See `Clock`."""
        time.sleep(wait_s)


def utc_text(us: int) -> str:
    """Write wall time as fixed-width ISO 8601 in UTC, so that text order is time order."""
    return f"{_second_text(us // 1_000_000)}.{us % 1_000_000:06d}Z"


def local_text(us: int, zone: tzinfo | None = None) -> str:
    """Write wall time as a person reads it: day and minute, where the clock stands in `zone` (None: here)."""
    return f"{datetime.fromtimestamp(us // 1_000_000, zone):%Y-%m-%d %H:%M}"


@lru_cache(maxsize=4096)
def _second_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def utc_us(text: str) -> int:
    """Read back what `utc_text` wrote.

    Raises:
        ValueError: the text is not such a time.
    """
    whole, _, rest = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds * 1_000_000 + int(rest.ljust(6, "0")[:6] or "0")
