"""Worker threads for calls, without what a Future costs: outcomes come back through the loop's inbox.

The threads are daemons, so a call that is left behind at the end of a run (a poll, a download) keeps nobody
waiting. A POST is never left behind: the loop ends only after its outcome, or by an order to end at once.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol

SUBMITTERS_MAX = 32


@dataclass(frozen=True, slots=True)
class Workers:
    """How many threads make calls, and so how many connections there are at most.

    POSTs may block for minutes, so `submitters` follow the in-flight limit. Short calls have few workers:
    `requests` gets slower, not faster, with more threads. Up- and downloads have their own, so that a large
    file never delays a poll.
    """

    submitters: int
    callers: int = 2
    fetchers: int = 4

    @classmethod
    def of(cls, connections: int) -> Workers:
        """Divide a number of connections (3 at least) up."""
        callers = max(1, connections // 8)  # one list call stands for hundreds of polls
        fetchers = max(1, connections // 4)
        return cls(max(1, connections - callers - fetchers), callers, fetchers)


class Pool(Protocol):
    """Runs calls some time, somewhere."""

    def submit(self, call: Callable[[], None], /) -> object:
        """Take a call that never raises."""


class Threads:
    """At most `size` threads, started as calls come in."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._started = 0

    def submit(self, call: Callable[[], None], /) -> None:
        """Take a call that never raises."""
        self._calls.put(call)
        if self._started < self._size:
            self._started += 1
            name = f"{self._name}-{self._started}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def close(self) -> None:
        """Drop the calls that have not begun; each thread ends after the one it makes. Waits for none."""
        with contextlib.suppress(Empty):
            while True:
                self._calls.get_nowait()
        for _ in range(self._started):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
