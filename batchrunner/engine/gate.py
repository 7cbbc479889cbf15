"""When a run may start nothing more: a deadline, the hours of a window, as many jobs as were asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo

from batchrunner.clock import local_text
from batchrunner.rules.hours import Window, span

RELEARN_S = 30.0  # how long what was learned of durations stands
ASK_S = 1.0  # how long it stands that nothing was learned yet: a deadline may be near


@dataclass(frozen=True, slots=True)
class Bounds:
    """What was asked of this run alone. `until_us` is wall time (microseconds UTC), `for_s` a length."""

    until_us: int | None = None
    for_s: float | None = None
    max_new: int | None = None
    budget_micros: int | None = None  # wins over the manifest's
    fresh: bool = False  # a person says that the state table has forgotten nothing that matters
    zone: tzinfo | None = None  # of the window's hours; None: this machine's


class Gate:
    """Tells whether one more submission may start.

    Args:
        likely_s: within how long a job that starts now is very probably done; None while nothing is known.
    """

    def __init__(
        self, bounds: Bounds, window: Window | None, started_s: float, likely_s: Callable[[], float | None]
    ) -> None:
        self._bounds = bounds
        self._window = window
        self._ends_s = None if bounds.for_s is None else started_s + bounds.for_s
        self._likely_s = likely_s
        self._learned: tuple[float, float] = (float("-inf"), 0.0)  # when, and what

    def over(self, now_s: float, now_us: int) -> str:
        """Return why a job that starts now would be too late, or nothing where it would not."""
        likely_s = self._lasts_s(now_s)
        by_wall, by_length = self._bounds.until_us, self._ends_s
        if by_wall is not None and now_us + likely_s * 1e6 >= by_wall:
            return _too_late((by_wall - now_us) / 1e6, likely_s, local_text(by_wall, self._bounds.zone))
        if by_length is not None and now_s + likely_s >= by_length:
            return _too_late(by_length - now_s, likely_s, "the end of the length that was given")
        return ""

    def closes_s(self, now_s: float, now_us: int) -> float | None:
        """Return the steady time from which on `over` has a reason, as far as it is known; None: never."""
        ends_s = self.ends_s(now_s, now_us)
        return None if ends_s is None else ends_s - self._lasts_s(now_s)

    def ends_s(self, now_s: float, now_us: int) -> float | None:
        """Return the steady time of the deadline; None: there is none."""
        by_wall = self._bounds.until_us
        ends = [self._ends_s, None if by_wall is None else now_s + (by_wall - now_us) / 1e6]
        return min((end_s for end_s in ends if end_s is not None), default=None)

    def enough(self, submissions: int) -> bool:
        """Tell whether this run has started as many jobs as it may."""
        return self.rest(submissions) == 0

    def rest(self, submissions: int) -> int | None:
        """Return how many more jobs this run may start; None: as many as there are."""
        most = self._bounds.max_new
        return None if most is None else max(0, most - submissions)

    def opens_us(self, now_us: int) -> int | None:
        """Return when the window opens next (microseconds UTC), or None while nothing is closed."""
        return self._window.opens_us(now_us, self._bounds.zone) if self._window else None

    def _lasts_s(self, now_s: float) -> float:
        if self._bounds.until_us is None and self._ends_s is None:
            return 0.0
        learned_s, lasts_s = self._learned
        if now_s - learned_s >= (RELEARN_S if lasts_s else ASK_S):
            lasts_s = self._likely_s() or 0.0
            self._learned = (now_s, lasts_s)
        return lasts_s


def _too_late(left_s: float, likely_s: float, end: str) -> str:
    if left_s <= 0:
        return f"{end.removeprefix('the end of ')} is over"
    return f"a job begun {span(left_s)} before {end} may be late: it takes up to {span(likely_s)}"
