"""The emulator's folder: one process at a time, and the ports it was reached at.

A runner that was killed and started again meets its old emulator still on its way out. The lock makes
the new one wait for it, and the remembered ports make every URL that was handed out good again.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from batchrunner.errors import LocalError

_WAIT_S = 10.0
_STEP_S = 0.05


@asynccontextmanager
async def held(root: Path) -> AsyncIterator[None]:
    """Make the folder and keep it from other emulators until left.

    Raises:
        LocalError: it cannot be made, or another emulator is still at work in it after ten seconds.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise LocalError(f"the emulator cannot use its folder {root}: {problem.strerror}") from problem
    try:
        await _locked(lock, root)
        yield
    finally:
        os.close(lock)


def ports(root: Path) -> tuple[int, int]:
    """Return the API's and the storage's port of last time; 0 where there was none."""
    try:
        told = json.loads((root / "ports.json").read_text())
        return int(told["api"]), int(told["storage"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0


def remember(root: Path, api: str, storage: str) -> None:
    """Note the ports of two base URLs for next time."""
    told = {"api": int(api.rpartition(":")[2]), "storage": int(storage.rpartition(":")[2])}
    (root / "ports.json").write_text(json.dumps(told))


async def _locked(lock: int, root: Path) -> None:
    for _ in range(round(_WAIT_S / _STEP_S)):
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(_STEP_S)
    raise LocalError(f"another emulator is at work in {root}")
