"""One runner a campaign: a kernel lock on a file of its own.

The lock file is separate from the state table, because closing any descriptor of a SQLite file drops the
locks that SQLite holds on it. The kernel drops this lock when its owner dies, however it dies, so there
is nothing to clean up and no process id to guess about; what the file says is only for people.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from batchrunner.errors import LocalError, LockedError


@contextlib.contextmanager
def runner_lock(path: Path, since: str) -> Iterator[None]:
    """Hold the lock at `path` and write this process, this host and `since` into it.

    Raises:
        LockedError: another process holds it; the text names the one in the file.
        LocalError: the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise LocalError(f"cannot make the lock file {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(f"another runner has this campaign: {_owner_text(descriptor)}") from None
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner).encode() + b"\n", 0)
        yield
    finally:
        os.close(descriptor)


def _owner_text(descriptor: int) -> str:
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
    except (ValueError, KeyError, TypeError):
        return "it has not written its name yet"
