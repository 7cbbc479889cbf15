"""What became of an attempt's files: the files themselves, a MediaError, or a LocalError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from batchrunner.errors import LocalError
from batchrunner.media.trouble import MediaError
from batchrunner.values import Attempt, MediaFile

Files: TypeAlias = tuple[MediaFile, ...]
Verdict: TypeAlias = Files | MediaError | LocalError


def publish_all(
    attempts: Sequence[Attempt],
    name: Callable[[Attempt], Files],
    settle: Callable[[Sequence[MediaFile]], None],
) -> tuple[Verdict, ...]:
    """Name the files of each attempt, then make all of it durable at once; a verdict for each, in order.

    What could not be made durable is not published, whatever it is called by now.
    """
    verdicts = [_named(attempt, name) for attempt in attempts]
    try:
        settle([file for verdict in verdicts if isinstance(verdict, tuple) for file in verdict])
    except LocalError as error:
        return tuple(error if isinstance(verdict, tuple) else verdict for verdict in verdicts)
    return tuple(verdicts)


def _named(attempt: Attempt, name: Callable[[Attempt], Files]) -> Verdict:
    try:
        return name(attempt)
    except (MediaError, LocalError) as error:
        return error
