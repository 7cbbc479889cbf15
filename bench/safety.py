"""Client designs in the same bad weather: which jobs are paid twice, which are lost, which are told of.

Each design works off the same jobs at an emulator of its own with the same seed: the n-th POST meets the
same fault, whoever sends it. The weather: lost answers (dropped, cut short, a gateway's page, all *after*
the provider took the job), connections closed and gateway errors before it took it, refusals, slow
answers, trouble with status, list and media, a list that lags. On top, the client's process is killed by
`kill -9` at random times, counted from its first call, and started again; in the end it is started until
it exits 0, at most `--starts` times, as a person would.

The judge is the emulator's ledger: what was billed for each payload. `lost`: billed, no clip on disk, and
the client says nothing or calls the job failed. `held`: no clip on disk, and the client says that the job
may have been paid, what is at stake and how to settle it. `unpaid`: neither clip nor bill; told as failed.
`ours` is the real `python -m batchrunner run`; the others are in `peers.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packages import installed, version

from batchrunner.emulator.config import EmulatorConfig
from batchrunner.emulator.process import EmbeddedEmulator
from batchrunner.values import fingerprint

HERE = Path(__file__).parent
PACKAGES = ("tenacity", "requests", "genblaze-gmicloud")
OURS = ("ours", "ours-resubmit")
PEERS = ("everything", "careful", "never", "rerun")
GENBLAZE = ("genblaze", "genblaze-2")
WEATHER = EmulatorConfig(
    canned=True,
    duration_s=(0.0, 0.6),
    post_delay_s=0.1,
    submit_fault_rate=0.35,
    submit_faults=(
        "accept_then_drop",
        "accept_then_cut",
        "accept_then_502_html",
        "accept_then_504_html",
        "hang:1.5",
        "drop",
        "502_html",
        "503_capacity",
    ),
    status_fault_rate=0.1,
    status_faults=("502_html", "drop", "hang:0.5"),
    list_fault_rate=0.15,
    list_faults=("502_html", "drop"),
    list_delay_s=1.0,
    list_order="shuffled",
    media_fault_rate=0.1,
    media_faults=("cut", "502_html", "drop"),
)
MANIFEST = """\
version: 1
campaign: night
model: pixverse-v6-i2v
provider: gmi
seed: 7
takes: {jobs}
parameters: {{duration: 5, quality: 540p}}
images: [{{id: a, url: "https://example.com/a.png"}}]
prompts: [{{id: push, text: "Slow push-in"}}]
limits: {{in_flight: 4, submits_per_minute: 6000, submits_per_hour: 100000}}
recovery: {{grace: 3, give_up: 12, on_absent: {on_absent}, risk: 1000}}
"""


@dataclass
class Tally:
    """What a design did to its jobs; money in micro-dollars."""

    jobs: int = 0
    posts: int = 0
    kills: int = 0
    finished: int = 0
    twice: int = 0
    extra: int = 0
    lost: int = 0
    held: int = 0
    held_paid: int = 0

    def add(self, other: Tally) -> None:
        """Take the figures of another campaign in."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def unpaid(self) -> int:
        """Jobs without clip and bill that are not held: told as failed."""
        return self.jobs - self.finished - self.lost - self.held


