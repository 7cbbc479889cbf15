"""The process that fetches and files clips dies, or its runner does: nothing is paid twice or lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from batchrunner.emulator.process import EmbeddedEmulator
from batchrunner.media import apart
from batchrunner.media.messages import Setup
from batchrunner.media.trouble import MediaError
from tests.chaos.rig import LONGEST_S, WEATHER, Night
from tests.chaos.victim import ONLY_CLIPS
from tests.media.films import Storage, stored
from tests.media.test_clips import ATTEMPT, PROVENANCE, clip
from tests.shell import wait_for

AT_ONCE = 4
POINTS = [
    f"{name}.{when}"
    for name in ("fetch", "part", "link", "unlink", "sidecar", "folder")
    for when in ("before", "after")
] + ["part.half", "sidecar.half"]
GROUPS = 2


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_clip_process_that_dies_once_costs_nothing(tmp_path: Path, group: int) -> None:
    """Killed at any step of its own: the run goes on with another, and ends as if nothing had been."""
    with EmbeddedEmulator(WEATHER) as emulator, ThreadPoolExecutor(AT_ONCE) as pool:

        def wrong(number: int) -> list[str]:
            point = POINTS[number]
            night = Night(tmp_path / f"at-{number}", emulator.api, emulator.key, number, takes=2)
            died = night.folder / "died"
            victim = [sys.executable, "-m", "tests.chaos.victim", f"{point}:1", "run", "night.yaml", "--json"]
            code = night.launch(["env", f"{ONLY_CLIPS}={died}", *victim])
            found = [] if died.exists() and code == 0 else [f"exit {code}, died: {died.exists()}"]
            if sum(night.accepted().values()) != night.takes:
                found.append(f"accepted: {night.accepted()}")
            return [f"{point}: {one}" for one in (*found, *night.judge().wrong)]

        numbers = range(group, len(POINTS), GROUPS)
        assert [one for found in pool.map(wrong, numbers) for one in found] == []


def test_a_clip_that_kills_its_decoder_holds_its_own_job_only(tmp_path: Path) -> None:
    """It is fetched three times, then held and told; the others are done."""
    with EmbeddedEmulator(WEATHER) as emulator:
        night = Night(tmp_path / "night", emulator.api, emulator.key, 1, takes=4)
        code = night.launch(
            [sys.executable, "-m", "tests.chaos.poison", "run", "night.yaml", "--quiet", "--json"]
        )

        assert night.last is not None
        assert code == 4, night.last.err
        (held,) = night.last.json["held"]
        assert ".t2-" in held["job"]
        assert "the clip process died on this one: signal 11" in held["reason"]
        assert sorted(night.states().values()) == ["done", "done", "done", "held"]
        assert sum(night.accepted().values()) == night.takes


def test_a_clip_that_kills_the_process_costs_the_others_of_its_order_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where very many are due, some are one order: then each of these is tried by itself."""
    monkeypatch.setattr(apart, "CLIP_PROCESS", "tests.chaos.poison")
    attempts = [replace(ATTEMPT, id=number, name=f"fox/run-t{number}") for number in (1, 2, 3)]
    with stored(Storage(clip())) as (_http, wire, url):
        setup = Setup(wire.url, str(tmp_path / "clips"), PROVENANCE, decode=False, downloads=1)
        clips = apart.ClipsApart(setup, 2)
        try:
            first, second, third = clips.fetch(attempts, [[url]] * 3)
            fetched = [
                replace(attempt, files=verdict)
                for attempt, verdict in zip(attempts, (first, second, third), strict=True)
                if isinstance(verdict, tuple)
            ]
            published = clips.publish(fetched)
        finally:
            clips.close()

    assert [attempt.id for attempt in fetched] == [1, 3]
    assert isinstance(second, MediaError)
    assert second.bad
    assert "the clip process died on this one: signal 11" in second.detail
    assert [file.path for files in published if isinstance(files, tuple) for file in files] == [
        "fox/run-t1.mp4",
        "fox/run-t3.mp4",
    ]


def clip_process(runner: int) -> int:
    """Return the process id of a runner's clip process, once it is there."""
    found: list[int] = []

    def is_there() -> bool:
        children = Path(f"/proc/{runner}/task/{runner}/children").read_text(encoding="utf-8").split()
        found[:] = [
            int(one) for one in children if b"media.clip_process" in Path(f"/proc/{one}/cmdline").read_bytes()
        ]
        return bool(found)

    wait_for(is_there)
    return found[0]


def test_the_next_run_waits_until_the_clip_process_of_a_dead_one_is_gone(tmp_path: Path) -> None:
    """It keeps the lock meanwhile: two of them never write at once."""
    with EmbeddedEmulator(replace(WEATHER, media_script=("hang:5",))) as emulator:
        night = Night(tmp_path / "night", emulator.api, emulator.key, 1, takes=1)
        running = night.shell.start("run", "night.yaml", "--quiet")
        wait_for(lambda: is_fetching(night))
        clips = clip_process(running.pid)
        os.kill(clips, signal.SIGSTOP)
        running.kill()
        running.wait()
        told = json.loads((night.folder / "state/night.lock").read_text(encoding="utf-8"))
        stands = night.shell.run("status", "night").out
        again = night.shell.start("run", "night.yaml", "--quiet", "--json")
        with pytest.raises(subprocess.TimeoutExpired):
            again.wait(1.5)  # the wait itself
        os.kill(clips, signal.SIGCONT)
        running.communicate()
        _out, said = again.communicate(timeout=LONGEST_S)

        assert told["clip_processes"] == [clips]
        assert "did not end by itself" in stands  # it is no run that goes on
        assert again.returncode == 0, said
        assert sum(night.accepted().values()) == 1


def test_the_clip_process_knows_no_key_and_outlives_a_sigterm_meant_for_all(tmp_path: Path) -> None:
    """A service manager that stops a run tells each process; the runner decides when it is over."""
    with EmbeddedEmulator(replace(WEATHER, media_script=("hang:2",))) as emulator:
        night = Night(tmp_path / "night", emulator.api, emulator.key, 1, takes=1)
        running = night.shell.start("run", "night.yaml", "--quiet", "--json")
        wait_for(lambda: is_fetching(night))
        clips = clip_process(running.pid)
        known = Path(f"/proc/{clips}/environ").read_bytes() + Path(f"/proc/{clips}/cmdline").read_bytes()
        os.kill(clips, signal.SIGTERM)
        _out, said = running.communicate(timeout=LONGEST_S)

        assert night.shell.key.encode() not in known
        assert running.returncode == 0, said
        assert not Path(f"/proc/{clips}").exists()


def is_fetching(night: Night) -> bool:
    """Tell whether a download has reached the emulator."""
    return any("storage" in call for call in night.shell.ledger()["requests"])


def test_nothing_is_paid_for_while_the_clip_process_does_not_start(tmp_path: Path) -> None:
    """What cannot be stored is not bought: exit 8, no POST, and the next run does it all."""
    launch = (
        "from batchrunner.cli import main; from batchrunner.media import apart; "
        "apart.CLIP_PROCESS = 'tests.no_such_module'; main()"
    )
    with EmbeddedEmulator(WEATHER) as emulator:
        night = Night(tmp_path / "night", emulator.api, emulator.key, 1)
        code = night.launch([sys.executable, "-c", launch, "run", "night.yaml", "--quiet"])

        assert night.last is not None
        assert (code, night.shell.ledger()["posts"]) == (8, 0), night.last
        assert "the clip process does not start" in night.last.out
        night.finish()
        assert night.judge().wrong == ()
