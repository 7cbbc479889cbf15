"""The output folder of one campaign: where a file lies, and whether files can be made there at all."""

from __future__ import annotations

import os
from pathlib import Path

from batchrunner.errors import LocalError
from batchrunner.media.download import NOTE
from batchrunner.media.publish import place

PART, PROBE = ".part", ".probe"


class OutputFolder:
    """Knows each folder below the root once it was looked at, so that a clip costs no second look."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.begun: set[str] = set()  # part files that something may be there of already
        self._paths: dict[str, str] = {}
        self._writable: set[str] = set()

    def place(self, relative: str) -> str:
        """Return a path below the root; its folder is made where it is missing.

        Raises:
            LocalError: it would lie outside, or the folder cannot be made.
        """
        folder, _, name = relative.rpartition("/")
        path = self._paths.get(folder)
        if path is None or name == "..":
            path = str(place(self.root, relative).parent)
            notes = (f"{path}/{one}" for one in os.listdir(path) if one.endswith(f"{PART}{NOTE}"))
            self.begun.update(note.removesuffix(NOTE) for note in notes)
            self._paths[folder] = path
        return f"{path}/{name}"

    def unwritable(self, name: str) -> str:
        """Return why files cannot be made beside a clip of that name, or nothing; looks once a folder.

        Asked before a job is paid for. The folder is made where it is missing.
        """
        folder = name.rpartition("/")[0]
        if folder in self._writable:
            return ""
        try:
            probe = self.place(f"{name}.{os.getpid()}{PROBE}")
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            os.unlink(probe)
        except LocalError as error:
            return str(error)
        except OSError as error:
            where = self.root / folder
            return f"cannot write to the folder {where}: {error.strerror}; make it one that you may write to"
        self._writable.add(folder)
        return ""
