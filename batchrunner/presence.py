"""Whether every finished clip is still where it was put, without a look at each of a million.

A folder changes its own time of change (ctime, which nobody can set) whenever a file in it comes, goes or
gets another name. So the folders whose clips were all seen whole, and that have not changed since, are passed
over; the clips of all others are looked at one by one. A file that was cut short in place changes no folder:
so besides, some thousand files are looked at in every run, in turns; in most campaigns that is all of them.
`batchrunner verify` looks at every file, to the last byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from batchrunner.store import filed
from batchrunner.store.filed import Filed, Mark
from batchrunner.store.place import MOUNTS, file_system
from batchrunner.store.tables import Store

TURN = 2_000  # jobs whose files are looked at in every run, whatever their folders say
# A folder may change twice within one step of its file system's clock: one that had just changed when it was
# looked at is looked at again.
FRESH_NS = 2_000_000_000
# Where a folder's time of change is kept, and by this machine; elsewhere every file is looked at.
LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "tmpfs", "overlay"})


@dataclass(frozen=True, slots=True)
class Presence:
    """The listed files that are gone or have another size. `steady`: all is as the last run left it."""

    missing: tuple[str, ...]
    steady: bool


def look(root: Path, store: Store, now_ns: int, mounts: Path = MOUNTS) -> Presence:
    """Look for the finished clips of a campaign and note what was seen.

    Args:
        root: the campaign's output folder.
        store: the state table, taken over by this run.
        now_ns: wall time, nanoseconds.
        mounts: the table of mounted file systems.

    Raises:
        LocalError: the state table cannot be written.
    """
    kept, device = dict(filed.folders(store.db)), _device(root, mounts)
    missing: set[str] = set()
    marks: dict[str, Mark | None] = {}
    for folder, mark in kept.items():
        here = _seen(root / folder, now_ns)
        if here is not None and here[0] == device and _same(mark, here[1]):
            continue
        gone = _gone(root, (one for one in filed.below(store.db, folder) if _folder(one.path) == folder))
        missing.update(one.path for one in gone if one.listed)
        marks[folder] = None if gone or here is None else here[1]
    start = filed.looked_to(store.db)
    turn, end = _turn(store, start)
    for one in _gone(root, (one for one in turn if _folder(one.path) not in marks)):
        marks[_folder(one.path)] = None
        if one.listed:
            missing.add(one.path)
    changed = [(folder, mark) for folder, mark in marks.items() if mark != kept.get(folder)]
    if changed or end != start:
        store.note_files(changed, end)
    steady = not missing and all(kept.get(folder) is not None for folder in marks)
    return Presence(tuple(sorted(missing)), steady)


def _turn(store: Store, start: str) -> tuple[list[Filed], str]:
    """Return the files whose turn it is, and where the next turn begins."""
    found = list(filed.since(store.db, start, TURN))
    if start and len({one.job for one in found}) < TURN:
        found += [one for one in filed.since(store.db, "", TURN) if one.path <= start]
    jobs = {one.job for one in found}
    return found, found[-1].path if found and len(jobs) >= TURN else ""


def _gone(root: Path, files: Iterable[Filed]) -> list[Filed]:
    return [one for one in files if not _is_whole(f"{root}/{one.path}", one.size)]


def _is_whole(path: str, size: int) -> bool:
    try:
        return os.stat(path).st_size == size  # noqa: PTH116 - a path for each of thousands takes longer
    except OSError:
        return False


def _seen(folder: Path, now_ns: int) -> tuple[int, Mark] | None:
    """Return the device that a folder is on, and the folder as it is now; None: it is not there."""
    try:
        info = folder.stat()
    except OSError:
        return None
    return info.st_dev, Mark(info.st_ino, info.st_ctime_ns, now_ns)


def _same(mark: Mark | None, here: Mark) -> bool:
    if mark is None or (mark.inode, mark.changed_ns) != (here.inode, here.changed_ns):
        return False
    return mark.looked_ns - mark.changed_ns >= FRESH_NS


def _folder(path: str) -> str:
    folder, slash, _name = path.rpartition("/")
    return folder + slash


def _device(root: Path, mounts: Path) -> int | None:
    """Return the device of the output folder, if its folders' times of change can be relied on."""
    try:
        table = mounts.read_text(encoding="utf-8", errors="replace")
        local = file_system(PurePosixPath(root.resolve()), table) in LOCAL
        return root.stat().st_dev if local else None
    except OSError:
        return None
