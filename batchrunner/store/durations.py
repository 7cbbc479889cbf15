"""How long jobs took, as the state table has it."""

from __future__ import annotations

from sqlite_utils import Database

from batchrunner.clock import utc_us

SAMPLES = 200  # the newest ones: a provider is not as fast tonight as it was last month
ENOUGH = 5  # fewer say nothing


def lasted_s(db: Database) -> list[float]:
    """Return the seconds from submission to a finished render of the newest attempts, shortest first."""
    rows = db.execute(
        """SELECT submitted_at, ready_at FROM attempts WHERE state = 'done' AND ready_at IS NOT NULL
           ORDER BY id DESC LIMIT ?""",
        [SAMPLES],
    ).fetchall()
    return sorted((utc_us(ready) - utc_us(submitted)) / 1e6 for submitted, ready in rows)


def likely_s(db: Database, share: float = 0.95) -> float | None:
    """Return within how many seconds a share of the jobs was rendered; None where too few were."""
    lasted = lasted_s(db)
    return lasted[min(len(lasted) - 1, int(share * len(lasted)))] if len(lasted) >= ENOUGH else None
