"""What is told as wrong already: nothing is said a second time, and nothing that only follows from it.

One mistake must neither hide another one nor cause a second message. So every check looks at all that is left
when the wrong parts are taken out; and before it says that something is missing or fits nowhere, it asks
whether that could be because of what was taken out. What is there, and wrong in itself, is always said.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from itertools import pairwise
from typing import Any

Path = tuple[str | int, ...]

GONE: Any = object()  # stands in a list for what was taken out of it: the others keep their numbers


class Doubts:
    """Places in plain data that are wrong as a whole, or that may not be all that was meant.

    `there`: the places that have a value; of what may lack something, only what is not there is in doubt.
    """

    def __init__(self, there: Container[Path] = ()) -> None:
        self._there = there
        self._whole: set[Path] = set()
        self._other: set[Path] = set()
        self._lacking: set[Path] = set()
        self._around: set[Path] = set()
        self._told: set[Path] = set()
        self._at: dict[Path, bool] = {}  # what was asked: rows that are wrong alike ask the same

    def whole(self, path: Path) -> None:
        """Take note of a value that is of no use, or that is missing."""
        self._whole.add(path)
        self._is_in(path[:end] for end in range(len(path)))

    def other(self, path: Path) -> None:
        """Take note of a value that can be used, where another one may have been meant."""
        self._other.add(path)
        self._is_in(path[:end] for end in range(len(path)))

    def told(self, path: Path) -> None:
        """Take note of a value that is told as wrong, and is read as what it was plainly meant to be."""
        self._told.add(path)

    def is_told(self, path: Path) -> bool:
        """Tell whether just this value is told as wrong already."""
        return path in self._told

    def move(self, moved: Callable[[Path], Path]) -> None:
        """Move all that is in doubt along with the values that are read as if they stood elsewhere."""
        known = ((self.whole, self._whole), (self.other, self._other), (self.lacking, self._lacking))
        self._whole, self._other, self._lacking, self._around = set(), set(), set(), set()
        self._at.clear()
        for add, paths in known:
            for path in paths:
                add(moved(path))
        self._told = {moved(path) for path in self._told}

    def lacking(self, path: Path) -> None:
        """Take note of a value that may lack parts."""
        self._lacking.add(path)
        self._is_in(path[:end] for end in range(len(path) + 1))

    def _is_in(self, around: Iterable[Path]) -> None:
        self._around.update(around)
        self._at.clear()

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._whole or self._other or self._lacking)

    def at(self, path: Path) -> bool:
        """Tell whether a place is in doubt: itself, or anything in it."""
        if not self:
            return False  # of most tables nothing is, and each of their rows is asked for many times
        if path not in self._at:
            self._at[path] = path in self._around or self.itself(path)
        return self._at[path]

    def itself(self, path: Path) -> bool:
        """Tell whether a place is in doubt itself, or what it is in."""
        starts = [path[:end] for end in range(len(path) + 1)]
        return any(start in self._whole or start in self._other for start in starts) or any(
            start in self._lacking and below not in self._there for start, below in pairwise(starts)
        )

    def spoilt(self, path: Path) -> bool:
        """Tell whether a place is of no use, or is in what is not."""
        return not self._whole.isdisjoint(path[:end] for end in range(len(path) + 1))

    def may_lack(self, path: Path) -> bool:
        """Tell whether parts of just this value may be missing."""
        return path in self._lacking

    def sound(self, value: Any, path: Path = ()) -> Any:
        """Return data without what is wrong."""
        if path not in self._around:
            return value
        if isinstance(value, dict):
            parts = ((key, (*path, key)) for key in value)
            return {key: self.sound(value[key], at) for key, at in parts if at not in self._whole}
        if isinstance(value, list):
            places = ((one, (*path, index)) for index, one in enumerate(value))
            return [GONE if at in self._whole else self.sound(one, at) for one, at in places]
        return value
