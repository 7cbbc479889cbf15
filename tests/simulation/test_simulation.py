"""Thousands of nights, each with its own weather and its own crashes: nothing is paid twice, nothing is lost.

A failure names its seed; `python -m tests.simulation.replay SEED` (or `SEED --crash STEP`) tells its story.
"""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS, SEEDS, catch
from tests.simulation.night import play
from tests.simulation.replay import main
from tests.simulation.schedule import draw

NIGHTS = 2_000
CHUNK = 50
# Killed at every single step: nights of 30 to 75 steps, so that there is time for each of them here; `make
# prove` takes them as they come.
BASE_SEEDS = (
    *(1, 30, 33, 36, 41, 47, 54, 58, 60, 76, 84, 96, 99, 100, 111),
    *(116, 117, 153, 180, 200, 219, 220, 223, 225, 226, 231, 249, 258, 285, 286),
)
MUTANTS_MIN = 25


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, NIGHTS, CHUNK))
def test_no_night_pays_twice_or_loses_anything(first: int) -> None:
    """The provider's ledger and the state table agree, whatever the weather, wherever the runner died."""
    bad = {seed: report.wrongs for seed in range(first, first + CHUNK) if (report := play(draw(seed))).bad}

    assert bad == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", BASE_SEEDS)
def test_no_step_is_a_bad_one_to_die_at(seed: int) -> None:
    """One night, killed at its first step, at its second, and so on to its last."""
    schedule = draw(seed).without_kills()
    steps = play(schedule).steps
    bad = {
        step: report.wrongs
        for step in range(1, steps + 1)
        if (report := play(schedule, crash_at=step)).bad or report.crashes != 1
    }

    assert steps >= 20
    assert bad == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_every_broken_rule_is_noticed(name: str) -> None:
    """A protocol with one rule broken does not get through: so each rule is needed, and is watched."""
    assert catch(name) is not None, f"no seed below {SEEDS} notices {name}"


def test_there_are_enough_broken_rules() -> None:
    """The number that docs/safety.md speaks of."""
    assert len(MUTANTS) >= MUTANTS_MIN


def test_a_seed_is_the_same_night_every_time(capsys: pytest.CaptureFixture[str]) -> None:
    """So that a failure can be played again, word for word; a broken rule is told with its story."""
    broken = "interrupted_attempts_sent_again"
    seed, wrong = catch(broken) or (0, "")
    told = []
    for _ in range(2):
        assert main([str(seed), "--mutant", broken]) == 1
        told.append(capsys.readouterr().out)

    assert told[0] == told[1]
    assert "*** killed" in told[0]
    assert f"WRONG: {wrong}" in told[0]


def test_the_weather_is_as_bad_as_it_should_be() -> None:
    """A simulation in which nothing happens proves nothing: crashes, held jobs and finished ones occur."""
    reports = [play(draw(seed)) for seed in range(40)]

    assert sum(report.crashes for report in reports) >= 20
    assert sum(report.jobs.get("held", 0) for report in reports) >= 10
    assert sum(report.jobs.get("done", 0) for report in reports) >= 40
