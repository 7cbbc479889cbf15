"""Finished clips that are gone from the disk, fetched again from the provider.

Their request ids are in the state table, so nothing is submitted and nothing is paid: each request is asked
for, and what it has is put where the clip was, if it is the same to the last byte. Needs the runner's lock.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrunner.access import Access
from batchrunner.auditing import ask_for, provider_of, whose_key
from batchrunner.clock import Clock
from batchrunner.errors import UsageError
from batchrunner.files import card_text
from batchrunner.media.clips import ClipFolder, Provenance
from batchrunner.media.trouble import MediaError
from batchrunner.providers.base import Provider
from batchrunner.providers.http import Http
from batchrunner.standing import state_path
from batchrunner.store import reading
from batchrunner.store.database import explained, open_readonly
from batchrunner.store.lock import runner_lock
from batchrunner.values import Attempt, RemoteJob


@dataclass(frozen=True, slots=True)
class Unfetched:
    """A file that did not come back. `lost`: the provider has it no longer, and only a new render makes it.

    `cost_micros`: what that costs at most, in micro-dollars.
    """

    job: str
    path: str
    why: str
    lost: bool
    cost_micros: int


def fetch_again(
    folder: Path,
    campaign: str,
    gone: Iterable[tuple[str, str]],
    clips: Path,
    access: Access,
    clock: Clock,
    on_fetched: Callable[[str], None] = lambda _path: None,
) -> list[Unfetched]:
    """Fetch files of finished jobs again, and return those that could not be had. Costs nothing.

    Args:
        folder: the folder of state tables.
        campaign: its slug.
        gone: jobs and paths of the files, as the state table has them.
        clips: the campaign's own output folder.
        access: the provider's key and address.
        clock: the time.
        on_fetched: called with the path of each file that is there again.

    Raises:
        UsageError: there is no such state table.
        CredentialsError: there is no key, or the provider does not take it.
        OutageError: the provider does not answer.
        LockedError: a run is at work.
        LocalError: this disk, or the state table.
    """
    path = state_path(folder, campaign)
    wanted: dict[str, list[str]] = defaultdict(list)
    for job, file in gone:
        wanted[job].append(file)
    left: list[Unfetched] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(explained(path))
        db = stack.enter_context(contextlib.closing(open_readonly(path)))
        row = reading.campaign(db)
        if row is None:
            raise UsageError(f"{path} is not a state table of batchrunner")
        lock = stack.enter_context(runner_lock(path.with_suffix(".lock"), clock))
        provider = stack.enter_context(provider_of(folder, row["slug"], row["provider"], access))
        # Not decoded: the bytes are compared with those that were decoded when they counted.
        shelf = ClipFolder(Http(provider.origin), clips, _provenance(row), clock, decode=False)
        account = whose_key(provider)
        for attempt in reading.done_attempts(db, wanted):
            left += _fetch_all(attempt, wanted[attempt.job], provider, account, shelf, on_fetched)
        lock.note(lock.epoch, lock.left)  # the state table lies as it was found
    return left


def _fetch_all(
    attempt: Attempt,
    wanted: list[str],
    provider: Provider,
    account: str,
    shelf: ClipFolder,
    on_fetched: Callable[[str], None],
) -> list[Unfetched]:
    """Fetch those files of one attempt that are wanted; return those that could not be had."""
    remote = ask_for(provider, attempt.request_id or "") if attempt.account == account else None
    left = []
    for index, file in enumerate(attempt.files):
        if file.path not in wanted:
            continue
        why, lost = _without(attempt, account, remote)
        if remote is not None and not why:
            try:
                shelf.restore(attempt, index, remote.media[index])
            except MediaError as error:
                why, lost = error.detail, error.gone
        if why:
            left.append(Unfetched(attempt.job, file.path, why, lost, attempt.reserved_micros))
        else:
            on_fetched(file.path)
    return left


def _without(attempt: Attempt, account: str, remote: RemoteJob | None) -> tuple[str, bool]:
    """Say why nothing can be fetched for an attempt, and whether nothing ever can; nothing where it can."""
    if attempt.account != account:
        return f"it was made with the key of another account ({attempt.account})", False
    if remote is None:
        return f"the provider knows its request {attempt.request_id} no longer", True
    if len(remote.media) != len(attempt.files):
        told = f"{remote.status!r}, with {len(remote.media)} of {len(attempt.files)} files"
        return f"the provider says of its request {attempt.request_id}: {told}", True
    return "", False


def _provenance(row: dict[str, Any]) -> Provenance:
    card = json.loads(row.get("card_text") or card_text(row["model"]))
    return Provenance(
        row["slug"],
        row["manifest_sha256"],
        row["card_sha256"],
        row["version"],
        card.get("seed"),
        row["provider"],
        row["seed"],
    )
