"""How near a night comes to the fastest one possible, and what waiting costs.

    python bench/night.py [--jobs 2000] [--real] [--waiting]

Simulated: the real engine on a simulated clock, at a provider with a limit that nobody told it (so many at
once, or so many a minute), log-normal times of median 75 s, one request in fifty failing for no reason.
Makespan is held against the ideal: the same requests in the same order, every slot filled again at once.

`--real`: a small campaign against the emulator over HTTP, in real time. `--waiting`: CPU of this process
while 1,000 requests of median 75 s are in flight, and memory with 10,000.
"""

from __future__ import annotations

import argparse
import heapq
import json
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from contender import manifest_text

sys.path.insert(0, str(Path(__file__).parent.parent))

from batchrunner import Access, Campaign
from batchrunner.emulator.config import EmulatorConfig
from batchrunner.emulator.process import EmbeddedEmulator
from batchrunner.store.database import open_readonly
from tests.simulation.capped import Night, Ways

NIGHTS = {
    "16 at once": Ways(at_once=16),
    "16 at once, Retry-After 20 s": Ways(at_once=16, retry_after_s=20.0),
    "16 at once, told by a failure": Ways(at_once=16, told_late=True),
    "20 a minute": Ways(a_minute=20),
    "20 a minute, told by a failure": Ways(a_minute=20, told_late=True),
}


def simulated(jobs: int) -> None:
    """Print one line for each kind of hidden limit."""
    print(
        f"simulated: {jobs} jobs, in_flight 64, median 75 s, sigma 0.4, 2 % fail; warm-up: the first quarter"
    )
    print(f"{'hidden limit':<32}{'makespan/ideal':>15}{'limit used':>12}{'refused':>9}{'polls/job':>11}")
    memory = Path("/dev/shm")  # a state table of some MB: fsync is then free
    for words, ways in NIGHTS.items():
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
            night = Night(Path(folder), jobs, ways)
            night.run()
            warm = len(night.provider.taken_s) // 4
            over = night.makespan_s / night.ideal_s()
            polls = night.provider.polls / len(night.provider.requests)
            used, refused = night.used(warm), night.refused_share(warm)
            print(f"{words:<32}{over:15.3f}{used:12.1%}{refused:9.2%}{polls:11.1f}", flush=True)


def real(jobs: int, slots: int) -> None:
    """Run a campaign against the emulator in real time and print its makespan over the ideal."""
    config = EmulatorConfig(canned=True, duration_s=(30.0, 60.0))
    with tempfile.TemporaryDirectory() as folder, EmbeddedEmulator(config) as emulator:
        for number, (count, words) in enumerate(((slots * 3, "learning"), (jobs, "learned"))):
            place = Path(folder) / f"night{number}.yaml"
            text = manifest_text(count, slots).replace("campaign: bench", f"campaign: night{number}")
            place.write_text(text.replace("seed: 1", f"seed: {number + 1}"), encoding="utf-8")
            before = _calls(emulator.api)
            campaign = Campaign(
                place,
                state=Path(folder) / "state",
                output=Path(folder) / "outputs",
                access=Access(emulator.key, base_url=emulator.api),
                decode=False,
            )
            ended = campaign.run()
            times = _durations(Path(folder) / "state" / f"night{number}.db")
            ideal_s = _ideal_s(times, slots)
            told = {name: count - before.get(name, 0) for name, count in _calls(emulator.api).items()}
            print(
                f"real time, {words}: {count} jobs, {slots} at once, 30 to 60 s: {ended.elapsed_s:.1f} s, "
                f"ideal {ideal_s:.1f} s, ratio {ended.elapsed_s / ideal_s:.3f}; calls {told}",
                flush=True,
            )


def _calls(api: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{api}/_emulator/ledger", timeout=30) as answer:
        found: dict[str, int] = json.load(answer)["requests"]
    return found


def _durations(state: Path) -> list[float]:
    """Return how long each request took at the provider, in the order of submission."""
    db = open_readonly(state)
    try:
        rows = db.execute("SELECT evidence FROM events WHERE kind = 'ready' ORDER BY attempt").fetchall()
    finally:
        db.close()
    return [sum(json.loads(evidence)["took_s"]) / 2 for (evidence,) in rows]


def _ideal_s(times: list[float], slots: int) -> float:
    ends: list[float] = []
    for took_s in times:
        start_s = heapq.heappop(ends) if len(ends) >= slots else 0.0
        heapq.heappush(ends, start_s + took_s)
    return max(ends)


def waiting() -> None:
    """Print CPU while 1,000 wait and peak memory with 10,000, each in a process of its own."""
    for in_flight, median_s in ((1_000, 75.0), (10_000, 75.0)):
        config = EmulatorConfig(canned=True, duration_s=(0.5 * median_s, 1.6 * median_s), list_cap=None)
        with tempfile.TemporaryDirectory() as folder, EmbeddedEmulator(config) as emulator:
            place = Path(folder) / "night.yaml"
            place.write_text(manifest_text(in_flight, in_flight), encoding="utf-8")
            call = [sys.executable, __file__, "--watch", emulator.api, emulator.key, str(place)]
            subprocess.run(call, check=True)


def watched(api: str, key: str, manifest: Path) -> None:
    """Run one campaign; print this process's CPU while all is in flight, and until all is done."""
    folder = manifest.parent
    campaign = Campaign(
        manifest,
        state=folder / "state",
        output=folder / "outputs",
        access=Access(key, base_url=api),
        decode=False,
    )
    jobs, marks = campaign.size(), list[tuple[float, float, int, int]]()

    def look(progress: object) -> None:
        done = sum(count for state, count in progress.jobs.items() if str(state) == "done")  # type: ignore[attr-defined]
        pending = progress.jobs.get("pending", 0)  # type: ignore[attr-defined]
        marks.append((time.monotonic(), time.process_time(), pending, done))

    campaign.run(look)
    sent = next(mark for mark in marks if mark[2] == 0)
    first = next((mark for mark in marks if mark[0] > sent[0] and mark[3] > jobs // 100), marks[-1])
    last = marks[-1]
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)  # the clip process too
    peak = sum(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024
    print(
        f"{jobs} in flight: {_share(sent, first):.1%} of a core while waiting "
        f"({first[0] - sent[0]:.0f} s), {_share(sent, last):.1%} with downloads until the end "
        f"({last[0] - sent[0]:.0f} s); submitting took {sent[0] - marks[0][0]:.0f} s; peak {peak:.0f} MiB",
        flush=True,
    )


def _share(one: tuple[float, float, int, int], other: tuple[float, float, int, int]) -> float:
    return (other[1] - one[1]) / max(1e-9, other[0] - one[0])


def main() -> None:
    """Read the call."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--waiting", action="store_true")
    parser.add_argument("--watch", nargs=3, metavar=("API", "KEY", "MANIFEST"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.watch:
        watched(args.watch[0], args.watch[1], Path(args.watch[2]))
    elif args.real:
        real(jobs=160, slots=16)
    elif args.waiting:
        waiting()
    else:
        simulated(args.jobs)


if __name__ == "__main__":
    main()
