"""How the jobs of a plan spread: by image, by prompt, by the parameters that vary."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from batchrunner.cards import Card
from batchrunner.values import JSON, Job, Payload, canonical


class Group(NamedTuple):
    """The jobs that have one thing in common. Money in micro-dollars; None where a price is not known."""

    jobs: int
    to_submit: int
    cost_micros: int | None  # of what is still to be submitted

    def as_json(self) -> dict[str, Any]:
        """Return the fields as `plan --json` shows them; money in dollars."""
        cost = None if self.cost_micros is None else self.cost_micros / 1e6
        return {"jobs": self.jobs, "to_submit": self.to_submit, "cost": cost}


@dataclass(frozen=True, slots=True)
class Setting:
    """The jobs with the same values of all parameters that vary in this manifest, as they are sent."""

    parameters: Mapping[str, JSON]
    group: Group

    @property
    def words(self) -> str:
        """The values in one line."""
        return ", ".join(
            f"{name} {value if isinstance(value, str) else canonical(value)}"
            for name, value in self.parameters.items()
        )


@dataclass(frozen=True, slots=True)
class Spread:
    """All groups, in the manifest's order; `settings` is empty where no parameter varies.

    So is `images` where the model takes none.
    """

    images: Mapping[str, Group]
    prompts: Mapping[str, Group]
    settings: tuple[Setting, ...]


class Tally:
    """Counts jobs as they stream by; holds one row for each image, prompt and setting, not for each job."""

    def __init__(self, card: Card) -> None:
        self._fields = tuple(card.parameters["properties"])
        self._images: dict[str, Group] = {}
        self._prompts: dict[str, Group] = {}
        self._settings: dict[Hashable, list[int]] = {}
        self._values: dict[Hashable, tuple[JSON, ...]] = {}
        self._last_payload: Payload | None = None
        self._last: list[int] = []

    def add(self, job: Job, *, pays: bool) -> None:
        """Count one job; `pays`: it is still to be submitted."""
        self.add_some(job.image, job.prompt, job.payload, job.cost_micros, 1, int(pays))

    def add_some(
        self, image: str, prompt: str, payload: Payload, cost_micros: int | None, jobs: int, pay: int
    ) -> None:
        """Count jobs that differ in take and seed only, of which so many are still to be submitted."""
        if payload is not self._last_payload:  # the settings of a plan are shared by many of its places
            self._last_payload, self._last = payload, self._setting(payload)
        more = Group(jobs, pay, pay * (cost_micros or 0))
        for groups, name in ((self._images, image), (self._prompts, prompt)):
            had = groups.get(name)
            groups[name] = more if had is None else _sum(had, more)
        last = self._last
        last[0] += jobs
        last[1] += pay
        last[2] += pay * (cost_micros or 0)

    def _setting(self, payload: Payload) -> list[int]:
        """Return the row of the jobs with the same values of all parameters."""
        values = tuple(map(payload.get, self._fields))
        try:
            known = values in self._settings
            setting: Hashable = values
        except TypeError:  # a parameter that is a list
            setting = canonical(values)
            known = setting in self._settings
        if not known:
            self._settings[setting] = [0, 0, 0]
            self._values[setting] = values
        return self._settings[setting]

    def spread(self, *, priced: bool) -> Spread:
        """Return what was counted; `priced`: every job has a price."""
        rows = list(self._values.values())
        varied = [n for n in range(len(self._fields)) if any(row[n] != rows[0][n] for row in rows)]
        settings = tuple(
            Setting(
                {self._fields[n]: values[n] for n in varied if values[n] is not None},
                _group(self._settings[key], priced),
            )
            for key, values in self._values.items()
            if varied
        )
        images, prompts = (
            groups if priced else {name: one._replace(cost_micros=None) for name, one in groups.items()}
            for groups in (self._images, self._prompts)
        )
        return Spread({} if "" in images else images, prompts, settings)


def _sum(one: Group, other: Group) -> Group:
    cost = (one.cost_micros or 0) + (other.cost_micros or 0)
    return Group(one.jobs + other.jobs, one.to_submit + other.to_submit, cost)


def _group(told: Iterable[int], priced: bool) -> Group:
    jobs, to_submit, cost = told
    return Group(jobs, to_submit, cost if priced else None)
