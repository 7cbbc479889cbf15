"""How long the provider takes, learned from the requests that it has finished: pure.

Times to finish are close to log-normal, so two numbers describe them: the mean and the spread of the
logarithm. They are read off a probability plot: a straight line through the logarithms of the observed
times against normal scores. Ranks come from the Kaplan-Meier estimate, so that requests which are still
running count as "longer than this"; else the first to finish of a crowd would make all look fast. The
uppermost ranks are left out of the line, since a few that are stuck must not stretch it.

Little is known at first. So the knowledge comes in layers, from the farthest to the nearest: the model's
card, other campaigns, this one; all of the model, then the very setting. Each layer is drawn towards the one
below it, the more the fewer its samples are (a normal mean with a normal prior, a variance with a scaled
inverse chi-squared one).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import NormalDist
from typing import Any, NamedTuple

from batchrunner.values import Payload

LEARNED = 20  # samples of a setting from which on its polls follow what was learned
NEWEST = 400  # samples of a layer that count: a provider's speed changes with the hour

# Names that cards give the length of a clip, and its quality.
LENGTHS = ("duration", "durationSeconds", "duration_seconds", "seconds")
QUALITIES = ("quality", "resolution", "mode")

RANKS = (0.005, 0.93)  # shares of requests whose times the line is drawn through
LOOKED_AWAY_S = 30.0  # more than the longest wait between polls that cards have
SIGMA_MIN, SIGMA_MAX = 0.03, 2.0
SIGMA_WEIGHT = 2.0  # samples that the layer below counts for, as to the spread

# How far two layers' typical times lie apart, as a spread of the logarithm. Estimates: a card is a rule of
# thumb; lengths and qualities of one model differ by half; the same setting on other nights by a third.
APART_CARD, APART_SETTINGS, APART_NIGHTS = 0.7, 0.5, 0.3

NORMAL = NormalDist()


class Setting(NamedTuple):
    """What a request's time depends on, as far as it is known beforehand."""

    model: str
    length: str
    quality: str


def setting(model: str, payload: Payload) -> Setting:
    """Return the setting of a request; lengths and qualities under any name that cards use."""
    return Setting(model, _first(payload, LENGTHS), _first(payload, QUALITIES))


@dataclass(frozen=True, slots=True)
class Took:
    """One finished request: at `low_s` after its acceptance it was still running, at `high_s` it was over."""

    low_s: float
    high_s: float

    @property
    def middle_s(self) -> float:
        """The best single guess, in seconds."""
        return (self.low_s + self.high_s) / 2

    @property
    def tells(self) -> bool:
        """False where nobody looked for so long (a suspend, another run) that it says nothing."""
        return self.high_s > 0 and self.high_s - self.low_s <= max(LOOKED_AWAY_S, self.middle_s)


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds from a request's acceptance to its end. `samples`: finished requests of this very setting.

    `mu` and `sigma` are mean and spread of the natural logarithm; `how` says in words what they rest on.
    """

    mu: float
    sigma: float
    samples: int = 0
    how: str = "a guess: nothing is known of this model yet"

    @property
    def learned(self) -> bool:
        """True once there are samples enough to rely on."""
        return self.samples >= LEARNED

    @property
    def mean_s(self) -> float:
        """The mean in seconds."""
        return math.exp(self.mu + self.sigma**2 / 2)

    def quantile_s(self, p: float, age_s: float = 0.0) -> float:
        """Return the seconds since acceptance within which a share `p` (0 < p < 1) of requests is over.

        With `age_s`: of those that have run for so long already.
        """
        if age_s > 0:
            p = 1.0 - (1.0 - p) * self.survival(age_s)
        if p >= 1.0 - 1e-9:  # far out in the tail: nothing is known but that it runs already
            return max(age_s, math.exp(self.mu + 6.0 * self.sigma))
        return max(age_s, math.exp(self.mu + self.sigma * NORMAL.inv_cdf(p)))

    def survival(self, age_s: float) -> float:
        """Return the share of requests that run for longer than so many seconds."""
        return 1.0 if age_s <= 0 else survival(age_s, self.mu, self.sigma)

    def hazard(self, age_s: float) -> float:
        """Return how probably a request that has run for `age_s` ends within the next second."""
        if age_s <= 0:
            return 0.0
        z = (math.log(age_s) - self.mu) / self.sigma
        left = survival(age_s, self.mu, self.sigma)
        if left < 1e-12:  # the limit for large z
            return z / (self.sigma * age_s)
        return NORMAL.pdf(z) / (self.sigma * age_s * left)


UNKNOWN = Durations(mu=math.log(90.0), sigma=0.8)  # half a minute to five minutes: what pages and people tell
MOST = 1.645  # nine in ten of a normal distribution lie within so many standard deviations


def typical(low_s: float, high_s: float) -> Durations:
    """Return what a card's rule of thumb says: nine in ten requests take between these times."""
    mu, sigma = math.log(low_s * high_s) / 2, math.log(high_s / low_s) / 2 / MOST
    how = f"by the card's rule of thumb of {low_s:.0f} to {high_s:.0f} s a clip"
    return Durations(mu, min(SIGMA_MAX, max(SIGMA_MIN, sigma)), how=how)


