"""Every promise about what lies on this disk, looked at: the table's last page, each clip's last byte.

A run looks at what can have changed since the one before (presence.py, store/left.py); this looks at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from batchrunner.clock import Clock
from batchrunner.errors import LocalError
from batchrunner.media.publish import sha256_of
from batchrunner.standing import state_path
from batchrunner.store import reading, soundness
from batchrunner.store.database import READ_ERROR, SMALL, explained, open_readonly
from batchrunner.store.filed import Filed
from batchrunner.store.lock import is_at_work, runner_lock
from batchrunner.store.tables import Store

READERS = 4  # clips that are read at a time
WHOLE = 2**20  # bytes: a clip up to this size is read in one piece


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be. `mend`: the command, or the words, that put it right."""

    kind: str  # damage, contradiction, count, missing, changed, sidecar
    what: str
    mend: str
    job: str | None = None
    path: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Return the fields as `--json` shows them."""
        return {name: getattr(self, name) for name in Finding.__slots__}


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at and what was found. `unchecked`: what was not looked at, and why."""

    campaign: str
    state: Path
    output: Path
    clips: int
    size: int  # bytes of these clips
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0: all is as it should be, as far as it was looked at · 8: it is not."""
        return 8 if self.findings else 0

    def as_json(self) -> dict[str, Any]:
        """Return the stable shape of `verify --json`."""
        return {
            "campaign": self.campaign,
            "whole": not self.findings,
            "exit_code": self.exit_code,
            "state": str(self.state),
            "output": str(self.output),
            "clips": self.clips,
            "bytes": self.size,
            "findings": [one.as_json() for one in self.findings],
            "unchecked": list(self.unchecked),
        }


def verify(
    folder: Path,
    campaign: str,
    output: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Verified:
    """Look at everything that a campaign has on this disk. Changes nothing; a run may be at work.

    Args:
        folder: the folder of state tables.
        campaign: its slug.
        output: the folder of outputs, where it is not the one that the last run used.
        on_progress: called with the finished jobs that were looked at, and how many there are.

    Raises:
        UsageError: there is no such state table.
        LocalError: it is not one, or is damaged beyond reading.
    """
    path = state_path(folder, campaign)
    with explained(path), contextlib.closing(open_readonly(path)) as db:
        row = reading.campaign(db)
        if row is None:
            raise LocalError(f"{path} is not a state table of batchrunner")
        clips = output / row["slug"] if output else Path(row["output_folder"])
        name, unchecked = row["slug"], []
        # A look through a large table keeps a run from committing for seconds.
        if path.stat().st_size > SMALL and is_at_work(path.with_suffix(".lock")):
            unchecked.append(
                f"the state table: a run is at work; once it has ended: batchrunner verify {name}"
            )
            findings = []
        else:
            findings = list(_table(db, path, name))
        if soundness.is_old(db):
            unchecked.append("the table's own counts: an older version made it; the next run adds them")
        every, seen, files, size = reading.totals(db), 0, 0, 0
        done = sum(every.jobs.values()) + every.unlisted
        with ThreadPoolExecutor(READERS) as pool:
            for some in _pages(db, path, findings):
                for wrong in pool.map(lambda one: _clip(clips, one, name), some):
                    findings += [wrong] if wrong else []
                findings += _sidecars(clips, some, name)
                files += len(some)
                size += sum(one.size for one in some)
                seen += len({one.job for one in some})
                on_progress(seen, done)
    return Verified(name, path, clips, files, size, tuple(findings), tuple(unchecked))


def mend_counts(folder: Path, campaign: str, clock: Clock) -> None:
    """Count jobs and attempts anew, where the table's own counts are wrong.

    Raises:
        LockedError: a run is at work.
        LocalError: the state table cannot be written.
    """
    path = state_path(folder, campaign)
    with runner_lock(path.with_suffix(".lock"), clock):
        store = Store(path, create=False)
        try:
            store.recount()
        finally:
            store.close()


# --- the parts ----------------------------------------------------------------------------------------


def _table(db: Database, path: Path, campaign: str) -> Iterator[Finding]:
    copy = (
        f"restore a copy of {path}; without one, move it away and run: it looks in the provider's list first"
    )
    for told in _read(soundness.damage(db)):
        yield Finding("damage", f"the state table is damaged: {told}", copy)
    for told in _read(soundness.contradictions(db, path)):
        yield Finding("contradiction", told, copy)
    for told in _read(soundness.miscounts(db)):
        yield Finding("count", told, f"batchrunner verify {campaign} --mend")


def _read(told: Iterable[str]) -> Iterator[str]:
    """Yield sentences; that the table cannot be read any further is one too."""
    try:
        yield from told
    except READ_ERROR as error:
        yield f"it cannot be read: {error}"


def _pages(db: Database, path: Path, findings: list[Finding]) -> Iterator[list[Filed]]:
    try:
        yield from soundness.published(db)
    except READ_ERROR as error:
        if not findings:
            raise
        # Said already, and what could be read was looked at.
        findings.append(
            Finding("damage", f"{path}: not every clip could be looked for: {error}", "see above")
        )


def _clip(root: Path, one: Filed, campaign: str) -> Finding | None:
    path = root / one.path
    load = f"fetch it again, free: batchrunner verify {campaign} --fetch"
    try:
        size = path.stat().st_size
        if size == one.size and _sha256(path, size) == one.sha256:
            return None
    except FileNotFoundError:
        what, mend = f"{path} is gone", f"put it back, or {load}"
        return Finding("missing", what, mend, one.job, one.path)
    except OSError as error:
        what = f"{path} cannot be read: {error.strerror}"
        return Finding("missing", what, "make it readable, or put it back", one.job, one.path)
    told = f"it has {size:,} bytes, not {one.size:,}" if size != one.size else "its bytes are others"
    return Finding(
        "changed",
        f"{path} is not what was published: {told}",
        f"put the right one back; or move this one away and {load}",
        one.job,
        one.path,
    )


def _sha256(path: Path, size: int) -> str:
    # What `sha256_of` sets aside for reading takes longer than a small file.
    return sha256_of(path) if size > WHOLE else hashlib.sha256(path.read_bytes()).hexdigest()


def _sidecars(root: Path, files: list[Filed], campaign: str) -> Iterator[Finding]:
    for one in {one.job: one for one in reversed(files)}.values():  # the first file of each
        path = root / f"{one.path.rpartition('.')[0]}.json"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            wrong = "" if told["job"] == one.job else f"tells of {told['job']}"
            if not wrong and all(file["sha256"] != one.sha256 for file in told["files"]):
                wrong = "tells of another file"
        except OSError as error:
            wrong = f"cannot be read: {error.strerror}"
        except (ValueError, LookupError, TypeError, RecursionError):
            wrong = "is not as it was written"
        if wrong:
            mend = f"put it back; what it said: batchrunner why {campaign} {one.job} --json"
            yield Finding(
                "sidecar", f"the sidecar {path} {wrong}", mend, one.job, f"{path.relative_to(root)}"
            )
