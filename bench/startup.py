"""How long `batchrunner --help` takes beyond Python's own start (goal: under 100 ms)."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15


def median_ms(*words: str) -> float:
    """Return the median time of a command, in milliseconds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def main() -> None:
    """Measure in turns and print the difference."""
    bare, help_ms = median_ms("-c", "pass"), median_ms("-m", "batchrunner", "--help")
    print(f"python: {bare:.0f} ms, batchrunner --help: {help_ms:.0f} ms")
    print(f"beyond Python's own start: {help_ms - bare:.0f} ms (goal 100)")


if __name__ == "__main__":
    main()
