"""How long requests took, as the state tables of this and other campaigns have it."""

from __future__ import annotations

import contextlib
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlite_utils import Database

from batchrunner.clock import utc_us
from batchrunner.errors import BatchrunnerError
from batchrunner.rules.durations import (
    APART_CARD,
    APART_NIGHTS,
    APART_SETTINGS,
    NEWEST,
    UNKNOWN,
    Durations,
    Layer,
    Setting,
    Took,
    learn,
    setting,
)
from batchrunner.store.database import maybe_readonly

CAMPAIGNS = 8  # other campaigns that are looked into, the newest first
TOOK = "took_s"  # in the evidence of a `ready` event: [low, high], see `Took`

LOOPBACK = re.compile(r"(//(?:127\.0\.0\.1|localhost)):\d+")  # the emulator has another port in each run

Seen = Mapping[Setting, Sequence[Took]]


@dataclass(frozen=True)
class History:
    """What finished requests tell, by setting, oldest first. `others` is of other campaigns."""

    own: Seen = field(default_factory=dict)
    others: Seen = field(default_factory=dict)
    prior: Durations = UNKNOWN

    def durations(
        self, what: Setting, running_s: Sequence[float] = (), newer: Sequence[Took] = ()
    ) -> Durations:
        """Return what is known of a setting.

        `running_s`: how long those that are not over are known to have run; `newer`: what this run has seen.
        """
        own = [*self.own.get(what, ()), *newer]
        return learn(
            (
                Layer(_beside(self.others, what), APART_CARD, "clips of the model in other campaigns"),
                Layer(self.others.get(what, ()), APART_SETTINGS, "like it in other campaigns", own=True),
                Layer(_beside(self.own, what), APART_SETTINGS, "of the model in this campaign"),
                Layer(own, APART_NIGHTS, "like it in this campaign", own=True, running_s=running_s),
            ),
            self.prior,
        )


def history(
    db: Database | None, others: Sequence[Path] = (), origin: str | None = None, prior: Durations = UNKNOWN
) -> History:
    """Read what a campaign's state table and those of other campaigns tell.

    `origin`: only requests to this provider count (its address as the attempts have it); None: any.
    Tables that cannot be read tell nothing. `prior`: what is thought where they have nothing to tell.
    """
    elsewhere: dict[Setting, list[Took]] = defaultdict(list)
    for path in reversed(others):  # the newest come last, as all else that is newer
        with contextlib.suppress(BatchrunnerError), maybe_readonly(path) as other:
            for what, took in _took(other, origin).items() if other is not None else ():
                elsewhere[what].extend(took)
    return History({} if db is None else _took(db, origin), dict(elsewhere), prior)


def neighbours(path: Path) -> list[Path]:
    """Return the state tables beside one, the newest first."""
    found = []
    with contextlib.suppress(OSError):
        found = [
            (one.stat().st_mtime, one)
            for one in path.parent.glob("*.db")
            if one.name != path.name and one.is_file() and not one.is_symlink()
        ]
    return [one for _at, one in sorted(found, reverse=True)[:CAMPAIGNS]]


def is_stand_in(origin: str) -> bool:
    """Tell whether a provider's address is on this machine: its pace is not the real one's."""
    return LOOPBACK.search(origin) is not None


def _beside(seen: Seen, what: Setting) -> list[Took]:
    """Return what is seen of the model in other settings."""
    return [took for one, some in seen.items() if one.model == what.model and one != what for took in some]


def _took(db: Database, origin: str | None) -> dict[Setting, list[Took]]:
    wanted = None if origin is None else LOOPBACK.sub(r"\1:*", origin.replace("[", "[[]"))
    rows = db.execute(
        """SELECT a.model, a.payload, a.accepted_at, a.ready_at,
                  (SELECT e.evidence FROM events e
                   WHERE e.job = a.job AND e.attempt = a.id AND e.kind = 'ready' LIMIT 1)
           FROM attempts a
           WHERE a.ready_at IS NOT NULL AND a.accepted_at IS NOT NULL AND (? IS NULL OR a.origin GLOB ?)
           ORDER BY a.id DESC LIMIT ?""",
        [wanted, wanted, NEWEST],
    ).fetchall()
    found: dict[Setting, list[Took]] = defaultdict(list)
    for model, payload, accepted, ready, evidence in reversed(rows):
        seen_s = (utc_us(ready) - utc_us(accepted)) / 1e6
        match json.loads(evidence or "{}").get(TOOK):
            case [int() | float() as low_s, int() | float() as high_s]:
                took = Took(low_s, high_s)
            case _:  # written by a version that did not note it
                took = Took(seen_s, seen_s)
        if took.tells:
            found[setting(model, json.loads(payload))].append(took)
    return dict(found)
