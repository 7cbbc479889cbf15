"""The real program with a clip that kills whoever decodes it: `python -m tests.chaos.poison run night.yaml`.

The decoder is a large library in another language, fed with the files of strangers: what would bring it down
is played here by a signal at the very place. `POISONED` says which clip it is, by a part of its name.
"""

from __future__ import annotations

import os
import signal
import sys
from os import PathLike
from typing import Any

from batchrunner.cli import main
from batchrunner.media import apart, check, clip_process, clips

POISONED = "-t2"


def inspect(path: str | PathLike[str], *rest: Any, **more: Any) -> Any:
    """Inspect a clip, or die of it."""
    if POISONED in os.fspath(path).rpartition("/")[2]:
        signal.raise_signal(signal.SIGSEGV)  # in this very thread, as a fault is
    return _real(path, *rest, **more)


_real = check.inspect

if __name__ == "__main__":
    if sys.argv[1] == "run":
        apart.CLIP_PROCESS = "tests.chaos.poison"
        main()
    else:
        setattr(clips, "inspect", inspect)  # noqa: B010 - it is there by import only
        clip_process.main()
