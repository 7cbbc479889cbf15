"""Peak memory with 1,000 and with 20,000 jobs waiting: it must not grow with them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from throughput import measure


def main() -> None:
    """Measure both and print the difference."""
    with tempfile.TemporaryDirectory() as folder:
        peaks = {
            jobs: measure("waiting", jobs, 8, Path(folder) / str(jobs))["peak_mb"] for jobs in (1_000, 20_000)
        }
    for jobs, peak_mb in peaks.items():
        print(f"{jobs:>7,} jobs waiting: peak {peak_mb:.1f} MiB")
    print(f"growth: {peaks[20_000] - peaks[1_000]:.1f} MiB")


if __name__ == "__main__":
    main()
