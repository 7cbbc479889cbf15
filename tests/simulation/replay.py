"""Play one seed again and print its story: `python -m tests.simulation.replay SEED [--crash STEP]`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from dataclasses import fields

from batchrunner.rehearsal.schedule import Schedule
from tests.simulation.mutants import MUTANTS, applied
from tests.simulation.night import Report, play
from tests.simulation.schedule import draw


def replay(seed: int, crash_at: int | None, mutant: str | None) -> tuple[Schedule, Report, list[str]]:
    """Play a seed; with `crash_at` as the crash points are played: killed there and nowhere else."""
    schedule = draw(seed) if crash_at is None else draw(seed).without_kills()
    story: list[str] = []
    with applied(mutant) if mutant else contextlib.nullcontext():
        return schedule, play(schedule, crash_at=crash_at, story=story), story


def main(arguments: list[str]) -> int:
    """Print what the weather was, what happened, and what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.replay")
    parser.add_argument("seed", type=int)
    parser.add_argument("--crash", type=int, metavar="STEP", help="kill the runner there, and nowhere else")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="with one rule of the protocol broken")
    given = parser.parse_args(arguments)
    schedule, report, story = replay(given.seed, given.crash, given.mutant)
    lines = [f"{one.name}: {getattr(schedule, one.name)}" for one in fields(schedule) if one.name != "jobs"]
    lines += [f"job {job.id}: {dict(job.payload)}" for job in schedule.jobs]
    sys.stdout.write("\n".join([*lines, "", *story, "", str(report), ""]))
    return int(report.bad)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