class Client:
    """A design as a command that can be started, killed and started again in one folder."""

    def __init__(self, name: str, python: Path, folder: Path, emulator: EmbeddedEmulator, jobs: int) -> None:
        self.name, self.folder, self.api, self.jobs = name, folder, emulator.api, jobs
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "PYTHONPATH": str(HERE.parent),
            "GMI_BASE_URL": emulator.api,
            "GMI_API_KEY": emulator.key,
        }
        self._call = [str(python), str(HERE / "peers.py"), name, emulator.api, emulator.key, str(folder)]
        self._call.append(str(jobs))
        if name in OURS:
            text = MANIFEST.format(jobs=jobs, on_absent="resubmit" if name == "ours-resubmit" else "hold")
            (folder / "night.yaml").write_text(text, encoding="utf-8")
            self._call = [sys.executable, "-m", "batchrunner", "run", "night.yaml", "--quiet", "--yes"]

    def start(self, call: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start it and go on."""
        return subprocess.Popen(
            call or self._call,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if self.name in OURS else subprocess.DEVNULL,
            text=True,
        )

    def ledger(self) -> dict[str, Any]:
        """Return what the provider knows."""
        with urllib.request.urlopen(f"{self.api}/_emulator/ledger", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def held(self) -> list[str]:
        """Return the fingerprints of the jobs that it says are held; only ours has such a word."""
        if self.name not in OURS:
            return []
        call = [sys.executable, "-m", "batchrunner", "jobs", "night", "--state", "held", "--json"]
        lines = self.start(call).communicate()[0].splitlines()
        return [fingerprint("pixverse-v6-i2v", json.loads(line)["payload"]) for line in lines]

    def clips(self) -> int:
        """Count the clips on disk."""
        return len(list(self.folder.rglob("*.mp4")))


def kill_at(client: Client, wait_s: float) -> bool:
    """Start the client, and kill it so long after its first call; False: it was through before."""
    before = sum(client.ledger()["requests"].values())
    running = client.start()
    while running.poll() is None and sum(client.ledger()["requests"].values()) == before:
        time.sleep(0.02)
    try:
        running.wait(wait_s)
    except subprocess.TimeoutExpired:
        running.kill()
    code = running.wait()
    running.communicate()
    return code < 0


def campaign(name: str, python: Path, seed: int, args: argparse.Namespace) -> Tally:
    """Take one design through one seed's weather and judge it by the ledger."""
    rng = random.Random(seed)
    config = replace(WEATHER, seed=seed, list_delay_s=args.list_lag)
    with tempfile.TemporaryDirectory() as folder, EmbeddedEmulator(config) as emulator:
        client = Client(name, python, Path(folder), emulator, args.jobs)
        kills = sum([kill_at(client, rng.uniform(0.2, 1.5)) for _ in range(args.kills)])
        for _ in range(args.starts):
            running = client.start()
            told, errors = running.communicate(timeout=280)
            if args.verbose:
                print(
                    f"--- {name} seed {seed}: exit {running.returncode}\n{told}{errors or ''}",
                    file=sys.stderr,
                )
            if running.returncode == 0:
                break
        time.sleep(1.0)  # the last renders end
        ledger, held, finished = client.ledger(), client.held(), client.clips()
        billed: dict[str, int] = ledger["charged_by_fingerprint"]
        held_paid = sum(one in billed for one in held)
        each = ledger["charged"]["micros"] // max(1, ledger["charged"]["count"])
        return Tally(
            jobs=args.jobs,
            posts=ledger["posts"],
            kills=kills,
            finished=finished,
            twice=sum(count > 1 for count in billed.values()),
            extra=each * sum(count - 1 for count in billed.values()),
            lost=len(billed) - finished - held_paid,
            held=len(held),
            held_paid=held_paid,
        )


def show(tallies: dict[str, Tally]) -> None:
    """Print the table."""
    print("| design | jobs | kills | POSTs | finished | paid twice | extra $ | lost | held (paid) | unpaid |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, one in tallies.items():
        print(
            f"| {name} | {one.jobs} | {one.kills} | {one.posts} | {one.finished} | {one.twice} "
            f"| {one.extra / 1e6:.2f} | {one.lost} | {one.held} ({one.held_paid}) | {one.unpaid} |"
        )


def main() -> None:
    """Take all designs through all seeds and print what became of their jobs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=20, help="of each campaign")
    parser.add_argument("--seeds", type=int, default=2, help="campaigns of each design")
    parser.add_argument("--kills", type=int, default=3, help="of each campaign")
    parser.add_argument("--starts", type=int, default=2, help="without a kill, until it exits 0")
    parser.add_argument("--side-by-side", type=int, default=4, help="campaigns at the same time")
    parser.add_argument("--list-lag", type=float, default=1.0, help="seconds; the grace of ours is 3")
    parser.add_argument("--only", nargs="*", help="these designs")
    parser.add_argument("--verbose", action="store_true", help="show what the clients say at the end")
    parser.add_argument(
        "--packages",
        nargs="?",
        const="",
        help="install other people's packages, in this folder or a spare one",
    )
    args = parser.parse_args()
    here = Path(sys.executable)
    place = nullcontext(here) if args.packages is None else installed(args.packages, PACKAGES)
    with place as python, ThreadPoolExecutor(args.side_by_side) as pool:
        versions = {name: version(python, name) for name in PACKAGES}
        known = (*PEERS, *(GENBLAZE if versions["genblaze-gmicloud"] else ()), *OURS)
        names = [name for name in known if not args.only or name in args.only]
        runs = [(name, seed) for seed in range(args.seeds) for name in names]
        found = pool.map(lambda run: campaign(run[0], python, run[1], args), runs)
        tallies = {name: Tally() for name in names}
        for (name, _), tally in zip(runs, found, strict=True):
            tallies[name].add(tally)
    print(", ".join(f"{name} {told or 'not installed'}" for name, told in versions.items()))
    show(tallies)


if __name__ == "__main__":
    main()
