"""The output folder of one campaign: clips under the manifest's names, each with a sidecar beside it.

fox/push-in-t1.a12.part        while it is fetched (12: the attempt)
fox/push-in-t1.mp4             once it is whole and checked
fox/push-in-t1.json            manifest, job, payload, seed, request, hashes
fox/push-in-t1-3f9a2c71.mp4    where a foreign file, or an older job's clip, has the name already
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batchrunner.clock import Clock, utc_text
from batchrunner.errors import LocalError
from batchrunner.media.check import inspect
from batchrunner.media.download import NOTE, RESUMED_MIN, fetch, forget
from batchrunner.media.publish import Mark, is_taken, place, publish, sync_folder, write_sidecar
from batchrunner.media.trouble import MediaError
from batchrunner.providers.http import Http
from batchrunner.values import Attempt, MediaFile

PART, PROBE = ".part", ".probe"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What every sidecar of a run says alike."""

    campaign: str
    manifest_sha256: str
    card_sha256: str
    version: str
    seed_field: str | None


class ClipFolder:
    """Fetches and publishes; both may be repeated and go on where they stopped."""

    def __init__(
        self, http: Http, root: Path, provenance: Provenance, clock: Clock, *, decode: bool = True
    ) -> None:
        self._http = http
        self._root = root
        self._provenance = provenance
        self._clock = clock
        self._decode = decode
        self._folders: dict[str, str] = {}  # those that are there and looked at, with their paths
        self._writable: set[str] = set()
        self._marks: dict[str, Mark] = {}  # part files of this run, until they are published
        self._begun: set[str] = set()  # part files that something may be there of already

    def unwritable(self, name: str) -> str:
        """Return why files cannot be made beside a clip of that name, or nothing; looks once a folder.

        Asked before a job is paid for. The folder is made where it is missing.
        """
        folder = name.rpartition("/")[0]
        if folder in self._writable:
            return ""
        try:
            probe = self._place(f"{name}.{os.getpid()}{PROBE}")
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            os.unlink(probe)
        except LocalError as error:
            return str(error)
        except OSError as error:
            return f"cannot write to the folder {self._root / folder}: {error.strerror}"
        self._writable.add(folder)
        return ""

    def fetch(self, attempt: Attempt, urls: Sequence[str]) -> tuple[MediaFile, ...]:
        """Bring every file of an attempt onto the disk as a part file, whole and checked.

        Raises:
            MediaError: a file cannot be had or is not a whole video.
            LocalError: this disk.
        """
        return tuple(self._fetch(attempt, index, url) for index, url in enumerate(urls))

    def publish(self, attempt: Attempt) -> tuple[MediaFile, ...]:
        """Give the fetched files their final names and write the sidecar; durable after `sync`.

        Raises:
            MediaError: `gone`: a part file has vanished.
            LocalError: this disk.
        """
        try:
            return self._publish(attempt)
        except FileNotFoundError as error:
            raise MediaError(f"the fetched file has vanished: {error.filename}", gone=True) from error
        except OSError as error:
            raise LocalError(f"cannot write {error.filename or self._root}: {error.strerror}") from error

    def sync(self, files: Sequence[MediaFile]) -> None:
        """Make the names of published files durable: one sync for each folder.

        Raises:
            LocalError: this disk.
        """
        try:
            for folder in {file.path.rpartition("/")[0] for file in files}:
                sync_folder(self._folders.get(folder) or self._root / folder)
        except OSError as error:
            raise LocalError(f"cannot write {error.filename or self._root}: {error.strerror}") from error

    def _fetch(self, attempt: Attempt, index: int, url: str) -> MediaFile:
        part = self._part(attempt, index)
        anew = part not in self._begun
        self._begun.add(part)
        fetched = fetch(self._http, url, part, anew=anew, clock=self._clock)
        try:
            info = inspect(part, fetched.data, decode=self._decode)
        except MediaError:
            forget(part)
            raise
        self._marks[part] = Mark.of(part)
        path = f"{attempt.name}{_suffix(index)}.{info.extension}"
        return MediaFile(path, fetched.sha256, fetched.size, round(info.seconds, 3), info.width, info.height)

    def _publish(self, attempt: Attempt) -> tuple[MediaFile, ...]:
        for stem in _stems(attempt):
            files = tuple(_renamed(file, index, stem) for index, file in enumerate(attempt.files))
            finals = [self._place(file.path) for file in files]
            sidecar = self._place(f"{stem}.json")
            taken = any(is_taken(final, file.sha256) for final, file in zip(finals, files, strict=True))
            if taken or _is_foreign(sidecar, attempt.job):
                continue
            for index, (final, file) in enumerate(zip(finals, files, strict=True)):
                part = self._part(attempt, index)
                publish(part, final, file.sha256, self._marks.pop(part, None))
                if file.size >= RESUMED_MIN:
                    forget(part)  # what was kept beside it
                self._begun.discard(part)
            write_sidecar(sidecar, self._story(attempt, files))
            return files
        raise LocalError(f"every name for {attempt.name} is taken by other files in {self._root}")

    def _part(self, attempt: Attempt, index: int) -> str:
        return self._place(f"{attempt.name}{_suffix(index)}.a{attempt.id}{PART}")

    def _place(self, relative: str) -> str:
        """Return a path below the root; a folder is made and looked at once, not for every file."""
        folder, _, name = relative.rpartition("/")
        path = self._folders.get(folder)
        if path is None or name == "..":
            path = str(place(self._root, relative).parent)
            notes = (f"{path}/{one}" for one in os.listdir(path) if one.endswith(f"{PART}{NOTE}"))
            self._begun.update(note.removesuffix(NOTE) for note in notes)
            self._folders[folder] = path
        return f"{path}/{name}"

    def _story(self, attempt: Attempt, files: Sequence[MediaFile]) -> dict[str, Any]:
        common = self._provenance
        seed = attempt.payload.get(common.seed_field) if common.seed_field else None
        return {
            "campaign": common.campaign,
            "manifest_sha256": common.manifest_sha256,
            "card_sha256": common.card_sha256,
            "batchrunner": common.version,
            "job": attempt.job,
            "attempt": attempt.number,
            "model": attempt.model,
            "payload": dict(attempt.payload),
            "seed": seed,
            "request_id": attempt.request_id,
            "submitted_at": utc_text(attempt.submitted_us),
            "accepted_at": utc_text(attempt.accepted_us) if attempt.accepted_us else None,
            "published_at": utc_text(self._clock.now_us()),
            "files": [file.as_json() for file in files],
        }


def _stems(attempt: Attempt) -> Iterator[str]:
    """Yield the names to try: the manifest's, then with the job's hash, then with the attempt."""
    mark = attempt.job.rpartition("-")[2]
    yield attempt.name
    yield f"{attempt.name}-{mark}"
    yield f"{attempt.name}-{mark}-a{attempt.id}"


def _suffix(index: int) -> str:
    return f"-{index + 1}" if index else ""


def _renamed(file: MediaFile, index: int, stem: str) -> MediaFile:
    extension = file.path.rpartition(".")[2]
    return replace(file, path=f"{stem}{_suffix(index)}.{extension}")


def _is_foreign(sidecar: str, job: str) -> bool:
    if not os.path.lexists(sidecar):
        return False
    try:
        with open(sidecar, encoding="utf-8") as file:
            told = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return True
    return os.path.islink(sidecar) or not isinstance(told, dict) or told.get("job") != job
