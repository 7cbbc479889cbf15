"""Looking at everything again: the state table page by page, and every published file byte by byte."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrunner.errors import LocalError
from batchrunner.standing import state_path
from batchrunner.store import reading
from batchrunner.store.database import explained, open_readonly
from batchrunner.store.expected import check_schema
from batchrunner.store.published import damage, published
from batchrunner.values import MediaFile

BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is not as it was recorded. No `job` and `path`: the table itself is meant."""

    what: str
    job: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at, and what was found."""

    campaign: str
    output: Path
    files: int
    size: int  # bytes that were read
    flaws: tuple[Flaw, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the fields as `--json` shows them."""
        flaws = [{"what": one.what, "job": one.job, "path": one.path} for one in self.flaws]
        return {
            "campaign": self.campaign,
            "output": str(self.output),
            "files": self.files,
            "bytes": self.size,
            "flaws": flaws,
        }


def verify(folder: Path, campaign: str, output: Path | None = None) -> Verified:
    """Compare a campaign's state table and files with what was recorded. Nothing is changed.

    `output`: the folder of outputs; default: where the last run put them.

    Raises:
        UsageError: there is no such state table.
        LocalError: it cannot be read at all.
    """
    path = state_path(folder, campaign)
    with explained(path), contextlib.closing(open_readonly(path)) as db:
        row = reading.campaign(db)
        if row is None:
            raise LocalError(f"{path} is not a state table of batchrunner")
        where = output / campaign if output is not None else Path(row["output_folder"])
        flaws = [Flaw(text) for text in damage(db)]
        try:
            check_schema(db, path)
        except LocalError as error:
            flaws.append(Flaw(str(error)))
        files = size = 0
        for job, file in published(db):
            files, size = files + 1, size + file.size
            if what := _wrong(where, file):
                flaws.append(Flaw(what, job, file.path))
    return Verified(campaign, where, files, size, tuple(flaws))


def _wrong(folder: Path, file: MediaFile) -> str:
    """Return what is wrong with a file, or nothing."""
    path = folder / file.path
    try:
        with path.open("rb") as stream:
            digest = hashlib.sha256()
            while block := stream.read(BLOCK):
                digest.update(block)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if digest.hexdigest() != file.sha256:
        return "is not the file that was published: its content has changed"
    return "" if path.with_suffix(".json").exists() else "has lost the sidecar beside it"
