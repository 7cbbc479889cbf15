"""`rehearse` as a user sees it: tonight's manifest, many simulated nights, nothing sent, nothing touched."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from batchrunner.clock import utc_us
from batchrunner.rehearsal.rehearse import one_night, rehearse
from batchrunner.rehearsal.stage import Call, Stage
from batchrunner.store.tables import Store
from batchrunner.values import JobState
from tests.shell import ROOT, Shell, against

START_US = 1_764_000_000_000_000
URL = "https://console.gmicloud.ai"


def bytes_of(folder: Path) -> dict[str, str]:
    """Return what lies in a folder, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def numbers(line: str) -> list[str]:
    """Return what a line says after its heading."""
    return line.split()[2:]


def test_the_screen_answers_what_a_person_asks_before_a_night(tmp_path: Path) -> None:
    """Paid twice, lost, crashes, what becomes of the jobs, when, for how much, and what that rests on."""
    shell = Shell(tmp_path)
    done = shell.inside("rehearse", shell.write(takes=12), "--nights", "4", "--at", "2030-01-01T22:00")
    lines = done.out.splitlines()
    rests = lines.index("ranges: the lowest and the highest of the nights. They rest on")

    assert done.code == 0
    assert lines[0] == "night: 12 jobs in 4 nights of rough weather, each from 2030-01-01 22:00 on"
    assert numbers(lines[1]) == ["0"]
    assert lines[2].split() == ["lost", "0"]
    assert lines[3].startswith("  crashes     4; ")
    assert [line.split()[0] for line in lines[4:rests] if line[2] != " "][:5] == [
        "done",
        "failed",
        "held",
        "over",
        "to",
    ]
    assert "  to pay      $1.80" in done.out
    assert "2030-01-0" in next(line for line in lines if line.startswith("  over at"))
    assert "how long a clip takes: by the card's rule of thumb" in done.out
    assert "what it costs: $0.03 a second" in done.out
    assert lines[-1].startswith("Nothing was sent, and none of your files was touched.")


def test_a_storm_pays_nothing_twice_and_loses_nothing(tmp_path: Path) -> None:
    """Though it kills the process and loses answers; what nobody can know is held, with the reason."""
    shell = Shell(tmp_path)
    told = shell.inside(
        "rehearse", shell.write(takes=40), "--weather", "storm", "--nights", "8", "--json"
    ).json

    assert (told["paid_twice"], told["lost"]) == (0, 0)
    assert told["crashes"] >= 8
    assert told["found"] > 0
    assert told["held"][2] > 0
    assert any("provider's list" in why for why in told["held_why"])
    assert sum(told["exit_codes"].values()) == 8


def test_a_storm_may_lose_no_more_gambles_than_the_manifest_allows(tmp_path: Path) -> None:
    """`resubmit` with no grace at all, where answers come late: told as paid twice, and as allowed."""
    shell = Shell(tmp_path)
    name = shell.write(takes=30)
    text = (tmp_path / name).read_text(encoding="utf-8")
    hasty = "recovery: {on_absent: resubmit, grace: 1, give_up: 4, risk: 2}"
    (tmp_path / name).write_text(text.replace("recovery: {grace: 2, give_up: 4}", hasty), encoding="utf-8")
    done = shell.inside("rehearse", name, "--weather", "storm", "--nights", "10", "--json")

    assert done.code == 0
    assert done.json["lost"] == 0
    assert done.json["paid_twice"] == done.json["gambles_lost"] <= 2 * 10


@pytest.mark.parametrize(
    ("bound", "code", "done"),
    [(("--budget", "3.00"), "6", 20), (("--max-new", "5"), "10", 5), (("--for", "1s"), "10", 0)],
)
def test_a_night_that_its_bounds_end_early_is_told_and_is_no_error(
    tmp_path: Path, bound: tuple[str, str], code: str, done: int
) -> None:
    """With what is left over."""
    shell = Shell(tmp_path)
    call = ("rehearse", shell.write(takes=24), "--weather", "calm", "--nights", "2", *bound)
    screen, told = shell.inside(*call), shell.inside(*call, "--json").json

    assert screen.code == 0
    assert told["exit_codes"] == {code: 2}
    assert done - 4 <= told["done"][1] <= done
    assert "left over" in screen.out
    assert f"(exit {code})" in screen.out


def test_the_hours_of_the_window_are_kept_to_night_after_night(tmp_path: Path) -> None:
    """Begun at noon, nothing is over before the evening; what does not fit goes on a day later."""
    shell = Shell(tmp_path)
    name = shell.write(takes=60, limits=', window: "22:00-22:30"')
    told = shell.inside("rehearse", name, "--nights", "2", "--at", "2030-01-01T12:00", "--json").json
    low_us, _likely, high_us = map(utc_us, told["finish"])

    assert low_us - utc_us(told["start"]) > 10 * 3600e6
    assert high_us - utc_us(told["start"]) > 34 * 3600e6
    assert told["done"][0] + told["held"][2] >= 60


def test_only_what_is_left_is_played_and_nothing_of_the_user_changes(tmp_path: Path) -> None:
    """State folder, outputs, manifest: the same bytes afterwards, and no new file; no key is there either."""
    with against(tmp_path) as shell:
        name = shell.write(takes=6)
        assert shell.run("run", name, "--max-new", "2", "--yes").code == 10
    before = bytes_of(tmp_path)
    done = Shell(tmp_path).inside("rehearse", name, "--nights", "3", "--weather", "storm")

    assert done.code == 0
    assert done.out.startswith("night: 4 jobs in 3 nights of storm weather")
    assert "  not played  2 jobs done already" in done.out
    assert bytes_of(tmp_path) == before


