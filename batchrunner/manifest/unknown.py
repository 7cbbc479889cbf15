"""What ids may stand in rows that cannot be used: a name that is there is told to be missing by mistake."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

_CELL = re.compile(r'[^,;\t|"\r\n]+')
_OF_WORDS = re.compile(r"(.+)-[0-9a-f]{6}|x[0-9a-f]{8}")  # ids that are made of words, or of their hash


@dataclass(frozen=True)
class Unknown:
    """All that stands in such rows, as texts; None: that is not known either."""

    texts: tuple[str, ...] | None = ()

    def __bool__(self) -> bool:
        """Tell whether there are any such rows."""
        return self.texts != ()

    def may_be(self, name: str) -> bool:
        """Tell whether one of them may have an id."""
        if not self:
            return False
        if self.texts is None:
            return True
        of_words = _OF_WORDS.fullmatch(name)
        plain = _letters(name if of_words is None else of_words[1] or "")
        return plain in self._cells or any(plain in one for one in self._plain_texts)

    def beside(self, other: Unknown) -> Unknown:
        """Return this and another one in one."""
        return ANYTHING if self.texts is None or other.texts is None else Unknown(self.texts + other.texts)

    @cached_property
    def _plain_texts(self) -> list[str]:
        return [_letters(one) for one in self.texts or ()]

    @cached_property
    def _cells(self) -> frozenset[str]:
        """Most ids are cells of their own: to look 100,000 of them up in one text would take minutes."""
        return frozenset(_letters(cell) for one in self.texts or () for cell in _CELL.findall(one))


ANYTHING = Unknown(None)


@dataclass(frozen=True)
class Others:
    """The ids that images and prompts may have beside the known ones.

    `strangers`: `image` or `prompt`, and a name that plainly is none of theirs all the same.
    """

    images: Unknown
    prompts: Unknown
    strangers: Collection[tuple[str, str]] = ()

    def __bool__(self) -> bool:
        """Tell whether there may be any."""
        return bool(self.images or self.prompts)

    def of(self, key: str) -> Unknown:
        """Return the ids that others may have; `key`: `image` or `prompt`."""
        return self.images if key == "image" else self.prompts

    def nobody(self, key: str, name: str) -> bool:
        """Tell whether it is certain that no image, or no prompt, has a name that is no known one."""
        return (key, name) in self.strangers or not self.of(key).may_be(name)


def _letters(text: str) -> str:
    """Return a text without all that an id may write otherwise."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]", "", plain)
