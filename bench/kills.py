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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from batchrunner.emulator.process import EmbeddedEmulator
from tests.chaos.campaigns import AT_ONCE, Kill, at_a_point, at_a_time, campaigns
from tests.chaos.faults import can_inject, faults, wrong_with
from tests.chaos.rig import WEATHER, Night, Verdict

BATCH = 8  # campaigns against one emulator
KILLS_EACH = 4
CLIP_CALLS = 3  # a campaign of three clips makes each of its calls three times


def kill_until(kill: Kill, kills: int, first_seed: int, folder: Path) -> Verdict:
    """Run campaigns until there were so many kills."""
    verdict = Verdict()
    for number in itertools.count():
        if verdict.kills >= kills:
            break
        seed = first_seed + number * BATCH
        verdict += campaigns(folder, range(seed, seed + BATCH), kill, kills_each=KILLS_EACH)
    return verdict


def fail_calls(last_call: int, first_seed: int, folder: Path) -> list[str]:
    """Let every kind of system call fail at its first, second, … call; return what is wrong."""
    todo = faults(range(1, last_call + 1), range(1, min(last_call, CLIP_CALLS) + 1))
    with EmbeddedEmulator(WEATHER) as emulator, ThreadPoolExecutor(AT_ONCE) as pool:

        def one(number: int) -> tuple[bool, list[str]]:
            seed = first_seed + number
            return wrong_with(Night(folder / f"fault-{seed}", emulator.api, emulator.key, seed), todo[number])

        outcomes = list(pool.map(one, range(len(todo))))
    fell = sum(fell for fell, _wrong in outcomes)
    wrong = [one for _fell, found in outcomes for one in found]
    print(f"failing system calls: {len(todo)} tried, {fell} fell, {len(wrong)} not as promised", flush=True)
    return wrong


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=400, help="at least so many (default 400)")
    parser.add_argument("--seed", type=int, default=1, help="the first campaign's")
    parser.add_argument("--syscalls", type=int, default=0, help="also let calls 1 to N fail (needs strace)")
    options = parser.parse_args()
    begun_s, whole = time.monotonic(), Verdict()
    with tempfile.TemporaryDirectory() as folder:
        for name, kill in (("at failpoints", at_a_point), ("at random times", at_a_time)):
            verdict = kill_until(kill, options.kills // 2, options.seed, Path(folder))
            print(f"{name}: {verdict}", flush=True)
            whole += verdict
        wrong = list(whole.wrong)
        if options.syscalls and can_inject():
            wrong += fail_calls(options.syscalls, options.seed, Path(folder))
        elif options.syscalls:
            print("failing system calls: not tried, strace is not here or may not trace")
    print(f"all: {whole}; {time.monotonic() - begun_s:.0f} s")
    for one in wrong:
        print(f"  wrong: {one}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
