"""The emulator as a child process: with its own interpreter, it takes no time from the runner's loop."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import batchrunner
from batchrunner.emulator.config import EmulatorConfig
from batchrunner.errors import BatchrunnerError, LocalError, UsageError

_STOP_S = 5.0  # a clip that is being rendered may finish
_KINDS: dict[str, type[BatchrunnerError]] = {"LocalError": LocalError}


class EmbeddedEmulator:
    """Starts an emulator on entering and stops it on leaving.

    With a `root`, requests, uploads and ports outlive the process: started again over the same
    folder it goes on where it stopped, even where it was killed.

    Raises:
        UsageError: on entering: the configuration is wrong, or a package is missing.
        LocalError: on entering: the folder or the port cannot be used, or the child did not start.
    """

    def __init__(
        self, config: EmulatorConfig | None = None, *, root: Path | None = None, port: int = 0
    ) -> None:
        self._order = {
            "config": (config or EmulatorConfig()).to_json(),
            "host": "127.0.0.1",
            "port": str(port),
            "root": str(root.absolute()) if root else "",
        }
        self._child: subprocess.Popen[bytes] | None = None
        self.api = ""
        self.storage = ""
        self.key = ""

    @property
    def pid(self) -> int:
        """The child's process id; 0 while there is none."""
        return self._child.pid if self._child else 0

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "batchrunner.emulator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(batchrunner.__file__).parent.parent,  # where `-m` finds this very package
            start_new_session=True,  # a Ctrl-C in the terminal is for the parent only
        )
        try:
            self._greet(self._child)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _greet(self, child: subprocess.Popen[bytes]) -> None:
        try:
            told = _asked(child, self._order)
        except (OSError, ValueError) as problem:
            raise LocalError("the emulator's process did not start; its own words are above") from problem
        if "error" in told:
            raise _KINDS.get(told["kind"], UsageError)(told["error"])
        self.api, self.storage, self.key = told["api"], told["storage"], told["key"]

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.stdin is not None:
            child.stdin.close()
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _asked(child: subprocess.Popen[bytes], order: dict[str, str]) -> dict[str, str]:
    if child.stdin is None or child.stdout is None:
        raise OSError("no pipes to the child")
    child.stdin.write(json.dumps(order).encode() + b"\n")
    child.stdin.flush()
    told: dict[str, str] = json.loads(child.stdout.readline())
    return told
