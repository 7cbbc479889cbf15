"""Whether what is paid for next can be stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from batchrunner.rules.space import megabytes, needed
from batchrunner.values import MediaFile

LOOK_S = 5.0  # between two looks at the disk


class Space:
    """The room on the disk, looked at now and then; sizes are those of the clips that came so far."""

    def __init__(self, free_bytes: Callable[[], int]) -> None:
        self._free_bytes = free_bytes
        self._free = 0
        self._looked_s = float("-inf")
        self._largest: int | None = None

    def fetched(self, files: Iterable[MediaFile]) -> None:
        """Learn how large a clip is; nothing is learnt from none."""
        if size := sum(file.size for file in files):
            self._largest = max(self._largest or 0, size)

    def lacks(self, live: int, now_s: float) -> str:
        """Return a sentence where there is no room for one clip more than the `live` ones, else nothing.

        Raises:
            LocalError: the disk cannot be asked.
        """
        if now_s - self._looked_s >= LOOK_S:
            self._free, self._looked_s = self._free_bytes(), now_s
        wanted = needed(live + 1, self._largest)
        if self._free >= wanted:
            return ""
        free, wanted_text = megabytes(self._free), megabytes(wanted)
        return f"the disk has {free} free and {wanted_text} may be needed: nothing new is paid for"
