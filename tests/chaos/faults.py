"""Faults of system calls in the real program: by strace where it is there, by real limits anywhere.

strace counts the Nth call for each thread by itself. The loop's thread alone makes the state table's calls,
one thread gives the files their names, and each of the first downloads has a thread of its own.
"""

from __future__ import annotations

import functools
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.rig import Night

RUN = [sys.executable, "-m", "batchrunner", "run", "night.yaml", "--quiet"]
# On which files the calls fail: the state table and its journal, or the clips.
TABLE = ("state/night.db", "state/night.db-journal")
FOLDER = ("state",)
TAKES = 3
CLIPS = tuple(
    f"outputs/night/fox/{name}"
    for take in range(1, TAKES + 1)
    for name in (*(f"push-t{take}.a{n}.part" for n in range(1, TAKES + 1)), f".push-t{take}.json.tmp")
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Calls that fail: which, on which files, with which error; `when` is `3` (once) or `3+` (and on)."""

    call: str
    error: str
    when: str
    on: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.call} {self.error} at {self.when} on {Path(self.on[0]).parent}"


@functools.cache
def can_inject() -> bool:
    """Tell whether strace is there and may trace."""
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "true"]
    return shutil.which("strace") is not None and subprocess.run(command, check=False).returncode == 0


def can_mount() -> bool:
    """Tell whether a process here may have mounts of its own."""
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(command, check=False).returncode == 0


def full_disk(night: Night, folder: str, kib: int) -> None:
    """Run with a folder on a disk of so many KiB; afterwards it lies on the ordinary disk, as it was left."""
    script = f"""mkdir -p {folder} && mount -t tmpfs -o size={kib}k,mode=700 none {folder} || exit 99
        "$@"; code=$?
        cp -a {folder} saved && exit $code"""
    night.launch(["unshare", "-rm", "sh", "-c", script, "sh", *RUN])
    (night.folder / folder).rmdir()
    (night.folder / "saved").rename(night.folder / folder)


def small_files(night: Night, blocks: int) -> None:
    """Run while no file may grow beyond so many blocks of 512 bytes: EFBIG, as a quota gives it."""
    night.launch(["sh", "-c", f'ulimit -f {blocks} && exec "$@"', "sh", *RUN])


def wrong_with(night: Night, fault: Fault) -> tuple[bool, list[str]]:
    """Run with a fault, then without; tell whether it fell, and all that is not as promised."""
    log = night.folder / "strace.txt"
    # A path counts as the program spells it, a descriptor by the file's full name.
    paths = [word for name in fault.on for word in ("-P", name, "-P", str(night.folder / name))]
    inject = f"inject={fault.call}:error={fault.error}:when={fault.when}"
    traced = ["strace", "-f", "-qq", "-o", str(log), *paths, "-e", f"trace={fault.call}", "-e", inject]
    night.launch([*traced, *RUN])
    fell = "(INJECTED)" in log.read_text(encoding="utf-8", errors="replace")
    # SQLite passes over a folder that it cannot sync after making a journal there, and need not mind it.
    after = night.last is not None and "the report page was not written" in night.last.err  # the run was over
    codes = {0, 8} if fault.on == FOLDER or after else {8} if fell else {0}
    return fell, [f"{fault}: {one}" for one in wrong_after(night, codes)]


def wrong_after(night: Night, codes: set[int]) -> list[str]:
    """Return what is wrong with the last run and what it left, and with the run that follows it."""
    assert night.last is not None
    code, said = night.last.code, night.last.err
    wrong = [] if code in codes else [f"exit {code}: {said}"]
    names_it = any(name in f"{night.last.out} {said}" for name in ("state/night", "outputs/night"))
    if "Traceback" in said or (code == 8 and not (said.strip() and names_it)):
        wrong.append(f"no clear sentence that names the file: {night.last}")
    known = committed_ids(night)
    night.finish()
    assert night.last is not None
    ids = {row["request_id"] for row in night.rows("SELECT request_id FROM attempts")}
    if not known <= ids:
        wrong.append(f"committed rows are gone: {known - ids}")
    return wrong + list(night.judge().wrong)


def committed_ids(night: Night) -> set[str]:
    """Return the committed request ids, read from a copy: looking must not mend what a fault left."""
    if not night.table.exists():
        return set()
    copy = night.folder / "copy"
    shutil.copytree(night.table.parent, copy, dirs_exist_ok=True)
    with closing(sqlite3.connect(copy / night.table.name)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        assert verdict == "ok", f"the state table is damaged: {verdict}"
        has_rows = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'attempts'").fetchone()
        query = "SELECT request_id FROM attempts WHERE request_id IS NOT NULL"
        found = {row[0] for row in connection.execute(query)} if has_rows else set()
    shutil.rmtree(copy)
    return found


def faults(table_calls: Sequence[int], clip_calls: Sequence[int]) -> list[Fault]:
    """Return every kind of fault at these calls: once, and from then on."""
    of_table = ["pwrite64 ENOSPC", "pwrite64 EIO", "pwrite64 EFBIG", "fdatasync EIO", "fdatasync ENOSPC"]
    of_table += ["openat ENOSPC", "unlink EIO"]
    of_clips = ["openat ENOSPC", "write ENOSPC", "write EFBIG", "fsync EIO", "linkat ENOSPC", "linkat EIO"]
    of_clips += ["unlink EIO", "rename ENOSPC", "rename EIO"]
    kinds = [(of_table, TABLE, table_calls), (["fdatasync EIO"], FOLDER, table_calls)]
    return [
        Fault(call, error, f"{number}{sticky}", on)
        for calls, on, numbers in (*kinds, (of_clips, CLIPS, clip_calls))
        for number in numbers
        for call, error in (one.split() for one in calls)
        for sticky in ("", "+")
    ]
