"""How the jobs of a plan spread: by image, by prompt, by the parameters that vary."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from batchrunner.cards import Card
from batchrunner.values import JSON, Job, Payload, canonical


@dataclass(frozen=True, slots=True)
class Group:
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
        self._images: dict[str, list[int]] = {}
        self._prompts: dict[str, list[int]] = {}
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
        cost = pay * (cost_micros or 0)
        for row in (
            self._images.get(image) or self._images.setdefault(image, [0, 0, 0]),
            self._prompts.get(prompt) or self._prompts.setdefault(prompt, [0, 0, 0]),
            self._last,
        ):
            row[0] += jobs
            row[1] += pay
            row[2] += cost

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
        return Spread(
            {name: _group(told, priced) for name, told in self._images.items() if name},
            {name: _group(told, priced) for name, told in self._prompts.items()},
            settings,
        )


def _group(told: Iterable[int], priced: bool) -> Group:
    jobs, to_submit, cost = told
    return Group(jobs, to_submit, cost if priced else None)
