"""`verify`: what has changed since it was recorded is named; the real program."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.shell import against


def test_everything_is_looked_at_byte_by_byte(tmp_path: Path) -> None:
    """One byte of one clip, a sidecar, a clip that is gone: each is named, exit 8; a whole campaign is 0."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=3))
        whole = shell.run("verify", "night.yaml")
        first, second, third = sorted((tmp_path / "outputs" / "night").rglob("*.mp4"))
        data = bytearray(first.read_bytes())
        data[-1] ^= 1
        first.write_bytes(data)
        second.with_suffix(".json").unlink()
        third.unlink()
        broken = shell.run("verify", "night")
        told = shell.run("verify", "night", "--json")

    assert (whole.code, broken.code, told.code) == (0, 8, 8), whole.out + whole.err
    assert "3 files" in whole.out
    assert "all as recorded" in whole.out
    assert [one["path"] for one in told.json["flaws"]] == [f"fox/push-t{number}.mp4" for number in (1, 2, 3)]
    assert f"{first.name} is not the file that was published" in broken.out
    assert f"{second.name} has lost the sidecar" in broken.out
    assert f"{third.name} cannot be read: No such file" in broken.out
    assert "batchrunner audit night" in broken.err


def test_a_table_that_was_tampered_with_is_told(tmp_path: Path) -> None:
    """A rule that was taken out."""
    with against(tmp_path) as shell:
        shell.run("run", shell.write(takes=1))
        with closing(sqlite3.connect(tmp_path / "state" / "night.db")) as db:
            db.execute("DROP INDEX one_owner")
            db.commit()
        done = shell.run("verify", "night")

    assert done.code == 8
    assert 'lacks its index "one_owner"' in done.out
