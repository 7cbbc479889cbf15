"""Prove the safety of the protocol: thousands of simulated nights, every crash point, every broken rule.

    python bench/prove.py [--seeds N] [--first N] [--bases N] [--workers N]
    python bench/prove.py --seed N [-v]      play one seed; -v tells its story

Prints schedules, crashes, duplicates, lost, over budget, and for each mutant of the protocol the seed at
which the simulation noticed it. Exits with 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.simulation.mutants import MUTANTS, SEEDS, catch
from tests.simulation.night import Report, play
from tests.simulation.replay import replay
from tests.simulation.schedule import draw

Bad = tuple[int, int | None, str]  # seed, step of the crash, what is wrong
CHUNK = 50


def nights(first: int) -> tuple[Counter[str], list[Bad]]:
    """Play a chunk of seeds."""
    sums, bad = Counter[str](), list[Bad]()
    for seed in range(first, first + CHUNK):
        _count(sums, bad, seed, None, play(draw(seed)))
    return sums, bad


def crash_points(seed: int) -> tuple[Counter[str], list[Bad]]:
    """Play one night again and again, killed at its first step, its second, and so on."""
    schedule = draw(seed).without_kills()
    sums, bad = Counter[str](), list[Bad]()
    for step in range(1, play(schedule).steps + 1):
        _count(sums, bad, seed, step, play(schedule, crash_at=step))
    return sums, bad


def caught(name: str) -> tuple[str, tuple[int, str] | None]:
    """Return the first seed that notices a mutant."""
    return name, catch(name)


def _count(sums: Counter[str], bad: list[Bad], seed: int, step: int | None, report: Report) -> None:
    jobs = {f"jobs {state}": count for state, count in report.jobs.items()}
    sums.update(
        schedules=1,
        crashes=report.crashes,
        POSTs=report.posts,
        duplicates=report.duplicates,
        lost=report.lost,
        over_budget=report.over_budget,
        gambles_lost=report.gambles_lost,
        **jobs,
    )
    if report.bad:
        bad.append((seed, step, report.wrongs[0]))


def _sum_up(title: str, results: Iterable[tuple[Counter[str], list[Bad]]]) -> int:
    """Add up and print; return how many schedules were bad."""
    started, sums, bad = time.perf_counter(), Counter[str](), list[Bad]()
    for some, found in results:
        sums += some
        bad += found
    print(f"\n{title}, {time.perf_counter() - started:.0f} s")
    for name in ("schedules", "crashes", "POSTs", "duplicates", "lost", "over_budget"):
        print(f"  {name.replace('_', ' '):14}{sums[name]:>10,}")
    states = ", ".join(f"{sums[key]:,} {key.removeprefix('jobs ')}" for key in sorted(sums) if "jobs " in key)
    print(f"  jobs: {states}")
    print(f"  gambles that `on_absent: resubmit` allowed and lost: {sums['gambles_lost']:,}")
    print(f"  bad: {len(bad)}")
    for seed, step, wrong in bad[:20]:
        at = "" if step is None else f" --crash {step}"
        print(f"    python -m tests.simulation.replay {seed}{at}   # {wrong}")
    return len(bad)


def _mutants(results: Iterable[tuple[str, tuple[int, str] | None]]) -> int:
    started, missed, count = time.perf_counter(), 0, 0
    print("\nmutants of the protocol, and the seed at which each was noticed")
    for name, found in results:
        count += 1
        missed += found is None
        seed, wrong = found or ("MISSED", "")
        print(f"  {name.replace('_', ' '):48}{seed!s:>7}  {wrong[:90]}")
    print(
        f"  {count - missed} of {count} noticed within {SEEDS} seeds, {time.perf_counter() - started:.0f} s"
    )
    return missed


def _bases(count: int) -> Iterator[int]:
    """Yield the first seeds whose nights cost at least one POST."""
    return islice((seed for seed in range(10 * count) if play(draw(seed).without_kills()).posts), count)


def main() -> int:
    """Prove it all, or play one seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--bases", type=int, default=60)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("-v", "--verbose", action="store_true")
    given = parser.parse_args()
    if given.seed is not None:
        _schedule, report, story = replay(given.seed, None, None)
        print("\n".join([*(story if given.verbose else ()), str(report)]))
        return int(report.bad)
    with ProcessPoolExecutor(given.workers) as workers:
        bad = _sum_up(
            "simulated nights", workers.map(nights, range(given.first, given.first + given.seeds, CHUNK))
        )
        bases = f"every crash point of {given.bases} nights"
        bad += _sum_up(bases, workers.map(crash_points, _bases(given.bases)))
        bad += _mutants(workers.map(caught, MUTANTS))
    print("\nproved" if not bad else "\nNOT PROVED")
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
