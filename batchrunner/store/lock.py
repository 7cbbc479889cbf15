"""One runner a campaign: a kernel lock on a file of its own.

The lock file is separate from the state table, because closing any descriptor of a SQLite file drops the
locks that SQLite holds on it. The kernel drops this lock when its owner dies, however it dies, and with it
the clip process that inherits it (media/apart.py) and ends at once. So there is nothing to clean up; who has
it is written down for people, and to tell a runner that works from one that is dead.

The file also keeps the epoch that the state table had last. A table with a lower one was deleted, or put
back from an old copy, and has forgotten something. And it keeps how the table was left (store/left.py), from
the end of a run that ended in peace until the beginning of the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from batchrunner.clock import Clock, utc_text
from batchrunner.errors import LocalError, LockedError
from batchrunner.store.left import Left, left, told

CLIP_PROCESSES = "clip_processes"
ENDING_S, LOOK_S = 10.0, 0.02  # how long what a dead runner started may take to end, and how often to look


class Lock:
    """The lock, held. `epoch` is the one that the last run noted, 0 where none did.

    `left`: how the last one left the state table; None: it did not say.
    """

    def __init__(self, path: Path, descriptor: int, since: str) -> None:
        self._path = path
        self._descriptor = descriptor
        self._since = since
        found = _read(descriptor)
        self.epoch: int = _int(found.get("epoch"))
        self.left = told(found.get("left"))
        self._noted = self.epoch
        self._clip_processes: tuple[int, ...] = ()
        self._writing = threading.Lock()
        self.note(self.epoch)

    @property
    def descriptor(self) -> int:
        """Whoever inherits it keeps the lock while it lives."""
        return self._descriptor

    def note(self, epoch: int, left: Left | None = None) -> None:
        """Write down who has the lock, and the epoch that the state table has now.

        `left`: how it lies there, once it is closed.

        Raises:
            LocalError: the disk.
        """
        with self._writing:
            self._noted = epoch
            self._write(left)

    def note_clip_processes(self, ids: Collection[int]) -> None:
        """Write down which clip processes keep the lock too; from any thread.

        Raises:
            LocalError: the disk.
        """
        with self._writing:
            self._clip_processes = tuple(ids)
            self._write()

    def _write(self, left: Left | None = None) -> None:
        owner: dict[str, Any] = {"pid": os.getpid(), "host": socket.gethostname(), "since": self._since}
        owner |= {"epoch": self._noted, CLIP_PROCESSES: self._clip_processes}
        owner |= {"left": left.as_json()} if left else {}
        text = json.dumps(owner).encode() + b"\n"
        try:
            os.pwrite(self._descriptor, text, 0)
            os.ftruncate(self._descriptor, len(text))
        except OSError as error:
            raise LocalError(f"cannot write the lock file {self._path}: {error.strerror}") from error

    def leave(self, path: Path) -> None:
        """Write down how the state table lies there, closed, after all went well.

        Raises:
            LocalError: the disk.
        """
        self.note(self._noted, left(path))


@contextlib.contextmanager
def runner_lock(path: Path, clock: Clock) -> Iterator[Lock]:
    """Hold the lock at `path` and write this process, this host and the time into it.

    Where its last owner is dead, what it started is just ending: that is waited for.

    Raises:
        LockedError: another process holds it; the text names the one in the file.
        LocalError: the file cannot be made or written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise LocalError(f"cannot make the lock file {path}: {error.strerror}") from error
    try:
        _take(descriptor, clock)
        yield Lock(path, descriptor, utc_text(clock.now_us()))
    finally:
        os.close(descriptor)


def _take(descriptor: int, clock: Clock) -> None:
    until_s = clock.elapsed_s() + ENDING_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not _is_dead(_read(descriptor)):
                raise LockedError(f"another runner has this campaign: {_owner_text(descriptor)}") from None
            if clock.elapsed_s() > until_s:
                raise LockedError(_outlived_text(descriptor)) from None
            clock.pause(LOOK_S)
        else:
            return


def _is_dead(owner: Mapping[str, Any]) -> bool:
    """Tell whether the owner is known to have ended: it was a process of this host, and is none any more."""
    if owner.get("host") != socket.gethostname() or not isinstance(owner.get("pid"), int):
        return False
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def is_at_work(path: Path) -> bool:
    """Tell whether a runner holds the lock at `path` now: one that lives, as far as can be known."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return not _is_dead(_read(descriptor))
    finally:
        os.close(descriptor)
    return False


def _outlived_text(descriptor: int) -> str:
    """Say that a runner is dead and its clip process is not, and which one that is."""
    told = _read(descriptor).get(CLIP_PROCESSES)
    ids = [str(one) for one in told if isinstance(one, int)] if isinstance(told, list) else []
    way = f"end it with `kill -9 {' '.join(ids)}`, or wait for it" if ids else "wait for it"
    return f"the last runner has ended ({_owner_text(descriptor)}), and its clip process has not: {way}"


def _owner_text(descriptor: int) -> str:
    owner = _read(descriptor)
    if not owner.keys() >= {"pid", "host", "since"}:
        return "it has not written its name yet"
    return f"process {owner['pid']} on {owner['host']}, since {owner['since']}"


def _read(descriptor: int) -> dict[str, Any]:
    try:
        told = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _int(value: Any) -> int:
    return value if isinstance(value, int) else 0
