"""The emulator as a child process: with its own interpreter, it takes no time from the runner's loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import batchrunner
from batchrunner.errors import BatchrunnerError, LocalError, UsageError

_STOP_S = 5.0  # a clip that is being rendered may finish
_KINDS: dict[str, type[BatchrunnerError]] = {"LocalError": LocalError}


class EmbeddedEmulator:
    """Starts an emulator on entering and stops it on leaving.

    `config` is an `EmulatorConfig` as JSON (see `config.py`), so that naming one needs no optional
    package. With a `root`, requests, uploads and ports outlive the process: started again over the same
    folder it goes on where it stopped, even where it was killed.

    Raises:
        UsageError: on entering: the configuration is wrong, or a package is missing.
        LocalError: on entering: the folder or the port cannot be used, or the child did not start.
    """

    def __init__(self, config: str = "{}", *, root: Path | None = None, port: int = 0) -> None:
        self._order = {"config": config, "host": "127.0.0.1", "port": str(port), "root": str(root or "")}
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
            env=_environment(),
            start_new_session=True,
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
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(self._order).encode() + b"\n")
            child.stdin.flush()
            line = child.stdout.readline()
            told: dict[str, str] = json.loads(line)
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


def _environment() -> dict[str, str]:
    """Let the child find this very package, and keep the provider's key away from it."""
    found = str(Path(batchrunner.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (found, os.environ.get("PYTHONPATH"))))
    return {name: value for name, value in os.environ.items() if name != "GMI_API_KEY"} | {"PYTHONPATH": path}
