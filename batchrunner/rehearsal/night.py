"""One night on the stage: the run starts, is killed and started again, until it ends by itself.

Who starts it again is whatever keeps it over night: the service of docs/overnight.md, or a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batchrunner.engine.outcome import Ended
from batchrunner.engine.progress import Progress
from batchrunner.engine.steps import Stop
from batchrunner.errors import InvariantError
from batchrunner.rehearsal import oracle
from batchrunner.rehearsal.clips import Shelf
from batchrunner.rehearsal.provider import Provider
from batchrunner.rehearsal.schedule import Schedule
from batchrunner.rehearsal.stage import Scene, Stage
from batchrunner.rehearsal.world import Crash, Mind, World
from batchrunner.store.database import open_readonly
from batchrunner.values import JobState

AGAIN_S = (60.0, 300.0)  # after which a run that was killed, or that an outage ended, is started again
OUTAGES_MAX = 5  # times that it is started again after an outage: as the service in docs/overnight.md
LIVES_MAX = 80


@dataclass(frozen=True, slots=True)
class Night:
    """How a night ended. Money in micro-dollars, `end_us` in microseconds UTC, `lasted_s` from the start."""

    exit_code: int
    stop: Stop | None
    jobs: Mapping[JobState, int]
    spent_micros: int  # and what is reserved for what is not settled
    lasted_s: float
    end_us: int
    crashes: int
    submissions: int
    found: int  # submissions whose answer was lost, found in the provider's list
    twice: int  # requests beside another one for the same clip: never, but for gambles
    gambled: int  # of these: `recovery.on_absent: resubmit` allowed it
    lost: int  # requests that stand at the provider and that nobody knows
    held: Mapping[str, int]  # by reason


def play(stage: Stage, schedule: Schedule, folder: Path, story: list[str] | None = None) -> Night:
    """Play one night in a folder of its own; `story` receives what happens.

    Raises:
        BatchrunnerError: as `Campaign.run`.
        InvariantError: a rule of the protocol did not hold: a bug.
    """
    world = World(schedule, story)
    scene = Scene(world, Provider(world), Shelf(world, folder / "outputs" / stage.name), folder)
    kills, found, outages = list(schedule.kills), 0, 0
    last: Progress | None = None

    def see(progress: Progress) -> None:
        nonlocal last
        last = progress

    for number in range(1, LIVES_MAX):
        world.crash_at = world.steps + kills.pop(0) if kills else None
        mind, last, ended = Mind(number), None, None
        stage.enter(scene, mind)
        try:
            ended = stage.run(see)
        except Crash:
            world.tell("the process is killed")
        found += last.tally.found + last.tally.swept if last else 0
        world.kill(mind)
        if ended is not None:
            world.crashes -= 1  # it went by itself
        elif schedule.power_cuts:
            scene.shelf.power_cut()
        checked = check(scene, stage)
        if ended is not None and (ended.stop is not Stop.OUTAGE or outages == OUTAGES_MAX):
            return _told(ended, scene, checked, found)
        outages += ended is not None
        world.idle(world.rng.uniform(*AGAIN_S))
    raise InvariantError(f"a night was not over after {LIVES_MAX} starts")


def check(scene: Scene, stage: Stage) -> oracle.Found:
    """Hold the provider's ledger against the state table.

    Raises:
        InvariantError: they disagree in what is neither counted nor allowed.
    """
    if not stage.state_path.exists():
        return oracle.Found()
    db = open_readonly(stage.state_path)
    try:
        found = oracle.check(scene.world.schedule, scene.provider, scene.shelf, db)
    finally:
        db.close()
    if found.wrongs and not (found.duplicates or found.lost):
        raise InvariantError(f"in a rehearsal: {found.wrongs[0]}")
    return found


def _told(ended: Ended, scene: Scene, checked: oracle.Found, found: int) -> Night:
    world, provider = scene.world, scene.provider
    return Night(
        exit_code=ended.exit_code,
        stop=ended.stop,
        jobs=ended.totals.jobs,
        spent_micros=ended.totals.spent_micros + ended.totals.reserved_micros,
        lasted_s=world.steady_s,
        end_us=world.now_us(),
        crashes=world.crashes,
        submissions=provider.posts,
        found=found,
        twice=checked.duplicates + checked.gambles_lost,
        gambled=checked.gambles_lost,
        lost=checked.lost,
        held=Counter(one.detail or one.reason for one in ended.held),
    )
