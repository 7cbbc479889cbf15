"""Jobs a second against the emulator: ours, durable, beside a plain thread pool that keeps no state.

Durations are near zero and every clip is one canned file, so what is measured is the client: POST, poll,
download, and for ours four durable commits a job. Contenders take turns in processes of their own, with
the same number of connections; the emulator has a process of its own too. Ratios carry over to other
machines, absolute figures do not.

What creating an empty file costs is told first: where many files were deleted during the last minutes, ext4
searches long for a free place, and ours, which makes two files a job, looks slower than it is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from batchrunner.emulator.config import EmulatorConfig
from batchrunner.emulator.process import EmbeddedEmulator

CONTENDERS = ("plain", "http", "ours", "decoded")


def measure(name: str, jobs: int, connections: int, folder: Path) -> dict[str, float]:
    """Run one contender once against a fresh emulator, in a fresh folder."""
    config = EmulatorConfig(canned=True, duration_s=(0.0, 0.0))
    script = str(Path(__file__).with_name("contender.py"))
    with EmbeddedEmulator(config) as emulator:
        call = [
            sys.executable,
            script,
            name,
            emulator.api,
            emulator.key,
            str(jobs),
            str(connections),
            str(folder),
        ]
        done = subprocess.run(call, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def creating_us(folder: Path, files: int = 500) -> float:
    """Return how long it takes to create an empty file, in microseconds."""
    folder.mkdir()
    began = time.perf_counter()
    for number in range(files):
        (folder / str(number)).touch(exist_ok=False)
    return (time.perf_counter() - began) / files * 1e6


def main() -> None:
    """Measure in turns and print medians and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    # Folders go at the end only: deleting files just before a run makes creating new ones much dearer.
    with tempfile.TemporaryDirectory() as folder:
        print(f"creating a file takes {creating_us(Path(folder) / 'empty'):.0f} us here")
        for number in range(args.rounds):
            for name in CONTENDERS:
                place = Path(folder) / f"{name}-{number}"
                rounds[name].append(measure(name, args.jobs, args.connections, place))
    print(f"{args.jobs} jobs, {args.connections} connections, median of {args.rounds}")
    print(f"{'':8}{'jobs/s':>9}{'CPU ms/job':>12}{'peak MiB':>10}")
    medians = {
        name: {key: statistics.median(one[key] for one in found) for key in found[0]}
        for name, found in rounds.items()
    }
    for name, row in medians.items():
        print(f"{name:8}{row['jobs_s']:9.0f}{row['cpu_ms']:12.2f}{row['peak_mb']:10.0f}")
    ours, plain, http = medians["ours"], medians["plain"], medians["http"]
    print(f"ours / plain: {ours['jobs_s'] / plain['jobs_s']:.2f} x jobs/s (goal 1.3), ", end="")
    print(f"{ours['cpu_ms'] / plain['cpu_ms']:.2f} x CPU a job (goal 1.0)")
    print(f"ours / the same HTTP alone: {ours['jobs_s'] / http['jobs_s']:.2f} x jobs/s (goal 0.67)")


if __name__ == "__main__":
    main()
