"""What the loop asks the store to write: frozen values, applied together in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from batchrunner.rules.states import EventKind
from batchrunner.values import JSON, Attempt, AttemptState, JobState, Reason


@dataclass(frozen=True, slots=True)
class Intended:
    """A new attempt: durable before its POST. `detail`: why there will be none, where that is so."""

    attempt: Attempt
    at_us: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """A legal move of an attempt. `attempt` is its value after the move; `job` is what the job is then.

    `due_us` is when a job that is pending again may try next; `charged` whether it counts as paid.
    """

    attempt: Attempt
    source: AttemptState
    kind: EventKind
    at_us: int
    job: JobState
    detail: str = ""
    evidence: Mapping[str, JSON] = field(default_factory=dict)
    due_us: int | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """Something worth keeping that moved nothing."""

    kind: str
    at_us: int
    job: str | None = None
    attempt_id: int | None = None
    reason: Reason | None = None
    detail: str = ""
    evidence: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobRuled:
    """A job changes without an attempt: its picture cannot be had, or a person wants it tried again."""

    job: str
    state: JobState
    at_us: int
    kind: str
    reason: Reason | None = None
    detail: str = ""
    failures: int | None = None
    evidence: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """A local picture now has a public URL at `origin`."""

    origin: str
    account: str
    sha256: str
    public_url: str
    at_us: int


Change: TypeAlias = Intended | Moved | Noted | JobRuled | Stored
