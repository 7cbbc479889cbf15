"""What ids may stand in rows that cannot be used: a name that is there is told to be missing by mistake."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

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
        of_words = _OF_WORDS.fullmatch(name)
        head = name if of_words is None else of_words[1] or ""
        return self.texts is None or any(_bare(head) in one for one in self._bare_texts)

    def beside(self, other: Unknown) -> Unknown:
        """Return this and another one in one."""
        return ANYTHING if self.texts is None or other.texts is None else Unknown(self.texts + other.texts)

    @cached_property
    def _bare_texts(self) -> list[str]:
        return [_bare(one) for one in self.texts or ()]


ANYTHING = Unknown(None)


def _bare(text: str) -> str:
    """Return a text without all that an id may write otherwise."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]", "", plain)
