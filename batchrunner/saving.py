"""Writing a file that a person asked for: whole or not at all, durable, and never over somebody else's."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from batchrunner.errors import LocalError, UsageError

# Where hard links do not exist (exFAT, some network shares), a rename does the same with a tiny race.
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}


def save(path: Path, text: str, *, mode: int, ours: Callable[[Path], bool]) -> None:
    """Write `text` to `path`; what is there already is replaced only where `ours` knows it.

    Raises:
        UsageError: something else has that name, or its folder is not there; nothing was written.
        LocalError: the disk.
    """
    check_free(path, ours)
    try:
        _save(path.absolute(), text, mode, replace=os.path.lexists(path))
    except FileExistsError as error:
        raise UsageError(f"{path} was made by somebody else meanwhile: choose another name") from error
    except OSError as error:
        raise LocalError(f"cannot write {path}: {error.strerror}") from error


def check_free(path: Path, ours: Callable[[Path], bool]) -> None:
    """See that a file may be written at `path`; what is there already must be one that `ours` knows.

    Raises:
        UsageError: something else has that name, or its folder is not there.
    """
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file() or not ours(path)):
        raise UsageError(f"{path} is there already and is not ours to replace: choose another name")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}")


def _save(path: Path, text: str, mode: int, *, replace: bool) -> None:
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        _name(draft, path, replace=replace)
    finally:
        if os.path.lexists(draft):
            Path(draft).unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _name(draft: str, path: Path, *, replace: bool) -> None:
    if replace:
        Path(draft).replace(path)
        return
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        Path(draft).replace(path)
