"""The clip process: `python -m batchrunner.media.clip_process FD …`, started by `apart.py` alone.

It reads its setup from the first line of its input, says that it is ready, and then carries out one order
after the other on each connection. When its input ends, the runner is gone, and it ends at once, wherever it
is: whatever it was doing can be done again.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from batchrunner.clock import SystemClock
from batchrunner.media import messages
from batchrunner.media.clips import ClipFolder
from batchrunner.media.verdicts import fetch_all
from batchrunner.providers.http import Http

READY = b"ready\n"


def main() -> None:
    """Serve the connections named by the arguments until the input ends."""
    # The runner decides when it is over, also for a Ctrl-C or a service manager that tells every process.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connections = [Connection(int(one)) for one in sys.argv[1:]]
    setup = messages.Setup.read(sys.stdin.readline())
    http = Http(setup.base_url, connections=setup.downloads)
    room = threading.BoundedSemaphore(setup.downloads)
    clips = ClipFolder(http, Path(setup.root), setup.provenance, SystemClock(), decode=setup.decode)
    for connection in connections:
        threading.Thread(target=_serve, args=(connection, clips, room), daemon=True).start()
    os.write(sys.stdout.fileno(), READY)
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)  # without waiting for anything: a download may take hours


def _serve(connection: Connection, clips: ClipFolder, room: threading.Semaphore) -> None:
    while True:
        try:
            data = connection.recv_bytes()
        except (EOFError, OSError):  # the runner is gone, and the main thread will see it too
            return
        connection.send_bytes(_answer(data, clips, room))


def _answer(data: bytes, clips: ClipFolder, room: threading.Semaphore) -> bytes:
    try:
        verb, attempts, urls = messages.read_order(data)
        threading.current_thread().name = verb  # seen by whoever looks into a process that hangs
        if verb == messages.PUBLISH:
            return messages.answer(clips.publish(attempts))
        with room:
            return messages.answer(fetch_all(attempts, urls, clips.fetch))
    except Exception:  # a thread must not die without a verdict
        return messages.crashed(traceback.format_exc())


if __name__ == "__main__":
    main()
