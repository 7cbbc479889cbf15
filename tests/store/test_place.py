"""Where a state table may lie."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from batchrunner.errors import LocalError
from batchrunner.store.place import check_place, file_system

TABLE = """\
/dev/sda / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb /home/me/fast xfs rw 0 0
host:/odd /mnt/with\\040space cifs rw 0 0
tmpfs /over tmpfs rw 0 0
server:/over /over nfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/x", "ext4"),
        ("/home", "nfs4"),
        ("/home/me/state", "nfs4"),
        ("/home/me/fast/state", "xfs"),
        ("/home/me/faster", "nfs4"),
        ("/mnt/with space/state", "cifs"),
        ("/over/state", "nfs"),
    ],
)
def test_the_innermost_latest_mount_counts(path: str, kind: str) -> None:
    """Names are compared as parts, escapes are read, and a later mount hides an earlier one."""
    assert file_system(PurePosixPath(path), TABLE) == kind


def test_a_network_file_system_is_refused_by_name(tmp_path: Path) -> None:
    """With the way out."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")

    with pytest.raises(LocalError, match=r"network file system \(nfs4\).*--state"):
        check_place(tmp_path, mounts)


def test_a_local_disk_and_a_machine_without_such_a_table_are_fine(tmp_path: Path) -> None:
    """Nothing is refused that is not known to be bad."""
    check_place(tmp_path)
    check_place(tmp_path, tmp_path / "none")
