"""Which local pictures are on their way to the provider's storage, and when each is tried again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

from batchrunner.rules import retry

_UNDER_WAY = float("inf")


class Uploads:
    """Pictures by content hash; times in steady seconds."""

    def __init__(self) -> None:
        self._due_s: dict[str, float] = {}
        self._troubles: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._due_s)

    def want(self, pictures: Iterable[str], now_s: float) -> None:
        """Let pictures be uploaded as soon as may be; those already on their way are left alone."""
        for sha256 in pictures:
            self._due_s.setdefault(sha256, now_s)

    def start(self, now_s: float) -> list[str]:
        """Return the pictures whose upload starts now."""
        starting = [sha256 for sha256, due_s in self._due_s.items() if due_s <= now_s]
        self._due_s.update(dict.fromkeys(starting, _UNDER_WAY))
        return starting

    def over(self, sha256: str) -> None:
        """Forget a picture that has its URL, or never will."""
        self._due_s.pop(sha256, None)

    def again(self, sha256: str, now_s: float, rng: random.Random, retry_after_s: float | None) -> None:
        """Try a picture again later."""
        self._troubles[sha256] += 1
        self._due_s[sha256] = now_s + retry.trouble_s(self._troubles[sha256], rng, retry_after_s)

    def next_due_s(self) -> float | None:
        """Return when the next upload is due, or None when none is."""
        return min((due_s for due_s in self._due_s.values() if due_s != _UNDER_WAY), default=None)
