"""What becomes of finished files: pure. A failed download is tried again, asked for again, held at last."""

from __future__ import annotations

import random
from dataclasses import replace

from batchrunner.engine.steps import Step, Stop, Tries, give_up, go
from batchrunner.errors import LocalError
from batchrunner.media.trouble import MediaError
from batchrunner.rules import retry
from batchrunner.rules.states import EventKind
from batchrunner.store.changes import Noted
from batchrunner.values import JSON, Attempt, AttemptState, MediaFile, Reason

BAD_MEDIA_FETCHES = 3
FETCH_TROUBLES = 30
GONE_FETCHES = 3


def after_download(
    attempt: Attempt,
    tries: Tries,
    urls: tuple[str, ...],
    files: tuple[MediaFile, ...],
    error: MediaError | LocalError | None,
    now_us: int,
    rng: random.Random,
) -> Step:
    """The files are on the disk as part files, or are not."""
    if error is None and attempt.state is AttemptState.FETCHED:
        again = Noted("fetched again", now_us, attempt.job, attempt.id)
        return Step(replace(attempt, files=files), (again,), next_s=0.0, tries=replace(tries, refetch=False))
    if error is None:
        evidence: dict[str, JSON] = {"files": [file.sha256 for file in files]}
        return go(attempt, EventKind.FETCHED, now_us, None, "", evidence, next_s=0.0, files=files)
    if isinstance(error, LocalError):
        return Step(attempt, urls=urls, tries=tries, stop=Stop.LOCAL, detail=str(error))
    return _fetch_again(attempt, tries, urls, error, now_us, rng)


def after_publish(
    attempt: Attempt,
    tries: Tries,
    files: tuple[MediaFile, ...],
    error: MediaError | LocalError | None,
    now_us: int,
    rng: random.Random,
) -> Step:
    """The files have their final names, or the disk said no. A vanished part file is fetched again."""
    if error is None:
        return go(attempt, EventKind.PUBLISHED, now_us, None, files=files)
    if isinstance(error, MediaError):
        vanished = tries.vanished + 1
        if vanished >= GONE_FETCHES:
            return Step(attempt, stop=Stop.LOCAL, detail=f"{attempt.job}: {error.detail}, again and again")
        note = Noted("part vanished", now_us, attempt.job, attempt.id, detail=error.detail)
        wait_s = retry.trouble_s(vanished, rng)
        return Step(attempt, (note,), next_s=wait_s, tries=Tries(vanished=vanished, refetch=True))
    return Step(attempt, stop=Stop.LOCAL, detail=str(error))


def _fetch_again(
    attempt: Attempt, tries: Tries, urls: tuple[str, ...], error: MediaError, now_us: int, rng: random.Random
) -> Step:
    if error.gone:
        again = replace(tries, gone=tries.gone + 1)
        if again.gone >= GONE_FETCHES:
            return give_up(attempt, now_us, Reason.NO_MEDIA, error.detail)
        return Step(attempt, next_s=retry.trouble_s(again.gone, rng), tries=again)  # no urls: ask for them
    if error.bad:
        again = replace(tries, bad=tries.bad + 1)
        if again.bad >= BAD_MEDIA_FETCHES:
            return give_up(attempt, now_us, Reason.BAD_MEDIA, error.detail)
    else:
        again = replace(tries, troubles=tries.troubles + 1)
        if again.troubles >= FETCH_TROUBLES:
            return give_up(attempt, now_us, Reason.UNCLEAR, error.detail)
    wait_s = retry.trouble_s(again.bad + again.troubles, rng)
    return Step(attempt, next_s=wait_s, tries=again, urls=urls, detail=error.detail)
