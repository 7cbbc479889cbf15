"""Planning and recording beside a bare `executemany` of the same rows; and what a million jobs cost later.

    python bench/plan.py [--sizes 10000 100000 1000000] [--rounds N] [--csv [KIND]] [--takes N] [--answers]

Ours is the command `plan --record` in a state folder of its own, from the start of the process to its end:
Python and its imports, manifest, checks, expansion, the plan and its printing, state table. The bare insert
has nothing but `executemany` and COMMIT of the same rows timed: start, rows and the empty table are there
before. It has the same table and indexes, the same pragmas, one transaction into a fresh file, chunks of
20,000 rows, no triggers; it keeps the indexes up row by row, where ours builds them at the end. So whatever
is not the insert counts against us, and at 10,000 jobs it is nearly all: the line `start` tells how much the
command takes for a manifest of one job. The two take turns. Seconds by the clock, and `(cpu)` the ratio of
processor time, which is the steadier one on a machine with other work.

--csv: rows from a table, by default `shots` of which each has a picture and a prompt of its own; `images`
and `prompts` are tables of one axis, with one row on the other. A row makes --takes jobs (10).
--answers: then how long `status`, the next due job and a run with nothing to do take, each beside a campaign
of a thousand jobs, with as many finished clips on the disk as there are jobs.
"""

from __future__ import annotations

import argparse
import hashlib
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
SHAPES = {1: (1, 1), 1_000: (10, 10), 10_000: (100, 10), 100_000: (100, 100), 1_000_000: (1_000, 100)}
TAKES = 10
KINDS = ("shots", "images", "prompts")
URL = "https://example.com/pictures/image{}.png"
WORDS = "Slow push-in number {}, soft morning light over the harbour, film grain"


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


def manifest(jobs: int, folder: Path, *, csv: str | None = None, takes: int = TAKES) -> Path:
    """Write a manifest of so many jobs; `csv`: what a table tells of them."""
    images, prompts = SHAPES[jobs] if csv is None else (1, 1)
    lines = [
        "version: 1",
        "campaign: scale",
        "model: pixverse-v5.6-i2v",
        "provider: emulator",
        "seed: 20261123",
    ]
    lines += [f"takes: {min(takes, jobs)}", "parameters: {duration: 5, quality: 540p}"]
    if csv is not None:
        table(csv, jobs // takes, folder / f"{csv}.csv")
        lines += [f"{csv}: {{csv: {csv}.csv}}" if csv == "shots" else f"{csv}: [{{csv: {csv}.csv}}]"]
    if csv not in {"shots", "images"}:
        lines += ["images:", *(f"  - {{id: image{n}, url: '{URL.format(n)}'}}" for n in range(images))]
    if csv not in {"shots", "prompts"}:
        lines += ["prompts:", *(f"  - {{id: prompt{n}, text: '{WORDS.format(n)}'}}" for n in range(prompts))]
    path = folder / "scale.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def table(kind: str, rows: int, path: Path) -> None:
    """Write a table of which no two rows have a value in common."""
    cells = {"id": "row{}", "image": URL, "url": URL, "prompt": f'"{WORDS}"', "text": f'"{WORDS}"'}
    columns = {"shots": ("id", "image", "prompt"), "images": ("id", "url"), "prompts": ("id", "text")}[kind]
    line = ",".join(cells[column] for column in columns) + "\n"
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(columns) + "\n")
        file.writelines(line.replace("{}", str(n)) for n in range(rows))


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


def started(rounds: int, folder: Path) -> None:
    """Measure the command for a single job, and print a line."""
    path = manifest(1, folder)
    took = []
    for number in range(rounds):
        state = str(folder / f"state{number}")
        took.append(child("-m", "batchrunner", "plan", str(path), "--state", state, "--record"))
    wall_s, cpu_s = (
        statistics.median(told) for told in zip(*((t.wall_s, t.cpu_s) for t in took), strict=True)
    )
    print(f"    start  {wall_s:8.2f} s  (cpu {cpu_s:.2f} s)", flush=True)


def planned(jobs: int, rounds: int, folder: Path, *, csv: str | None, takes: int) -> float:
    """Measure planning and recording, print a line, return the peak in MiB."""
    path = manifest(jobs, folder, csv=csv, takes=takes)
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


