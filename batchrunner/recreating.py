"""A campaign's jobs, or one clip's, as a manifest of their own. Reads only."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrunner.cards import load_card, parse_card
from batchrunner.errors import LocalError, ManifestError, UsageError
from batchrunner.exporting import Exported, Sent, Writer, flow, proved
from batchrunner.manifest.load import load_bytes
from batchrunner.manifest.slugs import ID
from batchrunner.manifest.yamlread import read
from batchrunner.standing import state_path
from batchrunner.store import reading, recorded
from batchrunner.store.database import explained, open_readonly
from batchrunner.values import Manifest, Payload, fingerprint

BOUNDS = ("price", "limits", "retry", "recovery")  # what a run may cost; whom to notify is another's
SIDECAR_MAX = 4 << 20  # bytes
JOB_ID = re.compile(r"(?P<pair>.+)\.t(?P<take>[0-9]+)-[0-9a-f]{8}")


# --- a campaign ---------------------------------------------------------------------------------------


def export(folder: Path, campaign: str, target: Path) -> Exported:
    """Return a manifest of every job of a campaign's manifest, as recorded; `target` is the file it is for.

    Raises:
        UsageError: nothing was recorded of it, or a manifest cannot say all of it.
        LocalError: the state table cannot be read.
    """
    path = state_path(folder, campaign)
    with explained(path):
        db = open_readonly(path)
        try:
            row = reading.campaign(db)
            jobs = [
                Sent(one.image, one.prompt, one.take, json.loads(one.payload)) for one in recorded.listed(db)
            ]
            left = reading.totals(db).unlisted
        finally:
            db.close()
    if row is None or not jobs:
        raise UsageError(f"no job is recorded in {path}")
    card = parse_card(row["card_text"]) if row.get("card_text") else load_card(row["model"])
    manifest = _remembered(row)
    writer = Writer(card, _files(manifest, row), target)
    lines = [
        *_head(f"{campaign[:57]}-export", row["model"], row["provider"], row["seed"] or 0),
        *_own_card(row, writer),
        *_bounds(row),
        "product: false  # the shots alone",
        *writer.images(jobs),
        "prompts:",
        *writer.prompts(jobs),
        "shots:",
        *writer.shots(jobs),
    ]
    text = "\n".join([*_told(row, writer.told, left), *lines]) + "\n"
    if not writer.missing:
        proved(text, target, jobs, row["model"])
    return Exported(text, writer.told, tuple(writer.missing), left)


def _head(campaign: str, model: str, provider: str, seed: int) -> list[str]:
    told = {"version": 1, "campaign": campaign, "model": model, "provider": provider, "seed": seed}
    return [f"{name}: {flow(value)}" for name, value in told.items()]


def _own_card(row: Mapping[str, Any], writer: Writer) -> list[str]:
    """Return the line that names the model's card, where the campaign had one of its own."""
    if _card_path(row) is None:
        return []
    sha256 = row["card_sha256"]
    return [f"card: {flow(writer.file(sha256, f'{sha256}.json'))}  # sha256 {sha256}"]


def _card_path(row: Mapping[str, Any]) -> Path | None:
    told = read(row["manifest_text"].encode(), row["manifest_path"]).data.get("card")
    return Path(row["manifest_path"]).parent / told if told else None


def _told(row: Mapping[str, Any], files: Mapping[str, str], left: int) -> list[str]:
    lines = [
        f"# Every job of the manifest of {row['slug']}, as batchrunner {row['version']} recorded it.",
        f"# manifest sha256 {row['manifest_sha256']}",
        f"# model card sha256 {row['card_sha256']}",
        "# The payloads are the same, byte for byte. The ids are not, for each seed is a take of its own:",
        "# run where the campaign has been run already, these are new jobs, and are paid for again.",
    ]
    if left:
        lines.append(f"# Not here: what is recorded and no longer in the manifest ({left:,}).")
    if files:
        lines.append("# Local files go along with this one; each has the SHA-256 of its bytes beside it.")
    return lines


