"""Which known name a misspelt one is nearest to: for a hint, or where it is plain, to read on by."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from itertools import islice

KNOWN_MAX = 2_000  # names that one is held against: a table may have 100,000
NAME_MAX = 1_000  # characters; what is longer is a text, and no slip of a name
ALIKE = 0.6  # of 1: from here on two names are near
MAYBE = 0.5  # and from here on one of several may be meant


def nearest(name: str, known: Iterable[str], alike: float = ALIKE) -> str | None:
    """Return the known name that is most like another one, if any is near."""
    if len(name) > NAME_MAX:
        return None
    found = difflib.get_close_matches(name, list(islice(known, KNOWN_MAX)), n=1, cutoff=alike)
    return found[0] if found else None


def some_near(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names that may have been meant, the nearest first."""
    return difflib.get_close_matches(name[:NAME_MAX], list(islice(known, KNOWN_MAX)), n=3, cutoff=MAYBE)


def only_near(name: str, known: Collection[str], alike: float, apart: float) -> str | None:
    """Return the known name that is alike, and by so much more than any other one that it must be meant."""
    if len(name) > NAME_MAX:
        return None
    ratios = sorted(((difflib.SequenceMatcher(None, one, name).ratio(), one) for one in known), reverse=True)
    if not ratios or ratios[0][0] < alike:
        return None
    return ratios[0][1] if len(ratios) < 2 or ratios[0][0] - ratios[1][0] >= apart else None
