"""The real state table, with two more places to die at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from batchrunner.rehearsal.world import Mind, World
from batchrunner.store.changes import Change, Intended, Moved
from batchrunner.store.left import Left
from batchrunner.store.tables import Store


class Table(Store):
    """The real state table; a runner may die just before and just after each of its commits."""

    def __init__(
        self, path: Path, world: World, mind: Mind, *, create: bool = False, left: Left | None = None
    ) -> None:
        super().__init__(path, create=create, left=left)
        self._world = world
        self._mind = mind

    def commit(self, changes: Sequence[Change]) -> None:
        """See `Store`."""
        self._world.step(self._mind, "about to commit")
        super().commit(changes)
        if self._world.story is not None:
            for change in changes:
                self._world.tell(f"runner {self._mind.number} wrote {_told(change)}")
        self._world.step(self._mind, "committed")


def _told(change: Change) -> str:
    match change:
        case Moved(attempt=one):
            id_ = f" {one.request_id}" if one.request_id else ""
            return f"{one.job} #{one.id}{id_}: {change.source} -> {one.state} ({change.kind}) {change.detail}"
        case Intended(attempt=one):
            return f"{one.job} #{one.id}: intent"
    return repr(change)
