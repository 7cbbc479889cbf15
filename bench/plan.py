"""Planning and recording beside a bare `executemany` of the same rows; and what a million jobs cost later.

    python bench/plan.py [--sizes 10000 100000 1000000] [--rounds N] [--csv] [--done]

Ours is the command `plan --record`: start, manifest, checks, expansion, plan, state table. The bare insert
gets the finished rows in chunks, and only its own work is timed: the same table and indexes, the same
pragmas, one transaction into a fresh file, no triggers. Both take turns. Then how long `status`, the next
due job and a run with nothing to do take, each beside a campaign of a thousand jobs: --done writes as many
finished clips to the disk as there are jobs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHUNK = 20_000  # rows that lie ready for the bare insert
SMALL = 1_000  # the campaign that the others are held against
SHAPES = {1_000: (10, 10), 10_000: (100, 10), 100_000: (100, 100), 1_000_000: (1_000, 100)}
TAKES = 10


@dataclass(frozen=True, slots=True)
class Took:
    """What one process took: seconds by the clock and of the processor, and its peak memory in MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    out: str = ""


def child(*words: str) -> Took:
    """Run one process to its end."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "BATCHRUNNER_AWAKE": "0"},
    )
    out, err = (pipe.read() if pipe else "" for pipe in (process.stdout, process.stderr))
    _pid, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}\n{out}{err}")
    scale = 1 if sys.platform == "darwin" else 1024
    return Took(
        time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * scale / 2**20, out
    )


def manifest(jobs: int, folder: Path, *, csv: bool = False) -> Path:
    """Write a manifest of so many jobs."""
    images, prompts = SHAPES[jobs]
    lines = [
        "version: 1",
        "campaign: scale",
        "model: pixverse-v5.6-i2v",
        "provider: emulator",
        "seed: 20261123",
    ]
    lines += [f"takes: {TAKES}", "parameters: {duration: 5, quality: 540p}"]
    address = "https://example.com/pictures/image{}.png"
    words = "Slow push-in number {}, soft morning light over the harbour, film grain"
    if csv:
        # A row a shot: as many rows as pairs.
        rows = [
            f"image{n},{address.format(n)},prompt{m},{words.format(m)}"
            for n in range(images)
            for m in range(prompts)
        ]
        (folder / "shots.csv").write_text("\n".join(["id,url,prompt,text", *rows]) + "\n", encoding="utf-8")
        lines += ["shots: {csv: shots.csv}"]
    else:
        lines += ["images:", *(f"  - {{id: image{n}, url: '{address.format(n)}'}}" for n in range(images))]
        lines += ["prompts:", *(f"  - {{id: prompt{n}, text: '{words.format(n)}'}}" for n in range(prompts))]
    path = folder / "scale.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def bare(path: Path, target: Path) -> None:
    """Insert a manifest's rows as plainly as can be; print the seconds that took."""
    from batchrunner.manifest.expand import expand
    from batchrunner.manifest.load import load
    from batchrunner.store.database import PRAGMAS, open_database

    model = target.with_name("model.db")
    db = open_database(model)
    schema = [
        sql
        for (sql,) in db.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = 'jobs' AND type <> 'trigger' AND sql IS NOT NULL"
        )
    ]
    db.close()
    columns = "id, position, image, prompt, take, seed, model, payload, name, cost_usd_micros"
    insert = f"INSERT INTO jobs ({columns}) VALUES ({', '.join('?' * 10)})"
    rows: Iterator[tuple[Any, ...]] = (
        (
            *(job.id, number, job.image, job.prompt, job.take, job.seed, job.model, job.payload_text),
            *(job.name, job.cost_micros),
        )
        for number, job in enumerate(expand(*load(path)), 1)
    )
    wall_s = cpu_s = 0.0
    with closing(sqlite3.connect(target, isolation_level=None)) as plain:
        for name, value, _read in PRAGMAS:
            plain.execute(f"PRAGMA {name} = {value}")
        for sql in schema:
            plain.execute(sql)
        plain.execute("BEGIN IMMEDIATE")
        chunk: list[tuple[Any, ...]] | None = []
        while chunk is not None:
            chunk = list(islice(rows, CHUNK)) or None
            began, used = time.perf_counter(), time.process_time()
            if chunk:
                plain.executemany(insert, chunk)
            else:
                plain.execute("COMMIT")
            wall_s += time.perf_counter() - began
            cpu_s += time.process_time() - used
    print(json.dumps([wall_s, cpu_s]))


def recorded(jobs: int, rounds: int, folder: Path, *, csv: bool) -> float:
    """Measure planning and recording, print a line, return the peak in MiB."""
    path = manifest(jobs, folder, csv=csv)
    ours: list[Took] = []
    plain: list[tuple[float, float]] = []
    for _ in range(rounds):
        shutil.rmtree(folder / "state", ignore_errors=True)
        ours.append(
            child("-m", "batchrunner", "plan", str(path), "--state", str(folder / "state"), "--record")
        )
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            plain.append(
                tuple(json.loads(child(__file__, "--bare", str(path), str(Path(fresh) / "x.db")).out))
            )
    wall_s, bare_s = (
        statistics.median(one) for one in ([took.wall_s for took in ours], [p[0] for p in plain])
    )
    cpu_s, bare_cpu_s = (
        statistics.median(one) for one in ([took.cpu_s for took in ours], [p[1] for p in plain])
    )
    peak = max(took.peak_mib for took in ours)
    print(
        f"{jobs:>9,}  {wall_s:8.2f} s  {jobs / wall_s:9,.0f}/s  {bare_s:8.2f} s  {wall_s / bare_s:5.2f}"
        f"  {cpu_s / bare_cpu_s:5.2f}  {peak:7.1f} MiB",
        flush=True,
    )
    return peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", choices=SHAPES, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--csv", action="store_true", help="shots from a CSV, a row for each ten jobs")
    parser.add_argument("--done", action="store_true", help="with finished clips on the disk")
    parser.add_argument("--bare", nargs=2, metavar=("MANIFEST", "TABLE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        bare(Path(given.bare[0]), Path(given.bare[1]))
        return
    print("     jobs  plan --record      rows/s        bare  ratio  (cpu)         peak")
    peaks: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as name:
        for jobs in given.sizes:
            folder = Path(name) / str(jobs)
            folder.mkdir()
            peaks[jobs] = recorded(jobs, given.rounds, folder, csv=given.csv)
    first, last = min(peaks), max(peaks)
    print(f"growth of the peak from {first:,} to {last:,} jobs: {peaks[last] - peaks[first]:.1f} MiB")


if __name__ == "__main__":
    main()
