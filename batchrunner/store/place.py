"""Where a state table may lie: on a file system whose locks and syncs mean what they say.

On network file systems locks may be granted twice and a sync may be a promise only (SQLite, "How to corrupt
an SQLite database file", sections 2.1 and 3.1). Two runners would pay for the same jobs.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from batchrunner.errors import LocalError

MOUNTS = Path("/proc/self/mounts")  # Linux; elsewhere nothing is known, and nothing refused
NETWORK = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "gfs2",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
        "vboxsf",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.gcsfuse",
        "fuse.rclone",
    ]
)


def check_place(folder: Path, mounts: Path = MOUNTS) -> None:
    """Refuse a folder on a network file system.

    Raises:
        LocalError: it lies on one; the text names it and the way out.
    """
    try:
        table = mounts.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    kind = file_system(PurePosixPath(folder.resolve()), table)
    if kind in NETWORK:
        raise LocalError(
            f"the state folder {folder} lies on a network file system ({kind}), where two runs could pay for "
            "the same jobs: name one on a local disk with --state (outputs may stay there)"
        )


def file_system(path: PurePosixPath, table: str) -> str:
    """Return the type of the file system that a path lies on, from a table of mounts; nothing if unknown."""
    rows = [line.split(" ") for line in table.splitlines()]
    mounts = [(PurePosixPath(_unescaped(row[1])), row[2]) for row in rows if len(row) > 2]
    # Of two mounts on one place the later one is seen.
    over = [
        (len(place.parts), number, kind)
        for number, (place, kind) in enumerate(mounts)
        if path.is_relative_to(place)
    ]
    return max(over, default=(0, 0, ""))[2]


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
