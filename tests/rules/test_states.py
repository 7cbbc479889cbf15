"""The table of moves: complete, and the same in the code, the design's words and the database."""

from __future__ import annotations

import itertools

import pytest

from batchrunner.errors import InvariantError
from batchrunner.rules.states import CLOSED, TRANSITIONS, EventKind, move
from batchrunner.values import AttemptState

# The moves of the design, written out once more by hand.
DESIGN = {
    "submitting": {"refused", "accepted", "unknown"},
    "unknown": {"accepted", "held", "waived"},
    "accepted": {"ready", "failed", "cancelled", "held"},
    "ready": {"fetched", "held"},
    "fetched": {"done"},
    "held": {"accepted", "waived", "cancelled"},
    "done": set(),
    "refused": set(),
    "failed": set(),
    "cancelled": set(),
    "waived": set(),
}


def test_the_moves_are_those_of_the_design() -> None:
    """No more and no fewer."""
    found: dict[str, set[str]] = {str(state): set() for state in AttemptState}
    for (source, _kind), target in TRANSITIONS.items():
        if source is not None:
            found[str(source)].add(str(target))

    assert found == DESIGN


@pytest.mark.parametrize(("state", "kind"), list(itertools.product([None, *AttemptState], EventKind)))
def test_every_pair_is_a_move_of_the_table_or_an_error(state: AttemptState | None, kind: EventKind) -> None:
    """What the table does not have is refused by name."""
    if (state, kind) in TRANSITIONS:
        assert move(state, kind) is TRANSITIONS[state, kind]
    else:
        with pytest.raises(InvariantError, match=str(kind)):
            move(state, kind)


def test_a_closed_attempt_never_opens_again() -> None:
    """From a closed state and from done, nothing leads anywhere."""
    assert not {source for source, _kind in TRANSITIONS} & (CLOSED | {AttemptState.DONE})
