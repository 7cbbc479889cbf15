"""Whether the provider can be spoken to at all: the key, and outages."""

from __future__ import annotations

from batchrunner.engine.actions import Probed
from batchrunner.engine.steps import Stop
from batchrunner.rules.hours import span
from batchrunner.rules.outage import Breaker
from batchrunner.values import Reason

SILENT = frozenset({Reason.NETWORK, Reason.SERVER, Reason.UNCLEAR})  # not an answer of the provider's own
KEY_REFUSALS = 3  # submissions refused for the key in a row, although the key check passes


class Health:
    """What the answers so far say about provider and key. Times in steady seconds."""

    def __init__(self, max_outage_s: float) -> None:
        self.account: str | None = None
        self._max_outage_s = max_outage_s
        self._breaker = Breaker()
        self._key_refusals = 0
        self._key_in_doubt = False
        self._key_refused = False  # settled: nothing more to ask
        self._probing = False
        self._probe_at_s = float("-inf")
        self._last_trouble = ""

    @property
    def outage(self) -> bool:
        """True while only probes may be sent."""
        return self._breaker.open

    @property
    def key_known(self) -> bool:
        """True once the key was checked and nothing has cast doubt on it since."""
        return self.account is not None and not self._key_in_doubt

    def lasted_s(self, now_s: float) -> float:
        """Return for how long there has been no answer, in seconds."""
        return self._breaker.lasted_s(now_s)

    def heard(self, now_s: float, reason: Reason | None, detail: str = "") -> None:
        """Count one call: `reason` None or anything that is an answer ends an outage."""
        if reason not in SILENT:
            self._breaker = self._breaker.answered()
            return
        self._breaker = self._breaker.failed(now_s)
        self._last_trouble = detail

    def submitted(self, reason: Reason | None) -> Stop | None:
        """Note whether a submission was refused for the key; one free call confirms before the run stops."""
        if reason is not Reason.CREDENTIALS:
            self._key_refusals = 0
            return None
        self._key_refusals += 1
        self._key_in_doubt = True
        return Stop.CREDENTIALS if self._key_refusals >= KEY_REFUSALS else None

    def wants_probe(self, now_s: float) -> bool:
        """Tell whether a probe should start now; if so it counts as started."""
        due_s = self.next_probe_s()
        self._probing = self._probing or (due_s is not None and due_s <= now_s)
        return due_s is not None and self._probing

    def next_probe_s(self) -> float | None:
        """Return when the next probe is due, or None when none is needed or one is under way."""
        if self._probing or self._key_refused or (self.key_known and not self.outage):
            return None
        return self._breaker.probe_at_s if self.outage else self._probe_at_s

    def probed(self, outcome: Probed, now_s: float) -> Stop | None:
        """Take a probe's answer; a refused key ends the run."""
        self._probing = False
        error = outcome.error
        if error is None:
            self.account = outcome.account.id if outcome.account else None
            self._key_in_doubt = False
            self._breaker = self._breaker.answered()
            return None
        if error.reason is Reason.CREDENTIALS:
            self._key_refused = True
            return Stop.CREDENTIALS
        self._last_trouble = error.detail
        self._breaker = self._breaker.probed(now_s) if self.outage else self._breaker.failed(now_s)
        self._probe_at_s = now_s + (error.retry_after_s or 1.0)
        return None

    def outlasted(self, now_s: float) -> str:
        """Return a sentence once the outage has lasted longer than its limit, else nothing."""
        lasted_s = self.lasted_s(now_s)
        if not self.outage or lasted_s < self._max_outage_s:
            return ""
        return f"no answer from the provider for {span(lasted_s)}: {self._last_trouble}"
