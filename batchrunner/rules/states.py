"""The life of one attempt: every legal move, in one table.

An attempt is one paid try at a job. Two things make it dangerous. The POST that begins it costs money and
cannot be repeated safely; and the answer to that POST can be lost. So:

* An attempt starts in `submitting`, and that row is durable before the socket opens. From there the
  evidence of the POST decides: the provider said no (or the request never left) -> `refused`; it said yes
  and gave an id -> `accepted`; anything else, a crash included -> `unknown`.
* `unknown` is never sent again. It is looked for in the provider's list. Found, it becomes `accepted`, as
  if the answer had not been lost. What cannot be found waits for a person (`held`), unless the manifest
  allows a bounded gamble (`waived`).
* From `accepted` on only free, repeatable calls follow: poll, fetch, rename. Whatever goes wrong there
  is tried again or held, and never paid for again.
* An attempt leaves the set of open attempts only by the provider's own word (`refused`, `failed`,
  `cancelled`) or by a decision with an author (`waived`, `cancelled`). A job may have one open attempt,
  so it can never be submitted again while its fate is open.

The database obeys the same table: store/schema.py writes it into `transitions` and refuses the rest.
"""

from __future__ import annotations

from enum import StrEnum

from batchrunner.errors import InvariantError
from batchrunner.values import AttemptState, JobState

UNSENT = "nothing was sent for it"  # detail of `interrupted`, where a request was there before the attempt


class EventKind(StrEnum):
    """What happened to an attempt, as the events table has it."""

    INTENT = "intent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NEVER_LEFT = "never left"
    UNCLEAR = "unclear"
    INTERRUPTED = "interrupted"
    FOUND = "found"
    GAVE_UP = "gave up"
    REOPENED = "reopened"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    FETCHED = "fetched"
    UNFETCHABLE = "unfetchable"
    PUBLISHED = "published"
    WAIVED = "waived"
    ABANDONED = "abandoned"


_S = AttemptState
_K = EventKind

TRANSITIONS: dict[tuple[AttemptState | None, EventKind], AttemptState] = {
    (None, _K.INTENT): _S.SUBMITTING,
    (_S.SUBMITTING, _K.ACCEPTED): _S.ACCEPTED,
    (_S.SUBMITTING, _K.REFUSED): _S.REFUSED,
    (_S.SUBMITTING, _K.NEVER_LEFT): _S.REFUSED,
    (_S.SUBMITTING, _K.UNCLEAR): _S.UNKNOWN,
    (_S.SUBMITTING, _K.INTERRUPTED): _S.UNKNOWN,
    (_S.UNKNOWN, _K.FOUND): _S.ACCEPTED,
    (_S.UNKNOWN, _K.GAVE_UP): _S.HELD,
    (_S.UNKNOWN, _K.WAIVED): _S.WAIVED,
    (_S.ACCEPTED, _K.READY): _S.READY,
    (_S.ACCEPTED, _K.FAILED): _S.FAILED,
    (_S.ACCEPTED, _K.CANCELLED): _S.CANCELLED,
    (_S.ACCEPTED, _K.GAVE_UP): _S.HELD,
    (_S.READY, _K.FETCHED): _S.FETCHED,
    (_S.READY, _K.UNFETCHABLE): _S.HELD,
    (_S.FETCHED, _K.PUBLISHED): _S.DONE,
    (_S.HELD, _K.FOUND): _S.ACCEPTED,
    (_S.HELD, _K.REOPENED): _S.ACCEPTED,
    (_S.HELD, _K.WAIVED): _S.WAIVED,
    (_S.HELD, _K.ABANDONED): _S.CANCELLED,
}

# A job may try again once its attempt is in one of these; in any other state the attempt is open.
CLOSED = frozenset({_S.REFUSED, _S.FAILED, _S.CANCELLED, _S.WAIVED})

# States in which a request may be running, or be waiting to run, at the provider.
IN_FLIGHT = frozenset({_S.SUBMITTING, _S.UNKNOWN, _S.ACCEPTED})

# States in which the program still has something to do by itself.
LIVE = IN_FLIGHT | {_S.READY, _S.FETCHED}

# What a job is while its newest attempt is in a state that does not leave the choice to a retry rule.
JOB_STATE: dict[AttemptState, JobState] = {
    **dict.fromkeys(LIVE, JobState.ACTIVE),
    _S.DONE: JobState.DONE,
    _S.HELD: JobState.HELD,
}


def move(state: AttemptState | None, kind: EventKind) -> AttemptState:
    """Return the state that `kind` leads to from `state` (None: there is no attempt yet).

    Raises:
        InvariantError: the table has no such move; nothing may be written.
    """
    try:
        return TRANSITIONS[state, kind]
    except KeyError:
        raise InvariantError(f"illegal move: '{kind}' in state '{state}'") from None
