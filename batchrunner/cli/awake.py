"""Keeping the machine awake while a run goes on, where the system offers that. Only a convenience.

The helper lives as long as this process, however that ends: what it runs waits for the end of a pipe, and
the pipe ends with us.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Iterator

INHIBIT = (
    "systemd-inhibit",
    "--what=sleep:idle",
    "--who=batchrunner",
    "--why=clips are being rendered",
    "--mode=block",
)
COMMANDS = (INHIBIT, ("caffeinate", "-i", "-s"))
UNTIL_THE_END = ("cat",)


@contextlib.contextmanager
def awake(wanted: bool) -> Iterator[None]:
    """Keep the machine from going to sleep; where that is not to be had, nothing happens."""
    command = next((one for one in COMMANDS if shutil.which(one[0])), None) if wanted else None
    if command is None:
        yield
        return
    quiet = subprocess.DEVNULL
    try:
        # Ctrl-C is for the run: a session of its own keeps the terminal's signals from the helper.
        helper = subprocess.Popen(  # noqa: S603 - fixed words, nothing from outside
            [*command, *UNTIL_THE_END],
            stdin=subprocess.PIPE,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
    except OSError:
        yield
        return
    # Where the system does not let it, it ends at once: taken leave of then, and not after the night.
    waiter = threading.Thread(target=helper.wait, name="awake", daemon=True)
    waiter.start()
    try:
        yield
    finally:
        helper.terminate()
        helper.communicate()
        waiter.join()
