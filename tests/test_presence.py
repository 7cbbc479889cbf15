"""A clip that is gone is told, whatever was passed over for speed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchrunner.presence import FRESH_NS, TURN, Presence, look
from batchrunner.store import filed
from batchrunner.store.tables import Store
from tests.fakes import START_US, a_job, a_manifest
from tests.store.test_store import finish, opened

CLIP = b"clip"


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    """A table of mounts that says that everything is on a local disk."""
    path = tmp_path / "mounts"
    path.write_text("/dev/sda1 / ext4 rw 0 0\n")
    return path


class Shelf:
    """An output folder with finished clips in it, and the state table that knows of them."""

    def __init__(self, folder: Path, mounts: Path, names: list[str]) -> None:
        self.store: Store = opened(folder, [a_job(number) for number in range(len(names))])
        self.root, self.mounts = folder / "clips", mounts
        finish(self.store, names)
        for name in names:
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(CLIP)

    def look(self, later_ns: int = 10 * FRESH_NS, mounts: Path | None = None) -> Presence:
        """Look, so long after now."""
        return look(self.root, self.store, time.time_ns() + later_ns, mounts or self.mounts)


@pytest.fixture
def shelf(tmp_path: Path, mounts: Path) -> Iterator[Shelf]:
    """Three folders, one inside another, and one clip beside them."""
    made = Shelf(tmp_path, mounts, ["fox/a.mp4", "fox/b.mp4", "fox/in/c.mp4", "owl/d.mp4", "e.mp4"])
    yield made
    made.store.close()


@pytest.fixture
def many(tmp_path: Path, mounts: Path) -> Iterator[Shelf]:
    """More clips than are looked at in one run whatever their folders say."""
    made = Shelf(tmp_path, mounts, [f"f{number % 4}/c{number:05}.mp4" for number in range(TURN + 300)])
    assert made.look() == Presence((), steady=False)
    assert made.look() == Presence((), steady=True)
    yield made
    made.store.close()


def test_all_there_is_all_there_and_steady_the_second_time(shelf: Shelf) -> None:
    """The first look knows nothing of how it was."""
    assert shelf.look() == Presence((), steady=False)
    assert shelf.look() == Presence((), steady=True)
    assert {"", "fox/", "fox/in/", "owl/"} == {path for path, mark in filed.folders(shelf.store.db) if mark}


@pytest.mark.parametrize("name", ["fox/a.mp4", "fox/in/c.mp4", "e.mp4"])
def test_a_clip_that_is_gone_is_told_every_time(shelf: Shelf, name: str) -> None:
    """Until it is back; then it is steady one look later."""
    shelf.look()
    (shelf.root / name).rename(shelf.root / "elsewhere")

    assert [(name,), (name,)] == [shelf.look().missing for _ in range(2)]

    (shelf.root / "elsewhere").rename(shelf.root / name)

    assert [False, True] == [shelf.look().steady for _ in range(2)]


def test_a_clip_that_is_gone_from_many_is_told_at_once(many: Shelf) -> None:
    """In whichever folder: its time of change tells."""
    for number in (1, TURN + 250):
        name = f"f{number % 4}/c{number:05}.mp4"
        (many.root / name).unlink()

        assert name in many.look().missing


def test_a_folder_that_was_set_back_is_still_looked_into(many: Shelf) -> None:
    """A copy program may restore the time of modification, not that of change."""
    before = (many.root / "f1").stat()
    (many.root / "f1/c00001.mp4").unlink()
    os.utime(many.root / "f1", ns=(before.st_atime_ns, before.st_mtime_ns))

    assert many.look().missing == ("f1/c00001.mp4",)


def test_a_clip_cut_short_in_place_is_told_when_its_turn_comes(many: Shelf) -> None:
    """Two looks go all round."""
    (many.root / "f3/c02203.mp4").write_bytes(b"c")

    assert ("f3/c02203.mp4",) in [many.look().missing for _ in range(2)]
    assert many.look().missing == ("f3/c02203.mp4",)  # and from then on in each


def test_a_folder_that_has_just_changed_is_looked_into_again(many: Shelf) -> None:
    """Within one step of the file system's clock it could change once more."""
    (many.root / "f2/new").touch()
    many.look(later_ns=0)
    marks = dict(filed.folders(many.store.db))
    path = many.root / "f2/c00002.mp4"
    path.write_bytes(b"c")

    assert marks["f2/"] is not None
    assert path.name in "".join(many.look().missing)


def test_where_folders_are_not_to_be_trusted_every_clip_is_looked_at(many: Shelf, tmp_path: Path) -> None:
    """On a file system of another machine, or where nothing is known of it."""
    (tmp_path / "others").write_text("server:/x / nfs4 rw 0 0\n")
    for number in (0, 1, 2, 3):  # each cut short in place, one in each folder
        (many.root / f"f{number}/c{number + 2200:05}.mp4").write_bytes(b"c")

    for mounts in (tmp_path / "others", tmp_path / "none"):
        assert len(many.look(mounts=mounts).missing) == 4


def test_what_the_manifest_no_longer_has_is_not_missed(shelf: Shelf) -> None:
    """But it is again, once the manifest has it again."""
    shelf.look()
    (shelf.root / "owl/d.mp4").unlink()

    def recorded(mark: str, jobs: list[int]) -> None:
        shelf.store.record(
            a_manifest(shelf.root, sha256=mark * 64),
            "card",
            lambda: [a_job(number) for number in jobs],
            output_folder=shelf.root,
            version="1",
            now_us=START_US,
        )

    recorded("1", [0, 1, 2, 4])

    assert shelf.look().missing == ()

    recorded("2", [0, 1, 2, 3, 4])

    assert shelf.look().missing == ("owl/d.mp4",)


def test_another_output_folder_is_looked_through_anew(shelf: Shelf, tmp_path: Path) -> None:
    """Where nothing is, everything is missing."""
    shelf.look()
    shelf.root = tmp_path / "other"

    assert len(shelf.look().missing) == 5
