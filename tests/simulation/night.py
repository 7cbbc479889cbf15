"""One schedule from its first run to its last: runners start, die, are taken over, and start again.

`play` is all that tests need: a schedule in, a report out. After the weather has calmed down the campaign is
run until nothing is left to do, and once more much later, so that whatever could come right has come right.
"""

from __future__ import annotations

import functools
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from batchrunner.engine.loop import Loop
from batchrunner.engine.progress import Progress
from batchrunner.engine.run import Tools
from batchrunner.engine.steps import Stop, Terms
from batchrunner.errors import BatchrunnerError, LockedError
from batchrunner.rehearsal.clips import Shelf
from batchrunner.rehearsal.line import Customer, Line
from batchrunner.rehearsal.provider import Provider
from batchrunner.rehearsal.schedule import Schedule
from batchrunner.rehearsal.table import Table
from batchrunner.rehearsal.world import Crash, Crew, EndlessError, Mind, Watch, World
from batchrunner.rules.polling import Schedule as Polling
from batchrunner.store import reading
from batchrunner.store.tables import Store
from tests.fakes import a_manifest
from tests.simulation import oracle

LIVES_MAX = 80
QUIET_S = 4_000.0  # longer than any request is late

PLENTY = 1 << 40  # bytes free on the disk


@dataclass(slots=True)
class Report:
    """What a schedule came to. Without a fault the first three are empty or 0."""

    wrongs: list[str] = field(default_factory=list)
    duplicates: int = 0
    lost: int = 0
    over_budget: int = 0
    steps: int = 0
    crashes: int = 0
    gambles_lost: int = 0
    jobs: dict[str, int] = field(default_factory=dict)
    posts: int = 0

    @property
    def bad(self) -> bool:
        """True when anything at all is wrong."""
        return bool(self.wrongs)


@dataclass(slots=True)
class Runner:
    """One process: what it knows, and its ticks."""

    mind: Mind
    store: Table
    ticks: Iterator[Progress]
    last: Progress | None = None


