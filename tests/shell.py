"""Running the real program as a user does: a process of its own, against the emulator over real HTTP."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from batchrunner.cli.main import main
from batchrunner.emulator.config import EmulatorConfig
from batchrunner.emulator.process import EmbeddedEmulator

ROOT = Path(__file__).parent.parent
QUICK = EmulatorConfig(canned=True, duration_s=(0.0, 0.3))
MANIFEST = """\
version: 1
campaign: night
model: pixverse-v5.6-i2v
provider: gmi
seed: 7
takes: {takes}
images:
  - {{id: fox, url: "https://example.com/fox.png"}}
prompts:
  - {{id: push, text: "Slow push-in"}}
limits: {{in_flight: 4, submits_per_minute: 6000{limits}}}
recovery: {{grace: 2, give_up: 4}}
"""


@dataclass
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its answer."""
        return json.loads(self.out)


@dataclass
class Shell:
    """A folder to work in, and the environment of a user."""

    folder: Path
    api: str = ""
    key: str = ""

    def environment(self, **more: str) -> dict[str, str]:
        """Return a small environment: nothing of the developer's leaks in."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV") if name in os.environ}
        found = {**kept, "HOME": str(self.folder), "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
        if self.api:
            found |= {"GMI_BASE_URL": self.api, "GMI_API_KEY": self.key}
        return {**found, **more}

    def run(self, *words: str, **more: str) -> Done:
        """Run one command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "batchrunner", *words],
            cwd=self.folder,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def inside(self, *words: str) -> Done:
        """Run one command in this process, through the same door: for those that start no threads."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, self.environment(), clear=True),
            mock.patch.object(sys, "argv", ["batchrunner", *words]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Done(code, out.getvalue(), err.getvalue())

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start one command and go on."""
        return subprocess.Popen(
            [sys.executable, "-m", "batchrunner", *words],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def write(self, takes: int = 3, limits: str = "", name: str = "night.yaml") -> str:
        """Write the small manifest and return its name."""
        (self.folder / name).write_text(MANIFEST.format(takes=takes, limits=limits), encoding="utf-8")
        return name

    def ledger(self) -> dict[str, Any]:
        """Return what the emulator knows: the oracle."""
        with urllib.request.urlopen(f"{self.api}/_emulator/ledger", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def clips(self) -> set[str]:
        """Return the clips below the output folder."""
        return {path.name for path in (self.folder / "outputs").rglob("*.mp4")}

    def charged_at_most_once(self) -> bool:
        """Tell whether no payload was charged twice."""
        return all(count <= 1 for count in self.ledger()["charged_by_fingerprint"].values())


@contextlib.contextmanager
def against(folder: Path, config: EmulatorConfig = QUICK) -> Iterator[Shell]:
    """Start an emulator and give a shell that talks to it."""
    with EmbeddedEmulator(config) as emulator:
        yield Shell(folder, emulator.api, emulator.key)


def wait_for(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    """Wait until something holds, or fail."""
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.02)
