"""`verify --fetch` brings finished clips back that are gone from the disk, and pays for nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from batchrunner.clock import SystemClock
from batchrunner.store.lock import runner_lock
from tests.shell import QUICK, Shell, against


def clip(shell: Shell, take: int) -> Path:
    """Return the path of a take's clip."""
    return shell.folder / f"outputs/night/fox/push-t{take}.mp4"


def test_the_run_that_misses_clips_names_the_command_that_brings_them_back(tmp_path: Path) -> None:
    """Exit 8, then the same files again, without a submission; a clip that is there is let alone."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=3))
        before = {take: clip(shell, take).read_bytes() for take in (1, 2)}
        kept = clip(shell, 3).stat().st_mtime_ns
        for take in before:
            clip(shell, take).unlink()
        missed = shell.run("run", "night.yaml")
        fetched = shell.run("verify", "night", "--fetch")

        assert (missed.code, fetched.code) == (8, 0)
        assert "fetch them again, free: batchrunner verify night --fetch" in missed.err
        assert {take: clip(shell, take).read_bytes() for take in before} == before
        assert clip(shell, 3).stat().st_mtime_ns == kept
        assert shell.ledger()["charged"]["count"] == 3
        assert shell.run("run", "night.yaml").code == 0
        assert list(tmp_path.rglob("*.part*")) == []


def test_what_the_provider_has_no_longer_is_told_with_the_price_of_a_new_render(tmp_path: Path) -> None:
    """Once its request is not known any more, and once its address is not valid any more."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=1))
    clip(shell, 1).unlink()
    with against(tmp_path) as shell:  # another one: it knows nothing of what was before
        unknown = shell.run("verify", "night", "--fetch")

        assert unknown.code == 8
        assert "not fetched: the provider knows its request " in unknown.out
        assert "a new render costs $0.15 at most, as another take or seed of the manifest" in unknown.out
        assert shell.ledger()["charged"]["count"] == 0

    with against(tmp_path / "other", replace(QUICK, media_script=("ok", "404"))) as shell:
        shell.folder.mkdir()
        shell.run("run", shell.write(takes=1))
        clip(shell, 1).unlink()
        expired = shell.run("verify", "night", "--fetch")

        assert expired.code == 8
        assert "the file's address is not valid any more (HTTP 404); a new render costs $0.15" in expired.out


def test_a_file_that_is_not_what_was_published_does_not_take_its_place(tmp_path: Path) -> None:
    """The state table's hash decides."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=1))
        sidecar = clip(shell, 1).with_suffix(".json")
        clip(shell, 1).write_bytes(b"somebody's own")
        changed = shell.run("verify", "night", "--fetch")

        assert changed.code == 8
        assert "or move this one away and fetch it again" in changed.out
        assert clip(shell, 1).read_bytes() == b"somebody's own"
        assert sidecar.is_file()


def test_clips_made_with_another_key_are_not_called_lost(tmp_path: Path) -> None:
    """A key sees its own account's requests only."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=1))
    clip(shell, 1).unlink()
    with against(tmp_path, replace(QUICK, org_id="11111111-2222-3333-4444-555555555555")) as shell:
        done = shell.run("verify", "night", "--fetch")

        assert done.code == 8
        assert "made with the key of another account" in done.out
        assert "a new render" not in done.out


def test_nothing_is_fetched_while_a_run_goes_on(tmp_path: Path) -> None:
    """Exit 9: both would write into the same folder."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=1))
        clip(shell, 1).unlink()
        with runner_lock(tmp_path / "state/night.lock", SystemClock()):
            assert shell.run("verify", "night", "--fetch").code == 9
        assert not clip(shell, 1).exists()
