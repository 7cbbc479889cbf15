"""The public face: one campaign, its plan, its run, its status. The command line uses nothing else."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from batchrunner import __version__
from batchrunner.access import Access, check_access, reached
from batchrunner.bills import Bill
from batchrunner.clock import Clock
from batchrunner.engine.gate import Bounds
from batchrunner.engine.loop import Loop
from batchrunner.engine.outcome import Ended
from batchrunner.engine.outlook import Outlook
from batchrunner.engine.pool import SUBMITTERS_MAX, Workers
from batchrunner.engine.progress import Progress, Tally
from batchrunner.engine.run import Tools
from batchrunner.engine.steps import Stop
from batchrunner.engine.sweep import WATCH_US
from batchrunner.equipment import equipped, local_pictures, setup_of, terms_of
from batchrunner.errors import CredentialsError, LocalError, LockedError, OutageError, UsageError
from batchrunner.manifest.expand import count, expand
from batchrunner.planning import ToPay, is_priced, to_pay
from batchrunner.presence import look
from batchrunner.recording import Recording, make_folder
from batchrunner.runlog import RunLog
from batchrunner.standing import Status, read_status
from batchrunner.store import reading
from batchrunner.store.lock import Lock, runner_lock
from batchrunner.store.lost import is_watching
from batchrunner.store.place import check_place
from batchrunner.store.runs import BROKE_OFF, end_of_run, last_event
from batchrunner.store.tables import Store
from batchrunner.values import Job

IN_TIME = frozenset({Stop.DEADLINE, Stop.ENOUGH})  # ends after which it is told how long the rest takes


class Campaign(Recording):
    """One campaign: a manifest, its state table and its output folder.

    Args:
        manifest: the YAML file.
        state: folder of state tables, default `state/`.
        output: folder of outputs; default: what the manifest says, else `outputs/`.
        in_flight: overrules `limits.in_flight`.
        bounds: a deadline, a budget or a number of jobs for this run alone.
        access: the provider's key and address; the embedded emulator needs none.
        workers: how many threads make calls; default: by the in-flight limit.
        decode: decode each clip once before it counts, where the extra `media` is installed.
        clock, rng: time and chance, for tests.

    Raises:
        ManifestError: the manifest is wrong; every problem is in it.
        UsageError: the model or a file is not there.
    """

    def __init__(
        self,
        manifest: Path | str,
        *,
        state: Path | str | None = None,
        output: Path | str | None = None,
        in_flight: int | None = None,
        bounds: Bounds | None = None,
        access: Access | None = None,
        workers: Workers | None = None,
        decode: bool = True,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(
            manifest,
            state=state,
            output=output,
            in_flight=in_flight,
            bounds=bounds,
            access=access,
            clock=clock,
        )
        self._workers = workers
        self._decode = decode
        self._rng = rng or random.Random()  # noqa: S311 - spreads waits, guards nothing
        self._loop: Loop | None = None
        self._wished: Callable[[Loop], None] | None = None  # a stop that came before there was a loop
        self._lock: Lock | None = None
        self._held: tuple[Bill, int] | None = None  # the plan that was found to hold, and at which event

    @property
    def log_path(self) -> Path:
        """The log of the runs, one JSON object a line; older parts lie beside it."""
        return self._state / f"{self.name}.log.jsonl"

    @property
    def budget_micros(self) -> int | None:
        """What this run may spend in all, in micro-dollars; None: no limit."""
        return self._limits().budget_micros

    def outlook(self) -> Outlook | None:
        """Tell when the run that goes on will be over, and what all will have cost; None: there is none."""
        return self._loop.outlook() if self._loop is not None else None

    # --- questions ------------------------------------------------------------------------------------

    def to_pay(self) -> ToPay:
        """Tell what a run may still pay, within its budget and its bounds: quicker than a plan.

        Raises:
            LocalError: the state table cannot be read.
        """
        budget, most = self._limits().budget_micros, self._bounds.max_new
        with self._recorded() as db:
            due = to_pay(self.manifest, self.card, db, __version__)
            return due.within(budget, sum(reading.money(db)) if db else 0).first(most)

    def jobs(self) -> Iterator[Job]:
        """Yield every job of the manifest with its exact payload. Nothing is read but the manifest."""
        return expand(self.manifest, self.card)

    def status(self) -> Status:
        """Tell how the campaign stands.

        Raises:
            LocalError: there is no state table, or it cannot be read.
        """
        return read_status(self._state, self.name)

    def size(self) -> int:
        """Return how many jobs the manifest makes."""
        return count(self.manifest, self.card)

    # --- the run --------------------------------------------------------------------------------------

    def check(self) -> None:
        """See that a run could begin at all.

        Raises:
            CredentialsError: there is no key.
            UsageError: there is a budget and no price.
        """
        check_access(self.manifest.provider, self._access)
        self.check_price()

    def check_price(self) -> None:
        """See that a budget can be kept to.

        Raises:
            UsageError: there is a budget and no price.
        """
        if self._limits().budget_micros is not None and not is_priced(self.manifest, self.card):
            raise UsageError(
                f"there is a budget, but no price of {self.card.id} is known: add `price:` to the manifest"
            )

    def check_bill(self, bill: Bill) -> str:
        """See that a saved plan still holds, as `Before.check_bill` tells.

        A `run` looks again only where something was written into the state table since.
        """
        written = self._written()
        note = super().check_bill(bill)
        self._held = (bill, written)
        return note

    def run(
        self, on_progress: Callable[[Progress], None] | None = None, *, bill: Bill | None = None
    ) -> Ended:
        """Work until every job is done or something stands in the way. Call it again to go on.

        `on_progress` is called after every tick, in this thread. `bill`: a saved plan, which must still hold.

        Raises:
            CredentialsError: there is no key.
            UsageError: the saved plan holds no more; nothing was sent.
            LockedError: another runner has this campaign.
            LocalError: the state table or the output folder cannot be written.
            InvariantError: a bug.
        """
        written = self._written()
        if bill is not None and self._held != (bill, written):
            self.check_bill(bill)
        self.check()
        make_folder(self._state, 0o700)
        check_place(self._state)
        with runner_lock(self.state_path.with_suffix(".lock"), self._clock) as self._lock:
            lock = self._lock
            with self._store("run", lock.left, None if self._written() == written else bill) as store:
                try:
                    ended = self._run(store, lock, on_progress, bill.path if bill else self.manifest_path)
                except (CredentialsError, LocalError, OutageError, UsageError) as error:
                    self._leave_word(store, error.exit_code, BROKE_OFF, str(error))
                    raise
            lock.leave(self.state_path)
            return ended

    def _run(
        self, store: Store, lock: Lock, on_progress: Callable[[Progress], None] | None, manifest: Path
    ) -> Ended:
        started_s = self._clock.elapsed_s()
        rolled_back = store.epoch <= lock.epoch
        lock.note(max(lock.epoch, store.epoch))  # first: a run that is killed leaves word too
        last = self._work(store, rolled_back, on_progress) if self._has_work(store) else None
        self._wished = None  # it was meant for this run
        if last is not None and last.stop is None:
            lock.note(store.epoch)  # lower only once what was forgotten has been looked for
        there = look(self.output_path, store, self._clock.now_us() * 1000)
        ended = Ended(
            campaign=self.name,
            stop=last.stop if last else None,
            detail=last.detail if last else "",
            tally=last.tally if last else Tally(),
            totals=reading.totals(store.db),
            held=tuple(reading.held_jobs(store.db)),
            failed=tuple(reading.failed_jobs(store.db, limit=5)),
            elapsed_s=self._clock.elapsed_s() - started_s,
            output=self.output_path,
            manifest=manifest,
            missing=there.missing,
            rest_s=self._loop.rest_s() if last and self._loop and last.stop in IN_TIME else None,
            to_finish_micros=reading.pending_cost(store.db),
            limits_found=last.limits_found if last else {},
            idle=last is None and store.as_recorded and there.steady,
        )
        stop = str(ended.stop) if ended.stop else None
        self._leave_word(store, ended.exit_code, stop, ended.detail, ended.next_step)
        return ended

    def _leave_word(
        self, store: Store, code: int, stop: str | None, detail: str, next_step: str = ""
    ) -> None:
        """Write down how a run ended, where that can be written: it must not change how it ended."""
        with contextlib.suppress(LocalError, LockedError):
            store.commit([end_of_run(self._clock.now_us(), code, stop, detail, next_step)])

    def stop(self) -> None:
        """Start nothing new; end as soon as the POSTs on the wire are answered. Safe in a signal handler."""
        self._wish(lambda loop: loop.stop(Stop.SIGNAL))

    def abort(self) -> None:
        """End at once; a POST on the wire will be looked for by the next run. Safe in a signal handler."""
        self._wish(Loop.abort)

    def _wish(self, wish: Callable[[Loop], None]) -> None:
        self._wished = wish  # noted first: the loop may come to be just now
        if self._loop is not None:
            wish(self._loop)

    def _written(self) -> int:
        """Return the newest event of the state table: every change of a job, also by hand, writes one."""
        with self._recorded() as db:
            return last_event(db) if db else 0

    def _has_work(self, store: Store) -> bool:
        return reading.has_work(store.db) or is_watching(store.db, self._clock.now_us() - WATCH_US)

    def _work(
        self, store: Store, rolled_back: bool, on_progress: Callable[[Progress], None] | None
    ) -> Progress | None:
        make_folder(self.output_path, 0o755)
        last: Progress | None = None
        with self._equipped() as tools:
            pictures = local_pictures(self.manifest)
            terms, limits = terms_of(self.manifest, self.card, self._prior()), self._limits()
            self._loop = Loop(
                store, tools, terms, limits, pictures, rolled_back=rolled_back, bounds=self._bounds
            )
            if self._wished is not None:
                self._wished(self._loop)
            with RunLog(self.log_path, store.epoch) as log:
                log.say(
                    self._clock.now_us(), "run", {"version": __version__, "manifest": self.manifest.sha256}
                )
                for last in self._loop.run():
                    log.tick(last)
                    if on_progress is not None:
                        on_progress(last)
                if last is not None:
                    jobs = {str(state): number for state, number in last.jobs.items()}
                    ended = {"stop": last.stop, "detail": last.detail, "jobs": jobs}
                    log.say(self._clock.now_us(), "end", ended | {"spent_usd": last.spent_micros / 1e6})
        return last

    @contextlib.contextmanager
    def _equipped(self) -> Iterator[Tools]:
        """Give all that a run works with outside; a rehearsal has other tools."""
        emulator = self._state / f"{self.name}.emulator"
        workers = self._workers or Workers(min(self._limits().in_flight, SUBMITTERS_MAX))
        with reached(self.manifest.provider, self._access, emulator) as (provider, _http):
            setup = setup_of(
                self.manifest, self.card, provider.origin, self.output_path, workers, decode=self._decode
            )
            with equipped(
                provider, setup, workers, self._clock, self._rng, state=self._state, lock=self._lock
            ) as tools:
                yield tools
