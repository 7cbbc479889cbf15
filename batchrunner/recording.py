"""A campaign that is planned and written down: all that `plan --record` needs, and nothing that sends.

Apart from campaign.py, so that a plan need not wait for the engine and its libraries to load.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from batchrunner import __version__
from batchrunner.access import Access
from batchrunner.before import Before
from batchrunner.bills import Bill
from batchrunner.clock import Clock, SystemClock
from batchrunner.engine.gate import Bounds
from batchrunner.errors import LocalError
from batchrunner.manifest.expand import rows
from batchrunner.manifest.load import load
from batchrunner.providers.addresses import is_loopback
from batchrunner.store import reading
from batchrunner.store.left import Left
from batchrunner.store.lock import runner_lock
from batchrunner.store.place import check_place
from batchrunner.store.runs import RECORDED
from batchrunner.store.tables import Store
from batchrunner.values import JobRow, Limits


class Recording(Before):
    """A campaign as far as it can go without a provider; the arguments are those of `Campaign`."""

    def __init__(
        self,
        manifest: Path | str,
        *,
        state: Path | str | None = None,
        output: Path | str | None = None,
        in_flight: int | None = None,
        bounds: Bounds | None = None,
        access: Access | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._access = access or Access()
        self.manifest_path = Path(manifest)
        self.manifest, self.card = load(self.manifest_path, far=not is_loopback(self._access.base_url))
        self._state = Path(state or "state")
        self._outputs = Path(output or self.manifest.output_folder or "outputs")
        self._in_flight = in_flight
        self._bounds = bounds or Bounds()
        self._clock = clock or SystemClock()

    @property
    def output_path(self) -> Path:
        """The folder of this campaign's clips."""
        return self._outputs / self.name

    @property
    def _origin(self) -> str:
        """The provider's address; the emulator has another port in each run, which does not matter."""
        return self._access.base_url if self.manifest.provider == "gmi" else "http://127.0.0.1:0"

    def record(self) -> None:
        """Write the jobs into the state table, which is made where it is not there. Nothing is sent.

        Raises:
            UsageError: the campaign was begun with another provider.
            LockedError: another runner has this campaign.
            LocalError: the state table cannot be written.
        """
        make_folder(self._state, 0o700)
        check_place(self._state)
        with runner_lock(self.state_path.with_suffix(".lock"), self._clock) as lock:
            with self._store(RECORDED, lock.left) as store:
                # A table that has forgotten something must look so to the next run too, one epoch later.
                lock.note(store.epoch if store.epoch > lock.epoch else lock.epoch + 1)
            lock.leave(self.state_path)

    @contextlib.contextmanager
    def _store(self, kind: str, left: Left | None, bill: Bill | None = None) -> Iterator[Store]:
        if bill is not None:
            self.check_bill(bill)  # another run came between the first look and the lock
        store = self._open(left)
        try:
            if (row := reading.campaign(store.db)) is not None:
                self.check_provider(store.db, row["provider"])
            store.record(
                self.manifest,
                self.card.sha256,
                self._rows,
                output_folder=self.output_path.absolute(),
                version=__version__,
                now_us=self._clock.now_us(),
                card_text=self.card.text,
                kind=kind,
                budget_micros=self._limits().budget_micros,
            )
            yield store
        finally:
            store.close()

    def _open(self, left: Left | None) -> Store:
        return Store(self.state_path, left=left)

    def _rows(self) -> Iterator[JobRow]:
        return rows(self.manifest, self.card)

    def _limits(self) -> Limits:
        limits, budget = self.manifest.limits, self._bounds.budget_micros
        return replace(
            limits,
            in_flight=self._in_flight or limits.in_flight,
            budget_micros=limits.budget_micros if budget is None else budget,
        )


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder and its parents where they are missing, and see that files can be made in it.

    Raises:
        LocalError: it cannot be made, or nothing can be written there; the text names folder and cause.
    """
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        probe = folder / f".batchrunner-{os.getpid()}"
        probe.touch(mode=0o600, exist_ok=False)
        probe.unlink()
    except OSError as error:
        loose = next(
            (one for one in (folder, *folder.parents) if one.is_symlink() and not one.exists()), None
        )
        why = f"{loose} is a link to {loose.readlink()}, which is not there" if loose else error.strerror
        raise LocalError(f"cannot write to the folder {folder}: {why}") from error
