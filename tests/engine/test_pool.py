"""Worker threads."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from batchrunner.engine.pool import Threads


def test_calls_run_side_by_side_up_to_the_size() -> None:
    """Two threads hold two calls at once, and a third call waits."""
    pool, begun, go = Threads(2, "t"), SimpleQueue[int](), threading.Event()

    def call(number: int) -> None:
        begun.put(number)
        go.wait(10)

    for number in range(3):
        pool.submit(lambda number=number: call(number))  # type: ignore[misc]
    first = {begun.get(timeout=10), begun.get(timeout=10)}
    waiting = begun.empty()
    go.set()

    assert first == {0, 1}
    assert waiting
    assert begun.get(timeout=10) == 2
    pool.close()


def test_closing_drops_what_has_not_begun() -> None:
    """The call that runs may end; those behind it never begin."""
    pool, begun, go = Threads(1, "t"), SimpleQueue[str](), threading.Event()

    def first() -> None:
        begun.put("first")
        go.wait(10)
        begun.put("ended")

    pool.submit(first)
    pool.submit(lambda: begun.put("second"))
    begun.get(timeout=10)
    pool.close()
    go.set()

    assert begun.get(timeout=10) == "ended"
    assert begun.empty()
