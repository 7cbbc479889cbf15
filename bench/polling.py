"""Delay of detection against polls a job: fixed intervals, a growing one, ours, and the optimum.

All contenders watch the same log-normal durations, median 75 s. Delay is the time from the finish to the
poll that sees it; the optimum minimises delay + price x polls and is found by dynamic programming over the
true distribution. Ours runs the real rules (rules/durations.py, rules/polling.py) on what it has seen through
its own polls: while it learns, from nothing, and then with what it has learned.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.rules.watching import MEDIAN_S, learned_cost, learning, measured, optimum


def price_for(wanted_s: float, delay_at: Callable[[float], float]) -> float:
    """Return the price at which the mean delay is `wanted_s`, by halving."""
    low, high = 1e-3, 20.0
    for _ in range(30):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if delay_at(middle) < wanted_s else (low, middle)
    return math.sqrt(low * high)


def main() -> None:
    """Measure all of it and print a table; exit 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=20_000, help="durations that all contenders watch")
    parser.add_argument("--learn", type=int, default=400, help="jobs that are learned from")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    fine = True
    for sigma in (0.2, 0.4, 0.8):
        fine &= table(sigma, args.jobs, args.learn, args.seed)
    sys.exit(0 if fine else 1)


def table(sigma: float, jobs: int, to_learn: int, seed: int) -> bool:
    """Print the rows of one spread; tell whether its goals are reached."""
    rng = random.Random(f"{seed} {sigma}")
    durations = [rng.lognormvariate(math.log(MEDIAN_S), sigma) for _ in range(jobs)]
    print(f"\nsigma {sigma}, {jobs} jobs{'':21}delay s   polls")
    row = "  {:<44}{:8.2f}{:8.1f}"
    for fixed_s in (2.0, 5.0, 10.0):
        delay_s, polls = measured(durations, lambda age, count, fixed_s=fixed_s: fixed_s)  # type: ignore[misc]
        print(row.format(f"every {fixed_s:.0f} s", delay_s, polls))
        if fixed_s == 5.0:
            five = (delay_s, polls)
    grown = measured(durations, lambda age, count: min(10.0, 1.5**count))
    print(row.format("growing 1.5 x from 1 s to 10 s", *grown))
    reached = True
    for price_s in (0.1, 0.25, 0.5, 1.0):
        first = learning(durations[:to_learn], price_s, rng)
        ours = learned_cost(durations, first[2], price_s, rng)
        best = optimum(sigma, price_s)
        over = (ours[0] + price_s * ours[1]) / (best[0] + price_s * best[1])
        print(row.format(f"ours while learning {to_learn}, price {price_s}", *first[:2]))
        print(row.format(f"ours learned, price {price_s}", *ours) + f"   {over:.3f} x the optimum's cost")
        print(row.format(f"optimum, price {price_s}", *best))
        reached &= over <= 1.15
    known, few = first[2], durations[: jobs // 4]
    price_s = price_for(five[0], lambda price: learned_cost(few, known, price, random.Random(seed))[0])
    ours = learned_cost(durations, known, price_s, rng)
    best_s = price_for(five[0], lambda price: optimum(sigma, price)[0]) if sigma < 0.8 else 0.0
    told = f", the optimum {optimum(sigma, best_s)[1] / five[1]:.2f}" if best_s else ""
    share, goal = ours[1] / five[1], {0.2: 0.4, 0.4: 0.7}.get(sigma, 1.0)
    print(f"  at the delay of every 5 s ({ours[0]:.2f} s): {share:.2f} of its polls (goal {goal}){told}")
    return reached and share <= goal


if __name__ == "__main__":
    main()
