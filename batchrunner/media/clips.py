"""The output folder of one campaign: clips under the manifest's names, each with a sidecar beside it.

fox/push-in-t1.a12.part        while it is fetched (12: the attempt)
fox/push-in-t1.mp4             once it is whole and checked
fox/push-in-t1.json            manifest, job, payload, seed, request, hashes
fox/push-in-t1-3f9a2c71.mp4    where a foreign file, or an older job's clip, has the name already
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from batchrunner.clock import Clock, utc_text
from batchrunner.errors import LocalError
from batchrunner.media.check import inspect
from batchrunner.media.download import RESUMED_MIN, fetch, forget
from batchrunner.media.folder import PART, OutputFolder
from batchrunner.media.publish import Draft, Mark, is_taken, publish, sync_folder
from batchrunner.media.trouble import MediaError
from batchrunner.media.verdicts import Files, Verdict, publish_all
from batchrunner.providers.http import Http
from batchrunner.values import Attempt, MediaFile, content_of


@dataclass(frozen=True, slots=True)
class Provenance:
    """What every sidecar of a run says alike."""

    campaign: str
    manifest_sha256: str
    card_sha256: str
    version: str
    seed_field: str | None
    provider: str = "gmi"
    campaign_seed: int | None = None
    # Local files as the manifest names them, by content hash.
    pictures: Mapping[str, str] = field(default_factory=dict)


class ClipFolder:
    """Fetches and publishes; both may be repeated and go on where they stopped."""

    def __init__(
        self, http: Http, root: Path, provenance: Provenance, clock: Clock, *, decode: bool = True
    ) -> None:
        self._http = http
        self._folder = OutputFolder(root)
        self._provenance = provenance
        self._clock = clock
        self._decode = decode
        self._marks: dict[str, Mark] = {}  # part files of this run, until they are published

    def fetch(self, attempt: Attempt, urls: Sequence[str]) -> tuple[MediaFile, ...]:
        """Bring every file of an attempt onto the disk as a part file, whole and checked.

        Raises:
            MediaError: a file cannot be had or is not a whole video.
            LocalError: this disk.
        """
        return tuple(self._fetch(attempt, index, url) for index, url in enumerate(urls))

    def publish(self, attempts: Sequence[Attempt]) -> Sequence[Verdict]:
        """Give the fetched files of some attempts their final names, with a sidecar each; durable on return.

        Returns a verdict for each attempt: its files, a MediaError (`gone`: a part file has vanished), or a
        LocalError (this disk). All sidecars are written before the first of them is synced: the disk then
        has one thing to do for all, and not one for each.
        """
        drafts: list[Draft] = []
        try:
            return publish_all(
                attempts, lambda one: self._name(one, drafts), lambda files: self._settle(files, drafts)
            )
        finally:
            for draft in drafts:
                draft.close()

    def restore(self, attempt: Attempt, index: int, url: str) -> None:
        """Put a published file that is gone back under its name, its sidecar too; durable on return.

        Raises:
            MediaError: it cannot be had, or is not the file that was published.
            LocalError: this disk, or another file has its name.
        """
        file, part = attempt.files[index], self._part(attempt, index)
        if self._fetch(attempt, index, url).sha256 != file.sha256:
            forget(part)
            raise MediaError("what the provider has is not the file that was published", gone=True)
        final = self._folder.place(file.path)
        sidecar = self._folder.place(f"{attempt.files[0].path.rpartition('.')[0]}.json")
        try:
            publish(part, final, file.sha256, self._marks.pop(part, None))
            forget(part)
            if not os.path.lexists(sidecar):
                Draft(sidecar, self._story(attempt, attempt.files)).file()
            sync_folder(os.path.dirname(final))
        except FileExistsError as error:
            raise LocalError(f"another file has the name {final}: move it away") from error
        except OSError as error:
            raise self._unwritten(error) from error

    def _settle(self, files: Sequence[MediaFile], drafts: Sequence[Draft]) -> None:
        """Make sidecars and names durable: one sync for each folder.

        Raises:
            LocalError: this disk.
        """
        try:
            for draft in drafts:
                draft.file()
            for folder in {os.path.dirname(self._folder.place(file.path)) for file in files}:
                sync_folder(folder)
        except OSError as error:
            raise self._unwritten(error) from error

    def _fetch(self, attempt: Attempt, index: int, url: str) -> MediaFile:
        part = self._part(attempt, index)
        anew = part not in self._folder.begun
        self._folder.begun.add(part)
        fetched = fetch(self._http, url, part, anew=anew, clock=self._clock)
        try:
            info = inspect(part, fetched.data, decode=self._decode)
        except MediaError:
            forget(part)
            raise
        self._marks[part] = Mark.of(part)
        path = f"{attempt.name}{_suffix(index)}.{info.extension}"
        return MediaFile(path, fetched.sha256, fetched.size, round(info.seconds, 3), info.width, info.height)

    def _name(self, attempt: Attempt, drafts: list[Draft]) -> Files:
        try:
            return self._named(attempt, drafts)
        except FileNotFoundError as error:
            raise MediaError(f"the fetched file has vanished: {error.filename}", gone=True) from error
        except OSError as error:
            raise self._unwritten(error) from error

    def _named(self, attempt: Attempt, drafts: list[Draft]) -> Files:
        for stem in _stems(attempt):
            files = tuple(_renamed(file, index, stem) for index, file in enumerate(attempt.files))
            finals = [self._folder.place(file.path) for file in files]
            sidecar = self._folder.place(f"{stem}.json")
            taken = any(is_taken(final, file.sha256) for final, file in zip(finals, files, strict=True))
            if taken or _is_foreign(sidecar, attempt.job) or any(draft.path == sidecar for draft in drafts):
                continue
            for index, (final, file) in enumerate(zip(finals, files, strict=True)):
                part = self._part(attempt, index)
                publish(part, final, file.sha256, self._marks.pop(part, None))
                if file.size >= RESUMED_MIN:
                    forget(part)  # what was kept beside it
                self._folder.begun.discard(part)
            drafts.append(Draft(sidecar, self._story(attempt, files)))
            return files
        raise LocalError(f"every name for {attempt.name} is taken by other files in {self._folder.root}")

    def _part(self, attempt: Attempt, index: int) -> str:
        return self._folder.place(f"{attempt.name}{_suffix(index)}.a{attempt.id}{PART}")

    def _unwritten(self, error: OSError) -> LocalError:
        return LocalError(f"cannot write {error.filename or self._folder.root}: {error.strerror}")

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
            "provider": common.provider,
            "model": attempt.model,
            "payload": dict(attempt.payload),
            "pictures": {name: self._picture(one) for name, one in attempt.pictures.items()},
            "seed": seed,
            "campaign_seed": common.campaign_seed,
            "request_id": attempt.request_id,
            "submitted_at": utc_text(attempt.submitted_us),
            "accepted_at": utc_text(attempt.accepted_us) if attempt.accepted_us else None,
            "published_at": utc_text(self._clock.now_us()),
            "files": [file.as_json() for file in files],
        }

    def _picture(self, upload: str) -> dict[str, str | None]:
        """Return which local file was uploaded: the payload has only the address, which does not stay."""
        sha256, extension = content_of(upload)
        return {"file": self._provenance.pictures.get(sha256), "sha256": sha256, "extension": extension}


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
