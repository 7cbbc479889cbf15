"""Filing the page: atomically, beside the clips, and only where its bytes have changed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from batchrunner.clock import utc_us
from batchrunner.errors import BatchrunnerError, LocalError
from batchrunner.files import card_text
from batchrunner.report.gather import Night, Row, read_night
from batchrunner.report.page import page
from batchrunner.report.posters import make_stills
from batchrunner.report.shape import CLIP_SUFFIXES, Fields, Shelf, night_data
from batchrunner.standing import state_path
from batchrunner.store import gallery
from batchrunner.store.database import explained, open_readonly
from batchrunner.values import AttemptState

NAME, REDACTED_NAME = "report.html", "report-redacted.html"


def write_report(
    state: Path,
    campaign: str,
    output: Path | None = None,
    keep_on: Callable[[], bool] = lambda: True,
    *,
    redact: bool = False,
) -> Path:
    """Write the page of a campaign into the folder of its clips, and return its path.

    `output`: the folder of outputs, where it is not the one that the last run used. `keep_on` is asked
    before each still: once it says no, the clips that have none yet go without. `redact`: another page, to be
    shown around, without prompts and the addresses of pictures.

    Raises:
        UsageError: there is no state table.
        LocalError: it cannot be read, or the folder is not there or cannot be written.
    """
    night = read_night(state, campaign)
    row = night.campaign
    folder = output / row["slug"] if output else Path(row["output_folder"])
    if not folder.is_dir():
        raise LocalError(f"the folder of the clips is not there: {folder} (name the right one with --output)")
    try:
        there = {path: sha for path, sha in _clips(night) if (folder / path).is_file()}
        stills = make_stills(folder, {sha: path for path, sha in there.items()}, keep_on)
        manifest, typed = _named(Path(row["manifest_path"]), state), Path(state.absolute().name)
        data = night_data(night, _fields(row), Shelf(there, stills), manifest, typed, redact=redact)
        return _file(folder / (REDACTED_NAME if redact else NAME), page(data))
    except OSError as error:
        raise LocalError(f"cannot write the page: {error.filename or folder}: {error.strerror}") from error


def written(state: Path, campaign: str, folder: Path) -> Path | None:
    """Return the page in a folder of clips if it is younger than all that happened but starts of runs.

    Raises:
        UsageError: there is no state table.
        LocalError: it cannot be read.
    """
    page_path = folder / NAME
    path = state_path(state, campaign)
    with explained(path), contextlib.closing(open_readonly(path)) as db:
        changed = gallery.last_change(db)
        try:
            young = changed is None or page_path.stat().st_mtime * 1e6 > utc_us(changed)
        except OSError:
            return None
    return page_path if young else None


def _clips(night: Night) -> Iterator[tuple[str, str]]:
    for attempt in night.attempts:
        if attempt["state"] == AttemptState.DONE:
            first: dict[str, Any] | None = next(iter(attempt["files"]), None)
            if first is not None and first["path"].endswith(CLIP_SUFFIXES):
                yield first["path"], first["sha256"]


def _fields(campaign: Row) -> Fields:
    try:
        return Fields.of(campaign.get("card_text") or card_text(campaign["model"]))
    except (BatchrunnerError, json.JSONDecodeError, KeyError, TypeError):
        return Fields()  # the card of an earlier version: the usual names


def _named(manifest: Path, state: Path) -> str:
    """Return the manifest as one types it beside the state folder: if it can be, no path of this machine."""
    home = state.absolute().parent
    return str(manifest.relative_to(home) if manifest.is_relative_to(home) else manifest)


def _file(path: Path, content: bytes) -> Path:
    if path.is_file() and path.read_bytes() == content:
        return path
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path
