"""The real program with a death in it: `python -m tests.chaos.victim POINT:N run night.yaml`.

The product has no failpoints. This launcher wraps the functions at which something becomes durable or leaves
the machine, so that the process sends itself SIGKILL when it passes the named point for the Nth time; then it
calls the real command line. `commit` points lie inside a transaction: its rows are written, COMMIT is not
carried out yet.

The clip process is a victim too (`python -m tests.chaos.victim FD …`, with the point in the environment).
What is passed there kills the runner first and then itself; with ONLY_CLIPS, a file that is not there yet,
itself alone, and only once.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from urllib3.connection import HTTPConnection

from batchrunner.cli import main
from batchrunner.media import apart, clip_process, clips, download, publish
from batchrunner.media.clips import ClipFolder
from batchrunner.providers.gmi import Gmi
from batchrunner.store.changes import Change, Intended, Moved
from batchrunner.store.tables import Store
from batchrunner.values import AttemptState

POINT, ONLY_CLIPS = "BATCHRUNNER_VICTIM", "BATCHRUNNER_VICTIM_ONLY_CLIPS"
# What has a `before` and an `after`: whose function, its name, the threads in which it counts ("" for all).
CALLS: dict[str, tuple[Any, str, str]] = {
    "open": (Store, "__init__", ""),  # the lock is held, the state table is made and migrated
    "close": (Store, "close", ""),
    "submit": (Gmi, "submit", ""),
    "connect": (HTTPConnection, "connect", "submit"),
    "sent": (HTTPConnection, "request", "submit"),  # after it, the whole POST is on the wire
    "status": (Gmi, "status", ""),
    "recent": (Gmi, "recent", ""),
    "fetch": (ClipFolder, "fetch", ""),
    "part": (os, "fsync", "fetch"),
    "link": (os, "link", "publish"),
    "unlink": (os, "unlink", "publish"),
    "sidecar": (os, "replace", "publish"),
    "folder": (clips, "sync_folder", "publish"),
}
# Files of which one half gets written: the module whose `write_all` writes it.
HALVES: dict[str, Any] = {"part.half": download, "sidecar.half": publish}


class Trap:
    """Kills this process when the point is passed for the Nth time, whichever thread does so."""

    def __init__(self, point: str, nth: int) -> None:
        self._point = point
        self._left = nth
        self._lock = threading.Lock()

    def passed(self, point: str) -> None:
        """Tell that a point is passed."""
        if point != self._point:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._kill()

    def _kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def sprung_next(self, point: str) -> bool:
        """Tell whether passing this point now would kill."""
        return point == self._point and self._left == 1


class ClipTrap(Trap):
    """The same in the clip process."""

    def __init__(self, point: str, nth: int) -> None:
        super().__init__(point, nth)
        self._once = os.environ.get(ONLY_CLIPS)
        if self._once is not None and os.path.lexists(self._once):
            self._point = ""  # it has died of it before

    def _kill(self) -> None:
        if self._once is None:
            os.kill(os.getppid(), signal.SIGKILL)
        else:
            os.close(os.open(self._once, os.O_CREAT))
        super()._kill()


def arm(trap: Trap) -> None:
    """Wrap every function that a point is named after."""
    for name, (owner, function, threads) in CALLS.items():
        _wrap_call(trap, name, owner, function, threads)
    for name, module in HALVES.items():
        _wrap_half(trap, name, module)
    _wrap_transaction(trap, "record", lambda _arguments: {"record"})
    _wrap_transaction(trap, "commit", lambda arguments: steps(arguments[0]))


def steps(changes: Sequence[Change]) -> set[str]:
    """Name what a tick's changes make durable."""
    names = {"intent" for change in changes if isinstance(change, Intended)}
    for change in changes:
        if isinstance(change, Moved):
            found = (change.source, change.attempt.state) == (AttemptState.UNKNOWN, AttemptState.ACCEPTED)
            names.add("adopted" if found else str(change.attempt.state))
    return names


def _wrap_call(trap: Trap, name: str, owner: Any, function: str, threads: str) -> None:
    real: Callable[..., Any] = getattr(owner, function)

    @functools.wraps(real)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        if not threading.current_thread().name.startswith(threads):
            return real(*arguments, **options)
        trap.passed(f"{name}.before")
        answer = real(*arguments, **options)
        trap.passed(f"{name}.after")
        return answer

    setattr(owner, function, wrapped)


def _wrap_half(trap: Trap, name: str, module: Any) -> None:
    real: Callable[[int, bytes], None] = module.write_all

    def wrapped(descriptor: int, data: bytes) -> None:
        if trap.sprung_next(name):
            real(descriptor, data[: len(data) // 2])
        trap.passed(name)
        real(descriptor, data)

    module.write_all = wrapped


def _wrap_transaction(trap: Trap, function: str, named: Callable[[Sequence[Any]], set[str]]) -> None:
    real: Callable[..., None] = getattr(Store, function)

    @functools.wraps(real)
    def wrapped(self: Store, *arguments: Any, **options: Any) -> None:
        names = named(arguments)

        def heard(statement: str) -> None:
            if statement == "COMMIT":
                _pass_all(trap, names, "commit")

        _pass_all(trap, names, "before")
        self.db.conn.set_trace_callback(heard)
        real(self, *arguments, **options)
        self.db.conn.set_trace_callback(None)
        _pass_all(trap, names, "after")

    setattr(Store, function, wrapped)


def _pass_all(trap: Trap, names: set[str], when: str) -> None:
    for name in names:
        trap.passed(f"{name}.{when}")


def _trap(kind: type[Trap], told: str) -> Trap:
    point, _, nth = told.partition(":")
    return kind(point, int(nth))


if __name__ == "__main__":
    if POINT in os.environ:
        arm(_trap(ClipTrap, os.environ[POINT]))
        clip_process.main()
    else:
        os.environ[POINT] = sys.argv.pop(1)
        apart.CLIP_PROCESS = "tests.chaos.victim"
        arm(_trap(Trap, os.environ[POINT]))
        main()
