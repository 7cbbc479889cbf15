"""Real kills and faults of system calls in numbers: `python -m bench.kills --kills 400 [--syscalls N]`.

Every campaign is the real program against the emulator over HTTP; it is killed with SIGKILL several times,
at named failpoints and at random times in equal parts, then run to its end. The emulator's ledger
is the judge. Prints kills, duplicates, lost and held, and ends with 1 where anything is not as promised.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.campaigns import Kill, at_a_point, at_a_time, campaigns
from tests.chaos.rig import Verdict

BATCH = 8  # campaigns against one emulator
KILLS_EACH = 4


def kill_until(kill: Kill, kills: int, first_seed: int, folder: Path) -> Verdict:
    """Run campaigns until there were so many kills."""
    verdict = Verdict()
    for number in itertools.count():
        if verdict.kills >= kills:
            break
        seed = first_seed + number * BATCH
        verdict += campaigns(folder, range(seed, seed + BATCH), kill, kills_each=KILLS_EACH)
    return verdict


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=400, help="at least so many (default 400)")
    parser.add_argument("--seed", type=int, default=1, help="the first campaign's")
    options = parser.parse_args()
    begun_s, whole = time.monotonic(), Verdict()
    with tempfile.TemporaryDirectory() as folder:
        for name, kill in (("at failpoints", at_a_point), ("at random times", at_a_time)):
            verdict = kill_until(kill, options.kills // 2, options.seed, Path(folder))
            print(f"{name}: {verdict}", flush=True)
            whole += verdict
    print(f"all: {whole}; {time.monotonic() - begun_s:.0f} s")
    for one in whole.wrong:
        print(f"  wrong: {one}")
    return 1 if whole.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
