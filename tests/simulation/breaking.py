"""Breaking one rule of the protocol for a while: what a mutant is, and the list of all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from batchrunner.engine.steps import Step
from batchrunner.rules.states import EventKind
from batchrunner.store.changes import Moved
from batchrunner.values import Attempt, AttemptState, JobState, Reason

Patch = tuple[Any, str, Any]
MUTANTS: dict[str, Callable[[], list[Patch]]] = {}


def mutant(make: Callable[[], list[Patch]]) -> Callable[[], list[Patch]]:
    """Enter a mutant into the list."""
    MUTANTS[make.__name__] = make
    return make


@contextlib.contextmanager
def applied(name: str) -> Iterator[None]:
    """Break one rule for a while; a patch is an owner (module, class or dict), a name, and its new value."""
    with contextlib.ExitStack() as undo:
        for owner, key, value in MUTANTS[name]():
            if isinstance(owner, dict):
                undo.callback(owner.__setitem__, key, owner[key])
                owner[key] = value
            else:
                undo.callback(setattr, owner, key, owner.__dict__[key])
                setattr(owner, key, value)
        yield


def again(attempt: Attempt, now_us: int, kind: EventKind) -> Step:
    """Close an attempt as if it had come to nothing, and let its job be submitted again."""
    state = AttemptState.REFUSED if attempt.state is AttemptState.SUBMITTING else AttemptState.FAILED
    closed = replace(attempt, state=state, cost_micros=0, reason=Reason.TRANSIENT)
    return Step(closed, (Moved(closed, attempt.state, kind, now_us, JobState.PENDING, "mutant", {}, now_us),))
