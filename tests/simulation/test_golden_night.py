"""One night with everything in it, and what a person reads in the morning.

240 jobs from 22:00 until 07:00: three kills, the provider away from 01:00 to 02:00, a key that is refused
from 04:00 and replaced at 04:40, and a machine that sleeps from 05:00 to 05:20. Some answers get lost.
The texts below are what a person should read, word for word. Counts and money in them come from the
provider's ledger and from the disk; lengths of time are read from the text, and checked by themselves.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from batchrunner.cli.report import page_after_run
from batchrunner.cli.run import end_lines
from batchrunner.cli.say import say
from batchrunner.engine.gate import Bounds
from batchrunner.rehearsal import oracle
from batchrunner.rehearsal.clips import Shelf
from batchrunner.rehearsal.night import check
from batchrunner.rehearsal.provider import Provider
from batchrunner.rehearsal.schedule import Schedule
from batchrunner.rehearsal.stage import Call, Scene, Stage
from batchrunner.rehearsal.weather import WEATHERS, draw
from batchrunner.rehearsal.world import Crash, Mind, World
from batchrunner.rules.hours import until_us
from batchrunner.standing import read_status
from batchrunner.store.database import open_readonly

JOBS, PRICE = 240, 0.15
MANIFEST = """\
version: 1
campaign: night
model: pixverse-v5.6-i2v
provider: gmi
seed: 7
takes: 3
images:
{images}
prompts:
  - {{id: push, text: "Slow push-in"}}
  - {{id: pan, text: "Pan left"}}
  - {{id: orbit, text: "Half an orbit"}}
  - {{id: still, text: "Nothing moves but the water"}}
limits: {{in_flight: 2, submits_per_minute: 30}}
"""
START_US = int(datetime(2026, 11, 23, 22, tzinfo=UTC).timestamp() * 1e6)
# From which hour on, and at which step: the POST has happened and its answer is not on record; a commit is
# about to be made; the intent is on record and the POST has not happened.
KILLS = (("23:00", "post happened"), ("00:10", "about to commit"), ("03:00", "post begun"))
KILLED = 137

AWAY = """\
night: {done} of 240 jobs done
  {pending:>3}  pending
{active_row}  {done:>3}  done
{held_row}  spent ${spent:.2f} in all, ${reserved:.2f} reserved for open ones
  this run: {sent} submissions, {fetched} downloads, {lasted}
{doubt}{held}  stopped: outage: no answer from the provider for {away}: {trouble}
clips: {folder}
when the provider answers again, go on with: batchrunner run {manifest}
"""
REFUSED = """\
night: {done} of 240 jobs done
  {pending:>3}  pending
{active_row}  {done:>3}  done
{held_row}  spent ${spent:.2f} in all, ${reserved:.2f} reserved for open ones
  this run: {sent} submissions, {fetched} downloads, {lasted}
{doubt}{held}  stopped: credentials: invalid api key
clips: {folder}
set a valid GMI_API_KEY, then go on with: batchrunner run {manifest}
"""
MORNING = """\
night: {done} of 240 jobs done
  {pending:>3}  pending
  {done:>3}  done
{held_row}  spent ${spent:.2f} in all, ${reserved:.2f} reserved for open ones
  this run: {sent} submissions, {fetched} downloads, {lasted}
  the machine was asleep for 20 min meanwhile
{doubt}{held}\
  stopped: deadline: a job begun {left} before 2026-11-24 07:00 may be late: it takes up to {likely}
