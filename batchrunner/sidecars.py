"""The file beside a clip: what it says, and its job in a state table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrunner.errors import LocalError, UsageError
from batchrunner.manifest.pictures import VIDEO_SUFFIXES
from batchrunner.standing import state_path
from batchrunner.store import reading, recorded
from batchrunner.store.database import explained, maybe_readonly, open_readonly
from batchrunner.values import UPLOAD, Payload, fingerprint

SIDECAR_MAX = 4 << 20  # bytes
NUMBERED = re.compile(r"(.+)-[0-9]+")  # a further file of a job, whose sidecar is beside the first


@dataclass(frozen=True, slots=True)
class Local:
    """A local file that was uploaded for a field of the payload; `file` as the manifest named it."""

    sha256: str
    extension: str
    file: str | None

    @property
    def wire(self) -> str:
        """What stands for it in a payload before it is uploaded."""
        return f"{UPLOAD}{self.sha256}.{self.extension}"


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the file beside a clip says of its job. What earlier versions did not write is None or empty."""

    path: Path
    campaign: str
    job: str
    model: str
    payload: Payload
    provider: str | None
    seed: int  # the campaign's; 0: not known
    card_sha256: str | None
    pictures: Mapping[str, Local]  # by fields of the payload


@dataclass(frozen=True, slots=True)
class Found:
    """A job in a state table that sent what a sidecar tells."""

    campaign: str
    state: Path
    row: dict[str, Any]


def read_sidecar(path: Path) -> Sidecar:
    """Read the file beside a clip, or the one beside the clip that is named.

    Raises:
        UsageError: there is none, or it is something else.
    """
    place = _beside(path)
    try:
        with place.open("rb") as file:
            told = json.loads(file.read(SIDECAR_MAX))
        found = _sidecar(place, told)
    except OSError as error:
        raise UsageError(f"cannot read {place}: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{place} is not the file that batchrunner writes beside a clip") from error
    if not all(isinstance(one, str) for one in (found.campaign, found.job, found.model)) or not isinstance(
        found.payload, dict
    ):
        raise UsageError(f"{place} is not the file that batchrunner writes beside a clip")
    return found


def _beside(path: Path) -> Path:
    """Return the sidecar that a path means: itself, or of a clip the one with its name."""
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return path
    first = NUMBERED.fullmatch(path.stem)
    names = [path.with_suffix(".json"), *([path.with_name(f"{first[1]}.json")] if first else [])]
    found = next((one for one in names if one.is_file()), None)
    if found is None:
        raise UsageError(f"there is no file {names[0]}, which would tell of this clip")
    return found


def _sidecar(place: Path, told: dict[str, Any]) -> Sidecar:
    pictures = {
        name: Local(one["sha256"], one["extension"], one.get("file"))
        for name, one in told.get("pictures", {}).items()
    }
    return Sidecar(
        place,
        told["campaign"],
        told["job"],
        told["model"],
        told["payload"],
        told.get("provider"),
        int(told.get("campaign_seed") or 0),
        told.get("card_sha256"),
        pictures,
    )


def find_like(folder: Path, sidecar: Sidecar) -> Iterator[Found]:
    """Yield the jobs in all state tables of a folder that sent just this, those of its own campaign first."""
    own = state_path(folder, sidecar.campaign)
    tables = sorted(folder.glob("*.db"), key=lambda path: (path != own, path.name))
    for path in tables:
        try:
            yield from _found_in(path, sidecar)
        except LocalError:
            if path == own:
                raise  # of the others, some may be no state tables at all


def _found_in(path: Path, sidecar: Sidecar) -> Iterator[Found]:
    mark = fingerprint(sidecar.model, sidecar.payload)
    with explained(path):
        db = open_readonly(path)
        try:
            row = reading.campaign(db)
            name = row["slug"] if row else path.stem
            for job in recorded.jobs_like(db, sidecar.job, sidecar.model, sidecar.payload, mark):
                yield Found(name, path, job)
        finally:
            db.close()


def manifest_folder(state: Path, campaign: str) -> Path | None:
    """Return the folder of a campaign's manifest, as its state table has it; None: there is none."""
    try:
        with maybe_readonly(state_path(state, campaign)) as db:
            row = reading.campaign(db) if db is not None else None
            return Path(row["manifest_path"]).parent if row else None
    except LocalError:
        return None
