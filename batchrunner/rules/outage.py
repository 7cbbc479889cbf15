"""When the provider counts as out of reach, and how rarely it is then asked.

A runner makes few calls, so failures are counted and not rated: five in a row, on any verb, open the
breaker. While it is open one free GET at a time probes, first after 5 s and then more and more rarely;
nothing that costs money is sent. The first answer closes it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

FAILURES_TO_OPEN = 5
PROBE_FIRST_S = 5.0
PROBE_CAP_S = 300.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """Failures since the last answer; `since_s` is the steady time of the first of them."""

    failures: int = 0
    since_s: float = 0.0
    probes: int = 0
    probe_at_s: float = 0.0

    @property
    def open(self) -> bool:
        """True while nothing but probes may be sent."""
        return self.failures >= FAILURES_TO_OPEN

    def answered(self) -> Breaker:
        """Return the breaker after any answer of the provider's own."""
        return Breaker() if self.failures else self

    def failed(self, now_s: float) -> Breaker:
        """Return the breaker after a call without an answer."""
        since_s = self.since_s if self.failures else now_s
        failed = replace(self, failures=self.failures + 1, since_s=since_s)
        return replace(failed, probe_at_s=now_s + PROBE_FIRST_S) if failed.open and not self.open else failed

    def probed(self, now_s: float) -> Breaker:
        """Return the breaker after a probe without an answer."""
        wait_s = min(PROBE_CAP_S, PROBE_FIRST_S * 2.0 ** min(self.probes + 1, 16))
        return replace(self, failures=self.failures + 1, probes=self.probes + 1, probe_at_s=now_s + wait_s)

    def lasted_s(self, now_s: float) -> float:
        """Return for how long there has been no answer."""
        return now_s - self.since_s if self.failures else 0.0
