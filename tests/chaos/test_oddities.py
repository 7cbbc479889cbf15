"""What else befalls a long run: a suspend, read-only folders, a state table that is lost or of yesterday."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from batchrunner.emulator.process import EmbeddedEmulator
from batchrunner.engine.sweep import TRIES
from tests.chaos.faults import RUN, can_mount
from tests.chaos.rig import LONGEST_S, WEATHER, Night
from tests.shell import Done, wait_for


@contextlib.contextmanager
def new_night(folder: Path, *, takes: int = 3, post_delay_s: float = 0.03) -> Iterator[Night]:
    """Give a campaign and an emulator for it alone."""
    with EmbeddedEmulator(replace(WEATHER, post_delay_s=post_delay_s)) as emulator:
        yield Night(folder / "night", emulator.api, emulator.key, 1, takes)


@pytest.mark.parametrize("accepted", [0, 1])
def test_a_suspended_run_goes_on_where_it_was(tmp_path: Path, accepted: int) -> None:
    """Stopped with a POST on the wire, or with a request accepted: what was answered is read later."""
    with new_night(tmp_path, post_delay_s=0.4) as night:
        running = night.shell.start("run", "night.yaml", "--quiet")
        wait_for(lambda: "POST /requests" in night.shell.ledger()["requests"])
        wait_for(lambda: night.shell.ledger()["accepted"] >= accepted)
        running.send_signal(signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(3)  # the suspend itself: nothing to wait for happens in it
        assert night.shell.ledger()["accepted"] >= 1, "the provider works on meanwhile"
        running.send_signal(signal.SIGCONT)
        _out, said = running.communicate(timeout=LONGEST_S)

        assert (running.returncode, said) == (0, "")
        night.finish()
        assert night.judge().wrong == ()
        assert sum(night.accepted().values()) == night.takes


@pytest.mark.skipif(not can_mount(), reason="no mounts of one's own here")
@pytest.mark.parametrize("folder", ["state", "outputs"])
@pytest.mark.parametrize("begun", [False, True], ids=["at first", "between runs"])
def test_a_folder_that_cannot_be_written_is_named_before_anything_is_sent(
    tmp_path: Path, folder: str, begun: bool
) -> None:
    """Exit 8 and its name. Root may write anywhere, so it takes a mount that nobody may write to."""
    with new_night(tmp_path) as night:
        if begun:
            assert night.killed_at("intent.before:1")
        (night.folder / folder).mkdir(exist_ok=True)
        script = f'mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && exec "$@"'
        code = night.launch(["unshare", "-rm", "sh", "-c", script, "sh", *RUN])

        assert night.last is not None
        assert (code, "Traceback" in night.last.err) == (8, False), night.last
        assert folder in night.last.err
        assert night.shell.ledger()["posts"] == 0
        night.finish()
        assert night.judge().wrong == ()


def test_an_output_folder_without_permission_is_named(tmp_path: Path) -> None:
    """The same by permissions, where this is not root."""
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    with new_night(tmp_path) as night:
        (night.folder / "outputs").mkdir(mode=0o500)
        code = night.launch(RUN)

        assert night.last is not None
        assert (code, "outputs" in night.last.err) == (8, True), night.last
        assert night.shell.ledger()["posts"] == 0


@pytest.mark.parametrize("killed_at", ["accepted.after:1", "fetched.after:1", "done.after:1"])
def test_a_state_table_deleted_between_runs_costs_nothing(tmp_path: Path, killed_at: str) -> None:
    """Derived seeds find the paid work again by a look at the list before the first submission."""
    with new_night(tmp_path) as night:
        night.killed_at(killed_at)
        night.table.unlink()
        night.finish()

        assert max(night.accepted().values()) == 1
        assert set(night.states().values()) == {"done"}


@pytest.mark.parametrize("killed_at", ["sent.after:2", "accepted.after:1", "done.after:1"])
def test_a_state_table_of_yesterday_costs_nothing(tmp_path: Path, killed_at: str) -> None:
    """An older copy in its place: what was paid since is found again, though the runs were all killed."""
    with new_night(tmp_path) as night:
        night.killed_at("intent.before:1")
        shutil.copy(night.table, night.folder / "yesterday.db")
        night.killed_at(killed_at)
        shutil.copy(night.folder / "yesterday.db", night.table)
        night.table.with_name("night.db-journal").unlink(missing_ok=True)
        night.finish()

        assert max(night.accepted().values()) == 1
        assert set(night.states().values()) <= {"done", "held"}


@pytest.mark.parametrize("lost", ["deleted", "of yesterday"])
def test_no_list_no_submission_where_a_killed_run_knew_more_than_the_table(tmp_path: Path, lost: str) -> None:
    """The killed run left word beside the table that it had begun: then the look at the list is a must."""
    with new_night(tmp_path) as night:
        night.killed_at("intent.before:1")
        yesterday = night.table.read_bytes()
        night.killed_at("done.after:1")
        known = night.accepted()
        if lost == "deleted":
            night.table.unlink()
        else:
            night.table.write_bytes(yesterday)
        configure(night, list_fault_rate=1.0, list_faults=["500"])
        running = night.shell.start("run", "night.yaml", "--quiet", "--json")
        begun = looks(night)
        wait_for(lambda: looks(night) > begun + TRIES or night.accepted() != known)
        assert night.accepted() == known
        configure(night, list_fault_rate=0.0)
        out, said = running.communicate(timeout=LONGEST_S)

        assert running.returncode == 0, said
        night.last = Done(0, out, said)
        assert night.judge().wrong == ()


def looks(night: Night) -> int:
    """Return how often the provider's list was asked for."""
    count: int = night.shell.ledger()["requests"].get("GET /requests", 0)
    return count


def configure(night: Night, **knobs: object) -> None:
    """Set knobs of the night's emulator."""
    call = urllib.request.Request(f"{night.api}/_emulator/config", json.dumps(knobs).encode(), method="PUT")
    urllib.request.urlopen(call, timeout=10).close()
