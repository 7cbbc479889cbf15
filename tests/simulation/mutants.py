"""The protocol broken by hand, one rule at a time: the simulation must notice every one of these.

A mutant is a small change of the real modules at run time. Each says in its docstring which rule it breaks;
what the change is called in the lists is the name of its function. One that is not caught means that the
simulation is too tame, or that the rule is not needed.
"""

from __future__ import annotations

from tests.simulation import mutants_keeping, mutants_paying
from tests.simulation.breaking import MUTANTS, applied
from tests.simulation.night import play
from tests.simulation.schedule import draw

__all__ = ["MUTANTS", "SEEDS", "applied", "catch"]
SEEDS = 500  # by which each must be caught

assert {mutants_keeping.__name__, mutants_paying.__name__}  # they enter themselves into the list


def catch(name: str, seeds: int = SEEDS) -> tuple[int, str] | None:
    """Return the first seed that notices a mutant, and what it says; None when none does."""
    with applied(name):
        for seed in range(seeds):
            report = play(draw(seed))
            if report.bad:
                return seed, report.wrongs[0]
    return None