def _remembered(row: Mapping[str, Any]) -> Manifest | None:
    """Return the manifest as it was recorded; None: a picture or a table that it names is gone."""
    try:
        return load_bytes(row["manifest_text"].encode(), Path(row["manifest_path"]))[0]
    except ManifestError:
        return None


def _files(manifest: Manifest | None, row: Mapping[str, Any]) -> dict[str, Path]:
    """Return where a manifest's local pictures and its card are, by the content that is there now."""
    pictures = manifest.pictures if manifest else ()
    found = {one.sha256: one.path for one in pictures if one.sha256 and one.path}
    card = _card_path(row)
    if card is not None and card.is_file():
        found[hashlib.sha256(card.read_bytes()).hexdigest()] = card
    return found


def _bounds(row: Mapping[str, Any]) -> list[str]:
    """Return price and what held the campaign back, as they were told, though its tables may be gone."""
    told = read(row["manifest_text"].encode(), row["manifest_path"]).data
    return [f"{key}: {flow(told[key])}" for key in BOUNDS if key in told]


# --- one clip -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the file beside a clip says of its job."""

    path: Path
    campaign: str
    job: str
    model: str
    payload: Payload


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
    place = path if path.suffix == ".json" else path.with_suffix(".json")
    try:
        with place.open("rb") as file:
            told = json.loads(file.read(SIDECAR_MAX))
        found = Sidecar(place, told["campaign"], told["job"], told["model"], told["payload"])
    except OSError as error:
        raise UsageError(f"cannot read {place}: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UsageError(f"{place} is not the file that batchrunner writes beside a clip") from error
    if not all(isinstance(one, str) for one in (found.campaign, found.job, found.model)) or not isinstance(
        found.payload, dict
    ):
        raise UsageError(f"{place} is not the file that batchrunner writes beside a clip")
    return found


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


def recreate(sidecar: Sidecar, target: Path) -> Exported:
    """Return a manifest of the one job that made a clip.

    Raises:
        UsageError: there is no card of its model, or a manifest cannot say all of it.
    """
    card = load_card(sidecar.model)
    image, prompt, take = _place(sidecar.job, imageless=not card.image_fields)
    job = Sent(image, prompt, take, sidecar.payload)
    lacking = [name for name in (*card.image_fields, card.prompt_field) if name not in sidecar.payload]
    if lacking:
        raise UsageError(
            f"{sidecar.path}: its payload has no {', '.join(lacking)}, which the model's card names"
        )
    writer = Writer(card, {}, target)
    told = {"id": prompt, "text": writer.words(job), "parameters": writer.parameters(job)}
    # Only an emulator has its pictures at http: the paid queue cannot fetch them.
    played = any(str(sidecar.payload[name]).startswith("http:") for name in card.image_fields)
    lines = [
        f"# The clip of job {sidecar.job} of {sidecar.campaign}: the same payload, byte for byte.",
        "# It is a new job, which is paid for. Pictures are where they were when it was made.",
        *_head(_again(sidecar.campaign), sidecar.model, "emulator" if played else "gmi", 0),
        f"takes: [{writer.seed(job)}]",
        *writer.images([job]),
        "prompts:",
        f"  - {flow(told)}",
    ]
    text = "\n".join(lines) + "\n"
    proved(text, target, [job], sidecar.model)
    return Exported(text, {}, ())


def _again(campaign: str) -> str:
    return f"{campaign[:57]}-again" if ID.fullmatch(campaign) else "again"


def _place(job: str, *, imageless: bool) -> tuple[str, str, int]:
    """Return image, prompt and take of a job by its id; where dots do not tell the first two, any will do.

    `imageless`: its model takes no picture, and there is no image's id in it.
    """
    found = JOB_ID.fullmatch(job)
    if found is None:
        return "" if imageless else "image", "prompt", 1
    if imageless:
        return "", found["pair"], int(found["take"])
    parts = found["pair"].split(".")
    pairs = ((".".join(parts[:n]), ".".join(parts[n:])) for n in range(1, len(parts)))
    sound = (pair for pair in pairs if all(map(ID.fullmatch, pair)))
    image, prompt = next(sound, ("image", "prompt"))
    return image, prompt, int(found["take"])