clips: {folder}
{pending} jobs left, some {rest} at the pace of this run; go on with: batchrunner run {manifest}
"""
HELD = "  held  {job}: {why} ($0.15 at stake)\n"
RESOLVE = "        batchrunner resolve night {job} "
WAYS = (
    f"{RESOLVE}--adopt REQUEST_ID  # you found it in the provider's console: take it over, free\n"
    f"{RESOLVE}--resubmit  # it is not there: submit it again, which may pay twice\n"
    f"{RESOLVE}--abandon  # give it up: counts as spent\n"
)
ALIKE = "        settled as {job} is\n"


def hour_s(text: str) -> float:
    """Return an hour of this night in seconds from its beginning."""
    return (until_us(text, START_US, UTC) - START_US) / 1e6


@dataclass(frozen=True)
class Start:
    """One start of the command: when, how it ended, and what it printed; 137: it was killed.

    Of the ledger and the disk: `posts` of this start, how many jobs are `done` by now, and how many `open` at
    the provider. `lasted_s` is by the world's clock.
    """

    at: str
    code: int
    out: str
    posts: int
    done: int
    open: int
    lasted_s: float


class GoldenNight:
    """The night: started again five minutes after whatever ended it, as a service does."""

    def __init__(self, folder: Path) -> None:
        self.manifest = folder / "night.yaml"
        rows = "\n".join(f'  - {{id: i{n}, url: "https://example.com/{n}.png"}}' for n in range(1, 21))
        self.manifest.write_text(MANIFEST.format(images=rows), encoding="utf-8")
        bounds = Bounds(until_us=until_us("07:00", START_US, UTC), zone=UTC)
        nowhere = folder / "nothing learned"
        self.stage = Stage(Call(self.manifest, nowhere, "https://console.gmicloud.ai", bounds=bounds))
        self.world = World(self._schedule(), [])
        self.world.doom = self._is_killed_at
        self.provider = Provider(self.world)
        self.shelf = Shelf(self.world, folder / "outputs" / "night")
        self.scene = Scene(self.world, self.provider, self.shelf, folder)
        self.starts: list[Start] = []
        self.page = Path()
        self._kills = list(KILLS)

    def play(self) -> None:
        """Start it until it says that the time is up; after each end the ledger must agree."""
        while not self.starts or self.starts[-1].code not in {0, 10}:
            assert len(self.starts) < 12, [start.code for start in self.starts]
            self.starts.append(self._start())
            found = check(self.scene, self.stage)
            assert (found.wrongs, found.duplicates, found.lost) == ([], 0, 0)
            new_key_s = hour_s("04:40") - self.world.steady_s
            self.world.idle(new_key_s if self.starts[-1].code == 5 else 300.0)

    def attempts(self) -> list[dict[str, Any]]:
        """Return the attempts of the state table."""
        with contextlib.closing(open_readonly(self.stage.state_path)) as db:
            return oracle.attempts_of(db)

    def _start(self) -> Start:
        at = f"{datetime.fromtimestamp(self.world.now_us() / 1e6, UTC):%H:%M}"
        begun_s = self.world.steady_s
        mind, out = Mind(len(self.starts) + 1), io.StringIO()
        self.stage.enter(self.scene, mind)
        ended, code = None, KILLED
        with contextlib.suppress(Crash):
            ended = self.stage.run()
            code = ended.exit_code
        self.world.kill(mind)
        if ended is not None:
            self.world.crashes -= 1  # it went by itself
            with contextlib.redirect_stdout(out):
                for line in (*end_lines(ended), ended.next_step):
                    say(line)
            self.page = page_after_run(self.stage.state_path.parent, "night", ended, lambda: True) or Path()
        lasted_s, done = self.world.steady_s - begun_s, len(self.shelf.names)
        standing = sum(one.stands for one in self.provider.requests.values())
        posts = self.provider.posts_of[mind.number]
        return Start(at, code, out.getvalue(), posts, done, standing - done, lasted_s)

    def _is_killed_at(self, step: str) -> bool:
        due = bool(self._kills) and self.world.steady_s >= hour_s(self._kills[0][0])
        if not due or step != self._kills[0][1]:
            return False
        del self._kills[0]
        return True

    def _schedule(self) -> Schedule:
        script = self.stage.script
        weather = replace(WEATHERS["calm"], posts={"lost": 0.01, "dropped": 0.01})
        takes = {what: (math.log(250.0), 0.2) for what in script.durations}
        recovery = self.stage.manifest.recovery
        limits, busy = script.limits, (0.0, 1.0)
        plain = draw(weather, "golden", script.sent, limits, recovery, takes, start_us=START_US, busy=busy)
        return replace(
            plain,
            outages=((hour_s("01:00"), hour_s("02:00")),),
            bad_keys=((hour_s("04:00"), hour_s("04:30")),),
            naps=((hour_s("05:00"), hour_s("05:20")),),
        )


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> GoldenNight:
    """The night, played once."""
    played = GoldenNight(tmp_path_factory.mktemp("golden"))
    played.play()
    return played


@pytest.fixture(scope="module")
def page(night: GoldenNight) -> dict[str, Any]:
    """All that the page of the morning tells."""
    text = night.page.read_text(encoding="utf-8")
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    found: dict[str, Any] = json.loads(data)
    return found


def test_each_start_ends_as_what_stopped_it(night: GoldenNight) -> None:
    """Killed, killed, outage, killed, key, deadline: nothing else, and each start goes on by itself."""
    assert [start.code for start in night.starts] == [KILLED, KILLED, 7, KILLED, 5, 10]
    assert [start.at[:4] for start in night.starts][:3] == ["22:0", "23:0", "00:1"]
    assert night.starts[-1].at == "04:40"
    assert all(start.done < later.done for start, later in pairwise(night.starts))


@pytest.mark.parametrize(("number", "wanted"), [(2, AWAY), (4, REFUSED), (5, MORNING)])
def test_what_is_printed_is_what_a_person_wants_to_read(night: GoldenNight, number: int, wanted: str) -> None:
    """Word for word; the numbers are the ledger's and the disk's."""
    before, start = night.starts[number - 1], night.starts[number]
    held = re.findall(r"^  held  (\S+): (.*) \(", start.out, re.MULTILINE)
    said = {
        "manifest": night.manifest,
        "folder": night.shelf.folder,
        "done": start.done,
        "active_row": f"  {start.open:>3}  active\n" if start.open else "",
        "pending": JOBS - start.done - start.open - len(held),
        "held_row": f"  {len(held):>3}  held\n" if held else "",
        "held": "".join(
            HELD.format(job=job, why=why) + (ALIKE if place else WAYS).format(job=held[0][0])
            for place, (job, why) in enumerate(held)
        ),
        "doubt": doubts(start.out, len(held)),
        "spent": start.done * PRICE,
        "reserved": (start.open + len(held)) * PRICE,
        "sent": start.posts,
        "fetched": start.done - before.done,
        "lasted": clock(start.lasted_s),
        **spans(start.out),
    }

    for _job, why in held:
        assert re.fullmatch(
            r"not in the provider's list after \d+ looks; it may still have been accepted", why
        )
    assert said.get("trouble", "the connection was lost") in {"the connection was lost", "no route"}
    assert start.out == wanted.format(**said)


def test_the_lengths_of_time_that_are_told_are_right(night: GoldenNight) -> None:
    """The outage was given up after half an hour; the rest takes as long as the pace of the night says."""
    away, morning = spans(night.starts[2].out), spans(night.starts[-1].out)
    start = night.starts[-1]
    pace_s = (start.lasted_s - 1200.0) / (start.done - night.starts[-2].done)
    left = int(re.findall(r"^(\d+) jobs left", start.out, re.MULTILINE)[0])

    assert 1800 <= seconds(away["away"]) <= 1900
    assert 200 < seconds(morning["left"]) <= seconds(morning["likely"]) < 600
    assert abs(seconds(morning["rest"]) - left * pace_s) <= 60
    standing = read_status(night.stage.state_path.parent, "night")
    assert standing.finish_s is not None
    assert abs(standing.finish_s - left * pace_s) <= 0.1 * left * pace_s  # asleep, it made no pace


def test_nothing_was_paid_twice_and_nothing_is_lost(night: GoldenNight) -> None:
    """Each clip on the disk is one request; what is held was in fact never taken by the provider."""
    asked = {job.id: night.provider.by_print[job.fingerprint] for job in night.stage.script.sent}
    standing = {job: [one for one in some if one.stands] for job, some in asked.items()}
    newest = {one["job"]: one["state"] for one in night.attempts()}

    assert night.world.crashes == len(KILLS)
    assert all(len(some) <= 1 for some in standing.values())
    assert {job for job, some in standing.items() if some} == {
        job for job, state in newest.items() if state == "done"
    }
    assert all(not asked[job] for job, state in newest.items() if state == "held")
    assert night.world.asleep_s == 1200.0


def test_the_page_tells_the_night(night: GoldenNight, page: dict[str, Any]) -> None:
    """How many are done, left and held; what it cost; and when it was started."""
    states = [job["state"] for job in page["jobs"]]
    morning = night.starts[-1]

    assert len(states) == JOBS
    assert states.count("done") == morning.done == len([job for job in page["jobs"] if job.get("clip")])
    assert states.count("pending") == JOBS - morning.done - states.count("held")
    assert page["spent"] == round(morning.done * PRICE * 1e6)
    assert page["run"].startswith("batchrunner run ")
    assert [f"{datetime.fromtimestamp(run['began'] / 1e3, UTC):%H:%M}" for run in page["runs"]] == [
        start.at for start in night.starts
    ]
    assert [run.get("why", "killed").partition(": ")[2].partition(": ")[0] for run in page["runs"]] == [
        "",
        "",
        "outage",
        "",
        "credentials",
        "deadline",
    ]
    assert [run.get("code", KILLED) for run in page["runs"]] == [start.code for start in night.starts]
    assert not any(job.get("gone") for job in page["jobs"])


def test_the_page_says_what_is_held_and_how_to_settle_it(page: dict[str, Any]) -> None:
    """The submission that was written down and cut short by a kill: why, the money, three ways out."""
    held = [job for job in page["jobs"] if job["state"] == "held"]
    job = held[0]

    assert len(held) >= 1
    assert job["stake"] == 150_000
    assert re.fullmatch(
        r"not in the provider's list after \d+ looks; it may still have been accepted", job["why"]
    )
    assert [(way["what"], way["run"].replace(job["id"], "JOB")) for way in job["do"]] == [
        (
            "You found it in the provider's console: take it over, free",
            "batchrunner resolve night JOB --adopt REQUEST_ID",
        ),
        ("It is not there: submit it again, which may pay twice", "batchrunner resolve night JOB --resubmit"),
        ("Give it up: counts as spent", "batchrunner resolve night JOB --abandon"),
    ]


def test_the_page_tells_the_story_of_a_job_that_a_kill_cut_short(page: dict[str, Any]) -> None:
    """Its POST had happened, its answer was not on record: found at the provider, and not paid again."""
    stories = [[text for _at, text in job.get("story", [])] for job in page["jobs"]]
    cut = [story for story in stories if any("the runner had ended" in text for text in story)]
    told = [[re.sub(r"\br\d+\b|sha256 \w+…|i\d+/\S+mp4", "…", text) for text in story] for story in cut]

    assert [
        "submitted (attempt 1, $0.15 reserved)",
        "the runner had ended before an answer: whether the provider took it was not known "
        "(stopped before the answer)",
        "found in the provider's list as …: adopted, nothing paid again",
        "finished at the provider: $0.15 paid",
        "downloaded whole and checked (…)",
        "filed as …: done",
    ] in told


# --- reading what was printed -------------------------------------------------------------------------


def spans(out: str) -> dict[str, str]:
    """Return the lengths of time that only the program knows to the second, and the last trouble it had."""
    patterns = {
        "away": r"from the provider for (.*?):",
        "trouble": r"from the provider for .*?: (.*)",
        "left": r"a job begun (.*?) before 2026",
        "likely": r"takes up to (.*)",
        "rest": r"left, some (.*?) at the pace",
    }
    found = {name: re.search(pattern, out) for name, pattern in patterns.items()}
    return {name: match[1] for name, match in found.items() if match}


def seconds(text: str) -> int:
    """Read `2 h 5 min`, `4 min 8 s` and the like."""
    units = {"h": 3600, "min": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+) (h|min|s)\b", text))


def clock(lasted_s: float) -> str:
    """Write how long a run lasted, as hours, minutes and seconds."""
    whole = round(lasted_s)
    hours = f"{whole // 3600}:" if whole >= 3600 else ""
    return f"{hours}{whole // 60 % 60:02}:{whole % 60:02}"


def doubts(out: str, held: int) -> str:
    """Return the line about submissions in doubt; all of them are found or held."""
    match = re.search(r"  (\d+) submissions? in doubt at the start, (\d+) since: (\d+) found", out)
    if match is None:
        return ""
    begun, since, found = map(int, match.groups())
    assert begun + since == found + held
    submissions = "submission" if begun == 1 else "submissions"
    stake = f", ${held * PRICE:.2f} at stake" if held else ""
    return (
        f"  {begun} {submissions} in doubt at the start, {since} since: {found} found at the provider "
        f"(nothing paid again), {held} held{stake}\n"
    )
