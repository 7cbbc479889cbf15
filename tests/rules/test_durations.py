"""What finished requests tell of the time that others take."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from batchrunner.rules.durations import LEARNED, UNKNOWN, Durations, Layer, Took, learn, setting

MEDIAN_S = 75.0


def drawn(count: int, sigma: float, seed: int = 1, median_s: float = MEDIAN_S) -> list[Took]:
    """Draw finished requests that were watched every 6 s."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        took_s, phase_s = rng.lognormvariate(math.log(median_s), sigma), rng.uniform(0.0, 6.0)
        low_s = max(0.0, (took_s - phase_s) // 6.0 * 6.0 + phase_s)
        found.append(Took(low_s, low_s + 6.0))
    return found


def learned(ended: Sequence[Took], running_s: Sequence[float] = ()) -> Durations:
    """Learn from one campaign alone."""
    return learn([Layer(ended, 0.3, "like it", own=True, running_s=running_s)])


@pytest.mark.parametrize("sigma", [0.2, 0.4, 0.8])
def test_the_typical_time_and_its_spread_are_found(sigma: float) -> None:
    """Within a tenth, from 400 requests that were looked at every 6 s."""
    found = learned(drawn(400, sigma))

    assert found.quantile_s(0.5) == pytest.approx(MEDIAN_S, rel=0.1)
    assert found.sigma == pytest.approx(sigma, rel=0.15)
    assert found.mean_s == pytest.approx(MEDIAN_S * math.exp(sigma**2 / 2), rel=0.1)
    assert found.samples == 400


def test_the_first_of_a_crowd_do_not_make_all_look_fast() -> None:
    """Fifty of a thousand that began together are over: the others count as longer than that."""
    crowd = sorted(drawn(1000, 0.4), key=lambda took: took.middle_s)
    now_s = crowd[50].middle_s
    alone, all_told = learned(crowd[:50]), learned(crowd[:50], [now_s] * 950)

    assert alone.quantile_s(0.5) < 45
    assert all_told.quantile_s(0.5) == pytest.approx(MEDIAN_S, rel=0.2)


def test_what_is_stuck_does_not_stretch_the_rest() -> None:
    """One in twenty takes twenty times as long."""
    ended = [
        Took(took.low_s * 20, took.high_s * 20) if number % 20 == 0 else took
        for number, took in enumerate(drawn(400, 0.2))
    ]
    found = learned(ended)

    assert found.quantile_s(0.5) == pytest.approx(MEDIAN_S, rel=0.1)
    assert found.sigma < 0.3


def test_few_samples_are_drawn_towards_what_was_known_before() -> None:
    """Three requests of this setting hardly move what four hundred elsewhere tell of the spread."""
    elsewhere = Layer(drawn(400, 0.2), 0.7, "elsewhere")
    found = learn([elsewhere, Layer(drawn(3, 0.2, 2, median_s=150.0), 0.3, "like it", own=True)])

    assert 100 < found.quantile_s(0.5) < 180
    assert found.sigma == pytest.approx(0.2, rel=0.5)
    assert found.samples == 3
    assert not found.learned
    assert found.how == "learned from 3 like it, then 400 elsewhere"


def test_of_the_old_and_the_new_the_new_counts() -> None:
    """A provider that has become slower is believed."""
    found = learned([*drawn(400, 0.2), *drawn(400, 0.2, 3, median_s=150.0)])

    assert found.quantile_s(0.5) == pytest.approx(150.0, rel=0.1)


def test_nothing_known_says_so() -> None:
    """It still gives numbers to plan with."""
    found = learn([])

    assert found == UNKNOWN
    assert not found.learned
    assert 60 < found.quantile_s(0.5) < 120
    assert "guess" in found.how


def test_quantiles_of_what_runs_already_lie_ahead() -> None:
    """The older it is, the later; and survival and quantile belong together."""
    found = Durations(math.log(MEDIAN_S), 0.4, LEARNED)

    assert found.survival(found.quantile_s(0.9)) == pytest.approx(0.1)
    assert found.quantile_s(0.5, age_s=100.0) > 100
    assert found.quantile_s(0.5, age_s=1e6) >= 1e6
    assert found.survival(0.0) == 1.0


def test_the_hazard_is_the_rate_of_ending() -> None:
    """Against the definition, by a small step; far out it stays finite."""
    found, step_s = Durations(math.log(MEDIAN_S), 0.4), 1e-4
    for age_s in (20.0, 75.0, 200.0, 400.0):
        lost = (found.survival(age_s) - found.survival(age_s + step_s)) / step_s

        assert found.hazard(age_s) == pytest.approx(lost / found.survival(age_s), rel=1e-2)
    assert found.hazard(0.0) == 0.0
    assert 0 < found.hazard(1e7) < 1


def test_who_looked_away_learns_nothing() -> None:
    """Seen over only after a suspend, or by the next run."""
    assert not Took(0.0, 30_000.0).tells
    assert not Took(60.0, 200.0).tells
    assert Took(0.0, 1.0).tells
    assert Took(70.0, 90.0).tells


def test_length_and_quality_make_the_setting() -> None:
    """Whatever the model's card calls them; seeds and texts do not matter."""
    one = setting("m", {"duration": "5", "quality": "540p", "seed": 1, "prompt": "a"})

    assert one == setting("m", {"duration": "5", "quality": "540p", "seed": 2, "prompt": "b"})
    assert one != setting("m", {"duration": "8", "quality": "540p"})
    assert one != setting("n", {"duration": "5", "quality": "540p"})
    assert setting("m", {"seconds": 5, "resolution": "720p"}) == ("m", "5", "720p")
