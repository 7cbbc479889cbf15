"""One campaign that is killed again and again, and the judge who holds it against the emulator's ledger."""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchrunner.campaign import Campaign
from batchrunner.emulator.config import EmulatorConfig
from tests.shell import Done, Shell

# A POST stays with the provider for a moment, so that kills also fall while it is there.
WEATHER = EmulatorConfig(canned=True, duration_s=(0.0, 0.2), post_delay_s=0.03)
LONGEST_S = 60.0
MANIFEST = """\
version: 1
campaign: night
model: pixverse-v5.6-i2v
provider: gmi
seed: {seed}
takes: {takes}
images:
  - {{id: fox, url: "https://example.com/fox.png"}}
prompts:
  - {{id: push, text: "Slow push-in"}}
limits: {{in_flight: 3, submits_per_minute: 6000}}
recovery: {{grace: 0.3, give_up: 1.2}}
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of some campaigns. `lost` and `duplicates` count requests; `wrong` says all in words."""

    campaigns: int = 0
    kills: int = 0
    accepted: int = 0
    duplicates: int = 0
    lost: int = 0
    held: int = 0
    wrong: tuple[str, ...] = ()

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(
            self.campaigns + other.campaigns,
            self.kills + other.kills,
            self.accepted + other.accepted,
            self.duplicates + other.duplicates,
            self.lost + other.lost,
            self.held + other.held,
            self.wrong + other.wrong,
        )

    def __str__(self) -> str:
        return (
            f"{self.kills} kills in {self.campaigns} campaigns: {self.accepted} requests accepted, "
            f"{self.duplicates} duplicates, {self.lost} lost, {self.held} held and told"
        )


@dataclass
class Night:
    """A campaign in a folder of its own. Its seed makes its payloads its own in a shared ledger."""

    folder: Path
    api: str
    key: str
    seed: int
    takes: int = 3
    kills: int = 0
    shell: Shell = field(init=False)
    last: Done | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.shell = Shell(self.folder, self.api, self.key)
        self.manifest.write_text(MANIFEST.format(seed=self.seed, takes=self.takes), encoding="utf-8")

    @property
    def manifest(self) -> Path:
        """The manifest's path."""
        return self.folder / "night.yaml"

    @property
    def table(self) -> Path:
        """The state table's path."""
        return self.folder / "state" / "night.db"

    def killed_at(self, point: str) -> bool:
        """Run until a failpoint `NAME:N` of the victim is passed; tell whether it was."""
        done = self.launch([sys.executable, "-m", "tests.chaos.victim", point, "run", "night.yaml"])
        return self._counted(done)

    def killed_after(self, delay_s: float) -> bool:
        """Run the program itself for so long; tell whether the kill found it at work."""
        running = self.shell.start("run", "night.yaml", "--quiet")
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(delay_s)
        running.kill()
        running.communicate()
        return self._counted(running.returncode)

    def goes_on(self) -> bool:
        """Tell whether a run has anything left to do."""
        return not self.table.exists() or set(self.states().values()) - {"done", "held"} != set()

    def launch(self, command: list[str]) -> int:
        """Run any command in this folder, with what it says kept in `last`; return its code."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.shell.environment(),
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        self.last = Done(done.returncode, done.stdout, done.stderr)
        return done.returncode

    def finish(self) -> dict[str, Any]:
        """Run the program itself to its end; return what it says about it."""
        self.last = self.shell.run("run", "night.yaml", "--quiet", "--json")
        assert self.last.out, f"exit {self.last.code}: {self.last.err}"
        told: dict[str, Any] = self.last.json
        return told

    def accepted(self) -> dict[str, int]:
        """Return how often the provider took each of this campaign's payloads, by job."""
        counts = self.shell.ledger()["accepted_by_fingerprint"]
        return {job.id: counts.get(job.fingerprint, 0) for job in Campaign(self.manifest).jobs()}

    def judge(self) -> Verdict:
        """Hold what the last run said, the state table and the disk against the provider's ledger."""
        told = self.last.json if self.last else {}
        held = {one["job"] for one in told["held"]}
        accepted, states, whole = self.accepted(), self.states(), self._whole_clips()
        wrong = [f"{job} was accepted {count} times" for job, count in accepted.items() if count > 1]
        lost = [
            job
            for job, count in accepted.items()
            if count and not (states[job] == "done" and job in whole) and job not in held
        ]
        wrong += [f"{job} was accepted and is {states[job]}, clip whole: {job in whole}" for job in lost]
        wrong += [f"{job} is {state}" for job, state in states.items() if state not in {"done", "held"}]
        wrong += [
            f"{job} is held and was not told" for job in states if states[job] == "held" and job not in held
        ]
        wrong += [f"{job} is done and was never accepted" for job in whole if not accepted[job]]
        wrong += self._damage()
        if told["exit_code"] != (4 if held else 0):
            wrong.append(f"exit code {told['exit_code']} with {len(held)} held")
        return Verdict(
            campaigns=1,
            kills=self.kills,
            accepted=sum(accepted.values()),
            duplicates=sum(max(0, count - 1) for count in accepted.values()),
            lost=len(lost),
            held=len(held),
            wrong=tuple(f"seed {self.seed}: {one}" for one in wrong),
        )

    def states(self) -> dict[str, str]:
        """Return the state of every job."""
        return {row["id"]: row["state"] for row in self.rows("SELECT id, state FROM jobs")}

    def rows(self, query: str) -> list[Mapping[str, Any]]:
        """Read from the state table."""
        with contextlib.closing(sqlite3.connect(self.table)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]

    def _counted(self, code: int) -> bool:
        self.kills += code == -signal.SIGKILL
        return code == -signal.SIGKILL

    def _whole_clips(self) -> set[str]:
        """Return the jobs whose clip is on the disk with the committed hash, its sidecar beside it."""
        found = set()
        for row in self.rows("SELECT job, files, request_id FROM attempts WHERE state = 'done'"):
            (file,) = json.loads(row["files"])
            clip = self.folder / "outputs" / "night" / file["path"]
            sidecar = json.loads(clip.with_suffix(".json").read_text(encoding="utf-8"))
            same = hashlib.sha256(clip.read_bytes()).hexdigest() == file["sha256"]
            if same and (sidecar["job"], sidecar["request_id"]) == (row["job"], row["request_id"]):
                found.add(row["job"])
        return found

    def _damage(self) -> list[str]:
        """Return what is not as a run leaves it: a damaged table, or litter beside the clips."""
        verdict = [row["integrity_check"] for row in self.rows("PRAGMA integrity_check")]
        litter = [*self.folder.rglob("*.part*"), *self.folder.rglob("*.tmp"), *self.folder.rglob("*-journal")]
        damage = [] if verdict == ["ok"] else [f"the state table is damaged: {verdict}"]
        return damage + [f"left behind: {path.relative_to(self.folder)}" for path in litter]