@dataclass(frozen=True, slots=True)
class Layer:
    """Some samples, all from one distance. `running_s`: ages of requests that are not over yet.

    `apart`: how far its typical time may lie from the layer below. `own`: its samples are of the setting.
    """

    ended: Sequence[Took]
    apart: float
    words: str
    own: bool = False
    running_s: Sequence[float] = ()


def learn(layers: Iterable[Layer], prior: Durations = UNKNOWN) -> Durations:
    """Return what some layers tell, the farthest first, on top of `prior`."""
    found, count, words = prior, 0, list[str]()
    for layer in layers:
        if not layer.ended:
            continue
        newest, running_s = _newest(layer)
        found = _drawn(_line(newest, running_s), len(newest), found, layer.apart)
        count += len(newest) if layer.own else 0
        words.append(f"{len(newest)} {layer.words}")
    how = "learned from " + ", then ".join(reversed(words)) if words else prior.how
    return replace(found, samples=count, how=how)


def survival(age_s: float, mu: float, sigma: float) -> float:
    """Return the share of a log-normal time that is left after `age_s` > 0."""
    return 0.5 * math.erfc((math.log(age_s) - mu) / (sigma * math.sqrt(2.0)))


# --- the parts ----------------------------------------------------------------------------------------


def _newest(layer: Layer) -> tuple[Sequence[Took], Sequence[float]]:
    """Leave out what is old. Those still running count while they are many beside those that are over.

    Later they must not: the times of whatever ended lately are a fair sample by themselves, and to it those
    that have just begun would add nothing but a wrong impression of length.
    """
    limit = max(NEWEST, 2 * len(layer.running_s))
    if len(layer.ended) <= limit:
        return layer.ended, layer.running_s
    return layer.ended[-limit:], ()


def _line(ended: Sequence[Took], running_s: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and spread of the logarithm; no spread from fewer than three times."""
    logs = [math.log(max(1e-3, took.middle_s)) for took in ended]
    points = [one for one in _plotted(logs, running_s) if RANKS[0] <= one[1] <= RANKS[1]]
    if len(points) < 3:
        return sum(logs) / len(logs), None
    xs = [x for x, _rank in points]
    zs = [NORMAL.inv_cdf(rank) for _x, rank in points]
    # A rank says the less, the nearer it is to either end: the variance of an order statistic.
    weights = [NORMAL.pdf(z) ** 2 / (rank * (1 - rank)) for z, (_x, rank) in zip(zs, points, strict=True)]
    total = sum(weights)
    x_mean = sum(w * x for w, x in zip(weights, xs, strict=True)) / total
    z_mean = sum(w * z for w, z in zip(weights, zs, strict=True)) / total
    square = sum(w * (z - z_mean) ** 2 for w, z in zip(weights, zs, strict=True))
    both = sum(w * (z - z_mean) * (x - x_mean) for w, z, x in zip(weights, zs, xs, strict=True))
    slope = both / square if square > 0 else 0.0
    # What was seen late by up to a poll's interval is spread by that: Sheppard's correction.
    blur = sum(((one.high_s - one.low_s) / max(1e-3, one.middle_s)) ** 2 for one in ended) / len(ended) / 12
    sigma = math.sqrt(max(SIGMA_MIN**2, slope**2 - min(blur, slope**2 / 2)))
    return x_mean - slope * z_mean, min(sigma, SIGMA_MAX)


def _plotted(logs: Sequence[float], running_s: Sequence[float]) -> list[tuple[float, float]]:
    """Return each time's logarithm with its rank: the share of requests that are over by then."""
    seen = [(x, False) for x in logs] + [(math.log(age_s), True) for age_s in running_s if age_s > 0]
    seen.sort()
    left, share, points = len(seen), 1.0, []
    for x, group in groupby(seen, key=lambda one: one[0]):
        alike = [running for _x, running in group]
        over = alike.count(False)
        if over:
            after = share * (1 - over / left)
            points += [(x, 1 - (share + after) / 2)] * over
            share = after
        left -= len(alike)
    return points


def _drawn(line: tuple[float, float | None], count: int, below: Durations, apart: float) -> Durations:
    """Draw an estimate towards what was known before."""
    mu, sigma = line
    variance = below.sigma**2
    if sigma is not None:
        variance = (count * sigma**2 + SIGMA_WEIGHT * variance) / (count + SIGMA_WEIGHT)
    weight = variance / apart**2  # samples that the layer below counts for, as to the mean
    mu = (count * mu + weight * below.mu) / (count + weight)
    return Durations(mu, min(SIGMA_MAX, max(SIGMA_MIN, math.sqrt(variance))))


def _first(payload: Payload, names: Sequence[str]) -> str:
    value: Any = next((payload[name] for name in names if name in payload), "")
    return str(value)
