"""A campaign's jobs as a manifest of their own. Reads only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchrunner.cards import load_card, parse_card
from batchrunner.errors import ManifestError, UsageError
from batchrunner.locating import locate
from batchrunner.manifest.load import load_bytes
from batchrunner.manifest.yamlread import read
from batchrunner.standing import state_path
from batchrunner.store import reading, recorded
from batchrunner.store.database import explained, open_readonly
from batchrunner.values import Manifest, content_of, local_pictures
from batchrunner.writing import Exported, Sent, Writer, flow, head, proved

BOUNDS = ("price", "limits", "retry", "recovery")  # what a run may cost; whom to notify is another's


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
    wanted = dict(content_of(one) for job in jobs for one in local_pictures(job.payload).values())
    writer = Writer(card, _files(manifest, row, wanted), target)
    lines = [
        *head(f"{campaign[:57]}-export", row["model"], row["provider"], row["seed"] or 0),
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
        "# run once more, these are new jobs. What the provider's list still shows is taken over,",
        "# the rest is paid for again.",
    ]
    if left:
        lines.append(f"# Not here: what is recorded and no longer in the manifest ({left:,}).")
    if files:
        lines.append("# Local files go along with this one; one with other bytes is refused.")
    return lines


def _remembered(row: Mapping[str, Any]) -> Manifest | None:
    """Return the manifest as it was recorded; None: a picture or a table that it names is gone."""
    try:
        return load_bytes(row["manifest_text"].encode(), Path(row["manifest_path"]))[0]
    except ManifestError:
        return None


def _files(manifest: Manifest | None, row: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, Path]:
    """Return where local pictures and the card are, by the content that is there now.

    Where the manifest does not tell (a table of it is gone, a picture has another name), the `wanted` ones,
    with their extensions, are looked for by their content in its folder and below.
    """
    pictures = manifest.pictures if manifest else ()
    found = {one.sha256: one.path for one in pictures if one.sha256 and one.path}
    left = {sha256: extension for sha256, extension in wanted.items() if sha256 not in found}
    found |= locate(left, (), [Path(row["manifest_path"]).parent], deep=True)
    card = _card_path(row)
    if card is not None and card.is_file():
        found[hashlib.sha256(card.read_bytes()).hexdigest()] = card
    return found


def _bounds(row: Mapping[str, Any]) -> list[str]:
    """Return price and what held the campaign back, as they were told, though its tables may be gone."""
    told = read(row["manifest_text"].encode(), row["manifest_path"]).data
    return [f"{key}: {flow(told[key])}" for key in BOUNDS if key in told]
