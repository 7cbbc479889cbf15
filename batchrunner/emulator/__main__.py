"""The embedded emulator's process: its parent speaks first, and when the parent is gone, so is this.

One line of JSON comes in (`config`, `host`, `port`, `root`), one goes out: where it listens, or why it
cannot. After that standard input only serves to notice the parent's end: the system closes the pipe
however the parent dies, so that not even a kill -9 leaves an orphan.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import asdict
from pathlib import Path

from batchrunner.errors import BatchrunnerError, MissingExtraError

_STDIN, _STDOUT = 0, 1


def _tell(value: dict[str, str]) -> None:
    os.write(_STDOUT, json.dumps(value).encode() + b"\n")


def _order() -> dict[str, str]:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(_STDIN, 65_536)
        if not piece:
            raise SystemExit(0)
        line += piece
    order: dict[str, str] = json.loads(line)
    return order


def _notice_end(stop: asyncio.Event) -> None:
    if not os.read(_STDIN, 4096):
        stop.set()


async def _run(order: dict[str, str]) -> None:
    from batchrunner.emulator.app import run_until  # noqa: PLC0415 - its absence must be told, not raised
    from batchrunner.emulator.config import EmulatorConfig  # noqa: PLC0415 - comes with it

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(_STDIN, _notice_end, stop)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await run_until(
        stop,
        EmulatorConfig.from_json(order["config"]),
        host=order["host"],
        port=int(order["port"]),
        root=Path(order["root"]) if order["root"] else None,
        on_ready=lambda endpoints: _tell(asdict(endpoints)),
    )


def main() -> int:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent decides
    try:
        asyncio.run(_run(_order()))
    except MissingExtraError as missing:
        _tell({"error": str(missing), "kind": "extra"})
        return missing.exit_code
    except BatchrunnerError as problem:
        _tell({"error": str(problem), "kind": type(problem).__name__})
        return problem.exit_code
    return 0


if __name__ == "__main__":
    # Everything is on file. A usual exit would wait for clips that nobody asks for any more.
    os._exit(main())