def test_pictures_of_this_machine_are_rehearsed_without_an_upload(tmp_path: Path) -> None:
    """The demo, which has such pictures: a storm finds its lost submissions by their content too."""
    told = (
        Shell(tmp_path)
        .inside(
            "rehearse", str(ROOT / "manifests" / "demo.yaml"), "--weather", "storm", "--nights", "6", "--json"
        )
        .json
    )

    assert (told["paid_twice"], told["lost"], told["jobs"]) == (0, 0, 12)
    assert told["found"] > 0
    assert told["done"][0] >= 6
    assert list(tmp_path.iterdir()) == []


def test_nothing_left_is_nothing_to_rehearse(tmp_path: Path) -> None:
    """In one line."""
    shell = Shell(tmp_path)
    name = shell.write(takes=2)
    assert shell.inside("plan", name, "--record").code == 0
    with closing(sqlite3.connect(tmp_path / "state" / "night.db")) as db, db:
        db.execute("UPDATE jobs SET state = 'done'")
    done = shell.inside("rehearse", name)

    assert (done.code, done.out) == (0, "night: 2 jobs done already: nothing is left to rehearse\n")


def test_the_same_seed_is_the_same_rehearsal(tmp_path: Path) -> None:
    """Also where processes share the nights; another seed is another one."""
    shell = Shell(tmp_path)
    stage = Stage(Call(tmp_path / shell.write(takes=20), tmp_path / "state", URL))
    shared = rehearse(stage, "storm", start_us=START_US, nights=3, hands=2).nights

    assert shared == rehearse(stage, "storm", start_us=START_US, nights=3).nights
    assert shared != rehearse(stage, "storm", start_us=START_US, nights=3, seed=2).nights
    assert sum(one.crashes for one in shared) > 0


def test_the_ranges_hold_what_a_fresh_night_brings(tmp_path: Path) -> None:
    """Nine of ten should lie in the range of 20 nights; of 20 fresh ones at least 15 do."""
    shell = Shell(tmp_path)
    stage = Stage(Call(tmp_path / shell.write(takes=12), tmp_path / "state", URL))
    told = rehearse(stage, "rough", start_us=START_US, nights=20)
    over, held = told.range_of([one.end_us for one in told.nights]), told.jobs(JobState.HELD)
    shares = [(at + 0.5) / 20 for at in range(20)]
    fresh = [one_night(stage, "rough", f"fresh {at}", share, START_US) for at, share in enumerate(shares)]

    assert over.low < over.likely < over.high
    assert sum(over.low <= one.end_us <= over.high for one in fresh) >= 15
    assert sum(held.low <= one.jobs[JobState.HELD] <= held.high for one in fresh) >= 15


def test_what_was_learned_decides_how_long_it_takes(tmp_path: Path) -> None:
    """Twenty clips of another campaign that took an hour each: the rehearsal takes hours, and says why."""
    shell = Shell(tmp_path)
    name = shell.write(takes=8)
    guessed = shell.inside("rehearse", name, "--nights", "2", "--weather", "calm", "--json").json
    learn(tmp_path, name, took_s=3600)
    told = shell.inside("rehearse", name, "--nights", "2", "--weather", "calm", "--json").json

    assert lasts_s(guessed) < 1800
    assert lasts_s(told) > 3600
    assert told["rests_on"]["durations"][0].startswith("learned from 20 like it in other campaigns")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.yaml",), "cannot read the manifest nothing.yaml"),
        (
            ("night.yaml", "--until", "2030-01-01T07:00", "--at", "2030-01-01T22:00"),
            "2030-01-01T07:00 is not after --at",
        ),
        (("night.yaml", "--weather", "snow"), "'snow' is not one of"),
    ],
)
def test_a_wrong_call_ends_with_2(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """As everywhere."""
    shell = Shell(tmp_path)
    shell.write()
    done = shell.inside("rehearse", *words)

    assert done.code == 2
    assert said in done.err


def lasts_s(told: dict[str, list[str]]) -> float:
    """Return how long the likely night lasts."""
    return (utc_us(told["finish"][1]) - utc_us(str(told["start"]))) / 1e6


def learn(folder: Path, name: str, took_s: int) -> None:
    """Put a state table beside the manifest's own in which twenty of its clips took so long."""
    stage = Stage(Call(folder / name, folder / "state", URL))
    (folder / "state").mkdir(exist_ok=True)
    path = folder / "state" / "other.db"
    Store(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA foreign_keys = OFF")
        for number in range(20):
            job = stage.script.jobs[0]
            db.execute(
                """INSERT INTO attempts (id, job, number, state, model, account, origin, payload, fingerprint,
                   epoch, submitted_at) VALUES (?, ?, 1, 'submitting', ?, 'a', ?, ?, 'f', 1, ?)""",
                [number + 1, f"j{number}", job.model, URL, job.payload_text, "2029-01-01T00:00:00.000000Z"],
            )
        db.execute(
            "UPDATE attempts SET accepted_at = '2029-01-01T00:00:00.000000Z', ready_at = ?",
            [f"2029-01-01T{took_s // 3600:02}:00:00.000000Z"],
        )


def test_until_is_reckoned_from_the_start_that_was_named(tmp_path: Path) -> None:
    """In whichever order: a night of 2030 ends on its own morning, not on the next one from now."""
    shell = Shell(tmp_path)
    words = ("rehearse", shell.write(takes=400), "--nights", "1", "--json", "--in-flight", "1")
    times = ("--until", "23:00", "--at", "2030-01-01T22:00")
    told = shell.inside(*words, *times).json
    turned = shell.inside(*words, *times[2:], *times[:2]).json

    assert told["finish"] == turned["finish"]
    assert list(told["exit_codes"]) == ["10"]
    assert utc_us(told["finish"][1]) - utc_us(told["start"]) <= 3_700_000_000
