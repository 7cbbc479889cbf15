"""The disk for finished clips: in memory, with the one difference that counts, durable or not yet.

Where a folder is given, empty files of the right length stand for the clips, for those who look for them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrunner.media import verdicts
from batchrunner.media.trouble import MediaError
from batchrunner.media.verdicts import Files, Verdict
from batchrunner.rehearsal.world import World
from batchrunner.values import Attempt, MediaFile

SIZE = 1_000  # bytes of a clip


def sha256_of(request_id: str) -> str:
    """Return the hash of the clip that a request made."""
    return hashlib.sha256(request_id.encode()).hexdigest()


@dataclass(slots=True)
class Name:
    """A file under its final name."""

    attempt_id: int
    sha256: str
    durable: bool = False


class Shelf:
    """Part files by attempt (durable once `fetch` has returned) and files under their final names."""

    def __init__(self, world: World, folder: Path | None = None) -> None:
        self.world = world
        self.folder = folder
        self.parts: dict[int, MediaFile] = {}
        self.names: dict[str, Name] = {}
        self.wrongs: list[str] = []

    def fetch(self, attempts: Sequence[Attempt], urls: Sequence[Sequence[str]]) -> Sequence[Verdict]:
        """See `Clips`."""
        self.world.answer_after_s = 0.0
        return verdicts.fetch_all(attempts, urls, self._fetch)

    def _fetch(self, attempt: Attempt, urls: Sequence[str]) -> Files:
        world = self.world
        place, _, until = urls[0].partition("?until=")
        world.answer_after_s += world.rng.uniform(0.0, world.schedule.fetch_s)
        if world.steady_s > float(until):
            raise MediaError("the address has expired", gone=True)
        if world.cut:
            raise MediaError("the connection was lost")
        if not world.calm and world.rng.random() < world.schedule.fetch_trouble:
            word = world.rng.choice(("gone", "bad", "trouble"))
            raise MediaError(word, gone=word == "gone", bad=word == "bad")
        sha256 = sha256_of(place.rpartition("/")[2])
        self.parts[attempt.id] = MediaFile(f"{attempt.name}.mp4", sha256, SIZE, 5.0, 64, 64)
        return (self.parts[attempt.id],)

    def publish(self, attempts: Sequence[Attempt]) -> Sequence[Verdict]:
        """See `Clips`."""
        return verdicts.publish_all(attempts, self._name, self._settle)

    def _name(self, attempt: Attempt) -> Files:
        for file in attempt.files:
            there = self.names.get(file.path)
            if there is not None and there.sha256 == file.sha256:
                continue
            if there is not None:
                self.wrongs.append(f"{file.path}: a paid file would have been overwritten")
            if attempt.id not in self.parts:
                raise MediaError("the part file is gone", gone=True)
            del self.parts[attempt.id]
            self.names[file.path] = Name(attempt.id, file.sha256)
            if self.folder is not None:
                path = self.folder / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                os.truncate(path, SIZE)
        return attempt.files

    def _settle(self, files: Sequence[MediaFile]) -> None:
        for file in files:
            if file.path in self.names:
                self.names[file.path].durable = True

    def power_cut(self) -> None:
        """Lose the renames that no sync had made durable: the file is a part file again, or gets its name."""
        for path, name in list(self.names.items()):
            if not name.durable and self.world.rng.random() < 0.5:
                del self.names[path]
                if self.folder is not None:
                    (self.folder / path).unlink()
                self.parts[name.attempt_id] = MediaFile(path, name.sha256, SIZE, 5.0, 64, 64)
