"""What a run works with outside: folders, threads, the clip process; and the terms it works by."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from batchrunner import __version__
from batchrunner.cards import Card
from batchrunner.clock import Clock
from batchrunner.engine.pool import Threads, Workers
from batchrunner.engine.run import Tools
from batchrunner.engine.steps import Terms
from batchrunner.errors import LocalError
from batchrunner.media.apart import ClipsApart
from batchrunner.media.clips import Provenance
from batchrunner.media.messages import Setup
from batchrunner.providers.base import Provider
from batchrunner.rules.durations import Durations
from batchrunner.rules.polling import Schedule
from batchrunner.store.lock import Lock
from batchrunner.values import Manifest, Picture

ORDERS = 3  # for each download that may go on at once, so that the clip process never waits for the next one


@contextlib.contextmanager
def equipped(
    provider: Provider,
    setup: Setup,
    workers: Workers,
    clock: Clock,
    rng: random.Random,
    *,
    state: Path,
    lock: Lock | None,
) -> Iterator[Tools]:
    """Start threads and the clip process, which inherits the lock; end them afterwards.

    Raises:
        LocalError: the clip process cannot be started.
    """
    waiting = ORDERS * workers.fetchers
    clips = (
        ClipsApart(setup, waiting + 1, [lock.descriptor], lock.note_clip_processes)
        if lock
        else ClipsApart(setup, waiting + 1)
    )
    pools = (
        Threads(workers.submitters, "submit"),
        Threads(workers.callers, "call"),
        Threads(waiting, "fetch"),
        Threads(1, "publish"),
    )
    folders = (Path(setup.root), state)
    try:
        yield Tools(provider, clips, clock, rng, *pools, lambda: free_bytes(folders), clips.unwritable)
    finally:
        for pool in pools:
            pool.close()
        clips.close()


def setup_of(
    manifest: Manifest, card: Card, base_url: str, output: Path, workers: Workers, *, decode: bool
) -> Setup:
    """Return what the clip process must know of a campaign."""
    provenance = Provenance(
        manifest.campaign,
        manifest.sha256,
        card.sha256,
        __version__,
        card.seed_field,
        manifest.provider,
        manifest.seed,
        {sha256: _as_told(one, manifest) for sha256, one in local_pictures(manifest).items()},
    )
    return Setup(base_url, str(output.absolute()), provenance, decode, workers.fetchers)


def terms_of(manifest: Manifest, card: Card, prior: Durations) -> Terms:
    """Return what manifest and card lay down for every attempt."""
    limits = card.limits
    return Terms(
        attempts=manifest.attempts,
        schedule=Schedule(limits.poll_first_s, limits.poll_growth, limits.poll_cap_s),
        queued_s=limits.queued_s,
        wait_s=limits.wait_s,
        submit_timeout_s=limits.submit_timeout_s,
        recovery=manifest.recovery,
        seed_field=card.seed_field,
        order=manifest.order,
        prior=prior,
    )


def local_pictures(manifest: Manifest) -> dict[str, Picture]:
    """Return the manifest's local pictures by content hash."""
    return {picture.sha256: picture for picture in manifest.pictures if picture.sha256}


def _as_told(picture: Picture, manifest: Manifest) -> str:
    """Return a local picture's path from the manifest's folder on: a sidecar goes along with its clip."""
    path, folder = (picture.path or Path()).absolute(), manifest.path.parent
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def free_bytes(folders: Sequence[Path]) -> int:
    """Return the room on the disks of some folders, whichever has less.

    Raises:
        LocalError: it cannot be told.
    """
    try:
        return min(shutil.disk_usage(folder).free for folder in folders)
    except OSError as error:
        raise LocalError(f"cannot see how full the disk is: {error.filename}: {error.strerror}") from error
