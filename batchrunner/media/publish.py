"""Giving a finished file its name: atomic, durable, never outside the folder, never over a foreign file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from batchrunner.errors import LocalError
from batchrunner.media.download import StrPath, write_all
from batchrunner.media.trouble import MediaError

# Where hard links do not exist (exFAT, some network shares), a rename does the same with a tiny race.
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV}

_ENCODE = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


def place(root: Path, relative: str) -> Path:
    """Return the path of `relative` (with `/`) below `root` and make its folder.

    Raises:
        LocalError: it would lie outside, or the folder cannot be made.
    """
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or "\0" in relative:
        raise LocalError(f"refusing to write outside the output folder: {relative!r}")
    path = root.joinpath(*parts)
    try:
        # Before anything is made: a folder that is a link must not have one made at its other end.
        if not path.parent.resolve().is_relative_to(root.resolve()):
            raise LocalError(f"refusing to write outside the output folder: {path.parent} leads elsewhere")
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise LocalError(f"cannot make the folder {path.parent}: a file has its name") from error
    except OSError as error:
        raise LocalError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    return path


@dataclass(frozen=True, slots=True)
class Mark:
    """By what a file is known that this process wrote itself: nobody has touched it since."""

    inode: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: StrPath) -> Mark:
        """Look at a file, not at what it may link to."""
        info = os.lstat(path)
        return cls(info.st_ino, info.st_size, info.st_mtime_ns)


def publish(part: StrPath, final: StrPath, sha256: str, mark: Mark | None = None) -> None:
    """Rename `part` to `final`; may be repeated after a crash at any point. Durable after `sync_folder`.

    `mark`: the part file as this process left it; where it still is, its hash is not taken again.

    Raises:
        FileExistsError: another file has that name.
        FileNotFoundError: neither is there.
        MediaError: `gone`: the part file is not any more what was fetched; it is removed.
        OSError: the disk.
    """
    if not _is_as_left(part, mark) and not is_ours(part, sha256):
        if is_ours(final, sha256):
            return
        os.unlink(part)
        raise MediaError("the fetched file was changed on the disk; it is fetched again", gone=True)
    try:
        os.link(part, final, follow_symlinks=False)
    except FileExistsError:
        if not is_ours(final, sha256):
            raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(final):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final)) from error
        os.rename(part, final)
        return
    with suppress(FileNotFoundError):
        os.unlink(part)


def _is_as_left(part: StrPath, mark: Mark | None) -> bool:
    try:
        return mark is not None and Mark.of(part) == mark
    except OSError:
        return False


def is_ours(path: StrPath, sha256: str) -> bool:
    """Tell whether a plain file is there whose content is the one that was fetched."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode) and sha256_of(path) == sha256
    except OSError:
        return False


def is_taken(path: StrPath, sha256: str) -> bool:
    """Tell whether something else than the fetched file has this name."""
    return os.path.lexists(path) and not is_ours(path, sha256)


class Draft:
    """A JSON file beside a clip, written under another name until `file` makes it durable and names it.

    Raises:
        OSError: the disk.
    """

    def __init__(self, path: str, data: Mapping[str, Any]) -> None:
        self.path = path
        folder, name = os.path.split(path)
        self._draft = f"{folder}/.{name}.tmp"  # the same each time: what a crash left is used up
        how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor: int | None = os.open(self._draft, how, 0o666)
        try:
            write_all(self._descriptor, _lines(data).encode())
        except BaseException:
            self.close()
            raise

    def file(self) -> None:
        """Give it its name, atomically and whole. The name is durable after `sync_folder`.

        Raises:
            OSError: the disk.
        """
        if self._descriptor is not None:
            os.fsync(self._descriptor)
            self.close()
            os.replace(self._draft, self.path)

    def close(self) -> None:
        """Leave it as it is. Safe to call twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _lines(data: Mapping[str, Any]) -> str:
    """Return JSON with a line for each key: easy to read, and ten times quicker made than by `indent`."""
    lines = [f'  "{key}": {_ENCODE(value)}' for key, value in data.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def sha256_of(path: StrPath) -> str:
    """Return the SHA-256 of a file, as hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: StrPath) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
