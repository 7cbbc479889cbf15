"""Clips in a process of their own: downloads, checks and files never take the loop's time, nor its life.

The runner holds the key, the state table and the loop; the clip process (`clip_process.py`) is given none of
them. It reads what strangers' servers send, decodes it, and files it. A clip that crashes the decoder so
costs one process, which is made anew, and not the night. And with an interpreter of its own it works beside
the loop instead of taking turns with it.

Both verbs may be repeated (see `Clips`), so an order whose process died is simply given again: alone, to a
process of its own. If that dies as well, it is this very clip. The process ends with its runner, however that
ends. Until it has, it keeps the runner's lock, whose descriptor it inherits: two generations of it never
write at once.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import IO

import batchrunner
from batchrunner.errors import LocalError
from batchrunner.media import messages
from batchrunner.media.clip_process import READY
from batchrunner.media.folder import OutputFolder
from batchrunner.media.trouble import MediaError
from batchrunner.media.verdicts import Verdict
from batchrunner.values import Attempt

CLIP_PROCESS = "batchrunner.media.clip_process"
SECRET = re.compile(r"(?i)key|token|secret|passw|notify")  # names of variables that it does not inherit
START_S, STOP_S = 60.0, 5.0


class ClipsApart:
    """`Clips` by a process of their own. Close it at the end.

    Args:
        setup: what that process needs to know.
        connections: how many orders it works on at once.
        kept: descriptors that it inherits and keeps open while it lives.
        on_living: told which clip processes live, by their ids, whenever that changes.

    Raises:
        LocalError: the process cannot be started.
    """

    def __init__(
        self,
        setup: messages.Setup,
        connections: int,
        kept: Sequence[int] = (),
        on_living: Callable[[Collection[int]], None] = lambda _pids: None,
    ) -> None:
        self._setup = setup
        self._connections = connections
        self._kept = tuple(kept)
        self._folder = OutputFolder(Path(setup.root))
        self._living: set[int] = set()
        self._on_living = on_living
        self._process = self._start(connections)
        self._closed = False
        self._starting = threading.Lock()
        self._alone = threading.Lock()

    def unwritable(self, name: str) -> str:
        """See `OutputFolder`. Asked before a job is paid for, so it also waits until the process is up."""
        try:
            self._shared().greet()
        except LocalError as error:
            return str(error)
        return self._folder.unwritable(name)

    def fetch(self, attempts: Sequence[Attempt], urls: Sequence[Sequence[str]]) -> Sequence[Verdict]:
        """See `Clips`."""
        try:
            return self._shared().call(messages.order(messages.FETCH, attempts, urls))
        except LocalError as error:
            return [error] * len(attempts)
        except _DiedError:  # on one of them
            return [self._fetch_alone(one, its) for one, its in zip(attempts, urls, strict=True)]

    def _fetch_alone(self, attempt: Attempt, urls: Sequence[str]) -> Verdict:
        try:
            (verdict,) = self._call_alone(messages.order(messages.FETCH, [attempt], [urls]))
        except _DiedError as error:
            return MediaError(f"the clip process died on this one: {error}", bad=True)
        except LocalError as error:
            return error
        return verdict

    def publish(self, attempts: Sequence[Attempt]) -> Sequence[Verdict]:
        """See `Clips`."""
        order = messages.order(messages.PUBLISH, attempts)
        try:
            with contextlib.suppress(_DiedError):
                return self._shared().call(order)
            return self._call_alone(order)
        except _DiedError as error:
            return [LocalError(f"the clip process died twice: {error}")] * len(attempts)
        except LocalError as error:
            return [error] * len(attempts)

    def close(self) -> None:
        """End the process, whatever it does."""
        with self._starting:
            self._closed = True
            self._end(self._process)

    def _call_alone(self, order: bytes) -> list[Verdict]:
        self._check_open()
        with self._alone:
            own = self._start(1)
            try:
                return own.call(order)
            finally:
                self._end(own)

    def _shared(self) -> _Process:
        with self._starting:
            self._check_open()
            if self._process.died:
                self._end(self._process)
                self._process = self._start(self._connections)
            return self._process

    def _start(self, connections: int) -> _Process:
        process = _Process(self._setup, connections, self._kept)
        self._living.add(process.pid)
        self._on_living(tuple(self._living))
        return process

    def _end(self, process: _Process) -> None:
        process.close()
        self._living.discard(process.pid)
        self._on_living(tuple(self._living))

    def _check_open(self) -> None:
        if self._closed:
            raise LocalError("the run is over")


class _DiedError(Exception):
    """The process ended before its answer; says how."""


class _Process:
    """One clip process.

    Raises:
        LocalError: it cannot be started.
    """

    def __init__(self, setup: messages.Setup, connections: int, kept: tuple[int, ...]) -> None:
        pairs = [socket.socketpair() for _ in range(connections)]
        theirs = [pair[1].fileno() for pair in pairs]
        try:
            self._child = subprocess.Popen(  # noqa: S603 - this very interpreter, a module of ours
                [sys.executable, "-m", CLIP_PROCESS, *map(str, theirs)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                pass_fds=[*theirs, *kept],
                cwd=Path(batchrunner.__file__).parent.parent,  # where `-m` finds this very package
                env={name: value for name, value in os.environ.items() if not SECRET.search(name)},
                start_new_session=True,  # a Ctrl-C in the terminal is for the runner only
            )
        except OSError as error:
            raise LocalError(f"cannot start the clip process: {error.strerror}") from error
        finally:
            for _, other in pairs:
                other.close()
        self.pid = self._child.pid
        self._input, self._output = _there(self._child.stdin), _there(self._child.stdout)
        self._free: SimpleQueue[Connection] = SimpleQueue()
        for ours, _ in pairs:
            self._free.put(Connection(ours.detach()))
        self._greeting = threading.Lock()
        self._ready = False
        # Seen by an order that got no answer: asking the kernel before each would cost more than the order.
        self.died = False
        with contextlib.suppress(OSError):  # it ended already: that shows when it is to say that it is ready
            self._input.write(f"{setup.text}\n".encode())

    def call(self, order: bytes) -> list[Verdict]:
        """Give an order and wait for its answer.

        Raises:
            LocalError: the process did not come up.
            _DiedError: it ended before its answer.
        """
        self.greet()
        connection = self._free.get()
        try:
            connection.send_bytes(order)
            data = connection.recv_bytes()
        except (EOFError, OSError) as error:
            self.died = True
            raise _DiedError(self._end()) from error
        finally:
            self._free.put(connection)
        return messages.read_answer(data)

    def close(self) -> None:
        """End it: it goes as soon as its input ends."""
        self._input.close()
        try:
            self._child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._output.close()

    def greet(self) -> None:
        """Wait until it is up.

        Raises:
            LocalError: it did not come up.
        """
        with self._greeting:
            if not self._ready:
                spoke, _, _ = select.select([self._output], [], [], START_S)
                self._ready = bool(spoke) and self._output.readline() == READY
            if not self._ready:
                raise LocalError("the clip process does not start; what it says itself is above")

    def _end(self) -> str:
        """Return how it ended, in words."""
        code = self._child.wait()
        return f"signal {-code}" if code < 0 else f"exit {code}"


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the child was started without pipes")
    return pipe
