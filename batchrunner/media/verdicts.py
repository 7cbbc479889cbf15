"""What became of an attempt's files: the files themselves, a MediaError, or a LocalError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from batchrunner.errors import LocalError
from batchrunner.media.trouble import MediaError
from batchrunner.values import Attempt, MediaFile

Files: TypeAlias = tuple[MediaFile, ...]
Verdict: TypeAlias = Files | MediaError | LocalError


def fetch_all(
    attempts: Sequence[Attempt],
    urls: Sequence[Sequence[str]],
    fetch: Callable[[Attempt, Sequence[str]], Files],
) -> list[Verdict]:
    """Fetch the files of each attempt, one after the other; a verdict for each, in order."""
    return [_ruled(partial(fetch, one, its)) for one, its in zip(attempts, urls, strict=True)]


def publish_all(
    attempts: Sequence[Attempt],
    name: Callable[[Attempt], Files],
    settle: Callable[[Sequence[MediaFile]], None],
) -> tuple[Verdict, ...]:
    """Name the files of each attempt, then make all of it durable at once; a verdict for each, in order.

    What could not be made durable is not published, whatever it is called by now.
    """
    verdicts = [_ruled(partial(name, attempt)) for attempt in attempts]
    try:
        settle([file for verdict in verdicts if isinstance(verdict, tuple) for file in verdict])
    except LocalError as error:
        return tuple(error if isinstance(verdict, tuple) else verdict for verdict in verdicts)
    return tuple(verdicts)


def _ruled(files: Callable[[], Files]) -> Verdict:
    try:
        return files()
    except (MediaError, LocalError) as error:
        return error