class Night:
    """One schedule being played over one state table."""

    def __init__(
        self, schedule: Schedule, folder: Path, crash_at: int | None, story: list[str] | None
    ) -> None:
        self.schedule = schedule
        self.folder = folder
        self.world = World(schedule, story)
        self.provider = Provider(self.world)
        self.shelf = Shelf(self.world)
        self.report = Report()
        self.kills = list(schedule.kills)
        self.world.crash_at = crash_at
        self._takeover = schedule.takeover
        self._runners = 0
        self._stores: list[Table] = []

    def play(self) -> Report:
        """Run until nothing is left to do."""
        quiet = 0
        for _ in range(LIVES_MAX):
            ended = self._live()
            if self.report.wrongs:
                break
            if ended is None:
                self.world.idle(self.world.rng.uniform(0.0, 300.0))
                continue
            quiet += self.world.calm
            if quiet == 2 or not self._work_left:
                self._finish(ended.stop)
                break
            self.world.idle(QUIET_S if quiet else self.world.rng.uniform(300.0, 3600.0))
        else:
            self.report.wrongs.append(f"not over after {LIVES_MAX} runs")
        self.report.steps, self.report.crashes = self.world.steps, self.world.crashes
        self.report.posts = self.provider.posts
        return self.report

    # --- runners --------------------------------------------------------------------------------------

    def _live(self) -> Progress | None:
        """Let one runner live, and perhaps another one beside it; None when it was killed."""
        try:
            return self._lived()
        finally:
            while self._stores:
                self._stores.pop().close()

    def _lived(self) -> Progress | None:
        if self.kills:
            self.world.crash_at = self.world.steps + self.kills.pop(0)
        runner: Runner | None = None
        try:
            runner = self._start()
            count = 0
            while self._tick(runner):
                count += 1
                if count == self._takeover:
                    self._takeover = 0
                    runner = self._take_over(runner)
        except Crash:
            runner = runner or self._half_made
            self.world.kill(runner.mind)
            if self.schedule.power_cuts:
                self.shelf.power_cut()
            self._check(runner)
            return None
        except (BatchrunnerError, EndlessError) as error:
            self._wrong(f"{type(error).__name__}: {error}")
            return None
        self._work_left = reading.has_work(runner.store.db)
        self.world.kill(runner.mind)
        self.world.crashes -= 1
        self._check(runner)
        return runner.last

    def _start(self) -> Runner:
        self._runners += 1
        world, schedule, mind = self.world, self.schedule, Mind(self._runners)
        store = Table(self.folder / "night.db", world, mind)
        self._stores.append(store)
        self._half_made = Runner(mind, store, iter(()))
        store.record(
            a_manifest(self.folder),
            "card",
            lambda: schedule.jobs,
            output_folder=self.folder,
            version="1",
            now_us=world.now_us(),
        )
        watch = Watch(world, mind)
        gmi = Customer(Line(self.provider, mind))
        rng = random.Random(f"{schedule.seed} runner {mind.number}")
        post, call, fetch, file = (Crew(world, mind, verb) for verb in ("post", "call", "fetch", "file"))
        tools = Tools(gmi, self.shelf, watch, rng, post, call, fetch, file, lambda: PLENTY)
        loop = Loop(store, tools, self._terms(), schedule.limits, {})
        world.tell(f"runner {mind.number} starts")
        self._half_made = Runner(mind, store, loop.run())
        return self._half_made

    def _terms(self) -> Terms:
        return Terms(
            attempts=3,
            schedule=Polling(first_s=10.0, growth=2.0, cap_s=120.0),
            queued_s=1800.0,
            wait_s=21600.0,
            submit_timeout_s=180.0,
            recovery=self.schedule.recovery,
        )

    def _tick(self, runner: Runner) -> bool:
        """Take one runner a tick further; False when it has ended."""
        try:
            runner.last = next(runner.ticks)
        except StopIteration:
            return False
        self._check_money(runner)
        return True

    def _take_over(self, old: Runner) -> Runner:
        """Stop a runner as a suspended laptop does, start another one beside it, then wake the first."""
        self.world.tell(f"runner {old.mind.number} falls asleep")
        old.mind.asleep = True
        new = self._start()
        for _ in range(self.world.rng.randint(1, 12)):
            if not self._tick(new):
                break
        self.world.tell(f"runner {old.mind.number} wakes up")
        try:
            for _ in range(20):
                if not self._tick(old):
                    break
        except LockedError:
            self.world.tell(f"runner {old.mind.number} sees that it was taken over")
        self.world.kill(old.mind)
        self.world.crashes -= 1
        old.store.close()
        return new

    # --- checks ---------------------------------------------------------------------------------------

    def _check_money(self, runner: Runner) -> None:
        """After every tick that wrote: the books are the table's, and within the budget."""
        last = runner.last
        if last is not None and not last.changes:
            return
        spent, reserved = reading.money(runner.store.db)
        if last is not None and not runner.mind.asleep:
            told = (last.spent_micros, last.reserved_micros)
            if told != (spent, reserved):
                self._wrong(f"the books say {told}, the table {(spent, reserved)}")
        budget = self.schedule.limits.budget_micros
        if budget is not None and spent + reserved > budget:
            self.report.over_budget = 1
            self._wrong(f"{spent} spent and {reserved} reserved, over the budget of {budget}")

    def _check(self, runner: Runner) -> None:
        found = oracle.check(self.schedule, self.provider, self.shelf, runner.store.db)
        self.report.duplicates += found.duplicates
        self.report.lost += found.lost
        self.report.gambles_lost = max(self.report.gambles_lost, found.gambles_lost)
        for wrong in found.wrongs:
            self._wrong(wrong)

    def _finish(self, stop: Stop | None) -> None:
        store = Store(self.folder / "night.db")
        try:
            found = oracle.check_end(self.provider, store.db, out_of_budget=stop is Stop.BUDGET)
            self.report.lost += found.lost
            self.report.wrongs.extend(found.wrongs)
            totals = reading.totals(store.db)
            self.report.jobs = {str(state): count for state, count in totals.jobs.items() if count}
        finally:
            store.close()

    def _wrong(self, what: str) -> None:
        self.world.tell(f"WRONG: {what}")
        self.report.wrongs.append(what)


def play(schedule: Schedule, *, crash_at: int | None = None, story: list[str] | None = None) -> Report:
    """Play one schedule; `crash_at` kills at one more step, `story` receives what happens."""
    folder = _home() / "night"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "night.db").write_bytes(_empty_table())
    return Night(schedule, folder, crash_at, story).play()


@functools.cache
def _home() -> Path:
    """Return a folder of this process, in memory where the machine has such a place: fsync is then free."""
    memory = Path("/dev/shm")  # a few hundred kB
    home = tempfile.TemporaryDirectory(prefix="simulation-", dir=memory if memory.is_dir() else None)
    _homes.append(home)  # removed when the process ends
    return Path(home.name)


_homes: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def _empty_table() -> bytes:
    """Return a new state table: making one takes longer than all else in a schedule."""
    path = _home() / "empty.db"
    Store(path).close()
    return path.read_bytes()
