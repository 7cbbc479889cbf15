"""Knowing a job's request by its payload, as the provider's list shows it.

Number types and Unicode forms do not count, nor does the order of keys. An echo that agrees with a job as
far as it goes, but has fewer or more keys, is vague: it may be that job's request, or another's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

from batchrunner.rules.matching import normal
from batchrunner.values import JSON, UPLOAD, Payload

FORMS_MAX = 64  # a bound on what a job's pictures, each uploaded several times, may combine to


@dataclass(frozen=True, slots=True)
class Sought:
    """A job by what it sends. `forms`: every payload it was or may be sent as; `cost_micros` of one try."""

    id: str
    model: str
    forms: tuple[Payload, ...]
    cost_micros: int


def folded(model: str, payload: Payload) -> str:
    """Return one text for all payloads that mean the same."""
    return json.dumps([model, normal(dict(payload))], sort_keys=True, default=_number)


def forms(payload: Payload, uploads: Mapping[str, Sequence[str]]) -> Iterator[Payload]:
    """Yield a payload with its local pictures replaced by every public URL that each has had, by content."""
    places = {
        key: uploads.get(value.removeprefix(UPLOAD).partition(".")[0], ())
        for key, value in payload.items()
        if isinstance(value, str) and value.startswith(UPLOAD)
    }
    for urls in islice(product(*places.values()), FORMS_MAX):
        yield {**payload, **dict(zip(places, urls, strict=True))}


class Forms:
    """All payloads of all jobs, found by an echo."""

    def __init__(self, jobs: Iterable[Sought]) -> None:
        self._jobs: dict[str, list[Sought]] = defaultdict(list)
        self._shapes: dict[tuple[str, frozenset[str]], list[Payload]] = defaultdict(list)
        self._parts: dict[tuple[str, frozenset[str], frozenset[str]], set[str]] = {}
        for job in jobs:
            for form in job.forms:
                same = self._jobs[folded(job.model, form)]
                if job not in same:
                    same.append(job)
                self._shapes[job.model, frozenset(form)].append(form)

    def jobs(self, model: str, echo: Payload) -> Sequence[Sought]:
        """Return the jobs that send exactly this."""
        return self._jobs.get(folded(model, echo), ())

    def vague(self, model: str, echo: Payload | None) -> bool:
        """Tell whether an echo that is no job's payload may still stand for one."""
        if not echo:
            return True
        shown = frozenset(echo)
        return any(
            shape & shown and _part(model, echo, shape & shown) in self._part(model, shape, shape & shown)
            for of_model, shape in self._shapes
            if of_model == model and (shape < shown or shown < shape)
        )

    def _part(self, model: str, shape: frozenset[str], keys: frozenset[str]) -> set[str]:
        """Return what the payloads of one shape say under some keys; remembered, since echoes are alike."""
        wanted = (model, shape, keys)
        if wanted not in self._parts:
            self._parts[wanted] = {_part(model, form, keys) for form in self._shapes[model, shape]}
        return self._parts[wanted]


def _part(model: str, payload: Payload, keys: frozenset[str]) -> str:
    return folded(model, {key: payload[key] for key in keys})


def _number(value: object) -> JSON:
    return {"number": str(value)}  # a Decimal, which JSON does not know