def finish(jobs: int, folder: Path) -> Path:
    """Record a manifest, write its jobs down as done, with events and (tiny) clips; return the manifest."""
    path = manifest(jobs, folder)
    child("-m", "batchrunner", "plan", str(path), *places(folder), "--record")
    db = sqlite3.connect(folder / "state" / "scale.db", isolation_level=None)
    with closing(db):
        ruled = "SELECT name, sql FROM sqlite_master WHERE name IN ('attempts_begin', 'attempts_move')"
        rules = db.execute(ruled).fetchall()
        db.execute("BEGIN IMMEDIATE")
        for name, _sql in rules:  # a million attempts cannot go through every state here
            db.execute(f"DROP TRIGGER {name}")
        db.execute(
            """INSERT INTO attempts (job, number, state, model, account, origin, payload, fingerprint,
                 reserved_usd_micros, cost_usd_micros, request_id, submitted_at, accepted_at, ready_at,
                 fetched_at, closed_at, files, epoch)
               SELECT id, 1, 'done', model, 'org', 'http://127.0.0.1:0', payload, hex(randomblob(32)), 150000,
                 150000, 'request-' || id, :at, :at, :at, :at, :at,
                 json_array(json_object('path', name || '.mp4', 'sha256', :sha256, 'size', 4, 'seconds', 5.0,
                                        'width', 960, 'height', 540)), 1 FROM jobs""",
            {"at": "2026-11-20T00:00:00.000000Z", "sha256": hashlib.sha256(b"clip").hexdigest()},
        )
        for kind in ("intent", "accepted", "ready", "fetched", "published"):
            event = "INSERT INTO events (at, job, attempt, kind, epoch)"
            db.execute(f"{event} SELECT submitted_at, job, id, ?, 1 FROM attempts", [kind])
        db.execute("UPDATE jobs SET state = 'done', attempts = 1, file = name || '.mp4'")
        for _name, sql in rules:
            db.execute(sql)
        db.execute("COMMIT")
        clips = folder / "outputs" / "scale"
        for (image,) in db.execute("SELECT DISTINCT image FROM jobs"):
            (clips / image).mkdir(parents=True)
        for (name,) in db.execute("SELECT file FROM jobs"):
            (clips / name).write_bytes(b"clip")
    return path


def places(folder: Path) -> tuple[str, ...]:
    """Return the options that keep everything in one folder."""
    return "--state", str(folder / "state"), "--output", str(folder / "outputs")


def next_due(table: Path) -> None:
    """Print how long the next jobs that may start take to be found, in seconds."""
    from batchrunner.store import reading
    from batchrunner.store.database import open_readonly

    with closing(open_readonly(table)) as db:
        taken = []
        for order in ("coverage", "written") * 5:
            began = time.perf_counter()
            reading.pending(db, time.time_ns() // 1000, 64, order)
            reading.next_due_us(db, time.time_ns() // 1000)
            taken.append(time.perf_counter() - began)
    print(statistics.median(taken))


def answers(sizes: list[int], rounds: int, root: Path) -> None:
    """Measure what is asked of a campaign later, in turns, and print each beside the small one."""
    asked: dict[tuple[int, str], list[float]] = {}
    steps: list[tuple[int, str, tuple[str, ...]]] = []
    for jobs in sizes:
        waiting, done = root / f"waiting-{jobs}", root / f"done-{jobs}"
        waiting.mkdir()
        done.mkdir()
        child("-m", "batchrunner", "plan", str(manifest(jobs, waiting)), *places(waiting), "--record")
        run = ("-m", "batchrunner", "run", str(finish(jobs, done)), *places(done), "--quiet")
        first = child(*run)
        told = f"{first.wall_s:.2f} s, peak {first.peak_mib:,.0f} MiB"
        print(f"{jobs:>9,}  first run over finished clips: {told}", flush=True)
        steps += [
            (jobs, "status", ("-m", "batchrunner", "status", "scale", *places(waiting)[:2])),
            (jobs, "status, all done", ("-m", "batchrunner", "status", "scale", *places(done)[:2])),
            (jobs, "next due job", (__file__, "--next", str(waiting / "state" / "scale.db"))),
            (jobs, "run, nothing to do", run),
        ]
    for _ in range(rounds + 1):  # the first one warms up
        for jobs, what, words in steps:
            took = child(*words)
            asked.setdefault((jobs, what), []).append(
                float(took.out) if what == "next due job" else took.wall_s
            )
    for jobs, what, _words in steps:
        mine, small = (statistics.median(asked[one, what][1:]) for one in (jobs, sizes[0]))
        print(f"{jobs:>9,}  {what:<20} {mine:7.3f} s   {mine - small:+.3f} s beside {sizes[0]:,} jobs")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", choices=sorted(SHAPES)[1:], default=[10_000, 100_000, 1_000_000]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--csv", nargs="?", const="shots", choices=KINDS, help="rows from a table")
    parser.add_argument("--takes", type=int, default=TAKES, help="jobs of a table's row")
    parser.add_argument("--answers", action="store_true", help="what is asked later, too: much disk, long")
    parser.add_argument("--next", metavar="TABLE", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bare", nargs=2, metavar=("MANIFEST", "TABLE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.takes != TAKES and given.csv is None:
        parser.error("--takes goes with --csv")
    if given.bare:
        bare(Path(given.bare[0]), Path(given.bare[1]))
        return
    if given.next:
        next_due(given.next)
        return
    print("     jobs  plan --record      rows/s        bare  ratio  (cpu)         peak")
    peaks: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as name:
        started(given.rounds, Path(name))
        for jobs in given.sizes:
            folder = Path(name) / str(jobs)
            folder.mkdir()
            peaks[jobs] = planned(jobs, given.rounds, folder, csv=given.csv, takes=given.takes)
    first, last = min(peaks), max(peaks)
    print(f"growth of the peak from {first:,} to {last:,} jobs: {peaks[last] - peaks[first]:.1f} MiB")
    if given.answers:
        with tempfile.TemporaryDirectory() as name:
            answers(sorted({SMALL, *given.sizes}), given.rounds, Path(name))


if __name__ == "__main__":
    main()
