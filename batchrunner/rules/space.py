"""How much room a disk must have before one more clip is paid for. Bytes throughout."""

from __future__ import annotations

RESERVE = 64 << 20  # for the state table, the sidecars, and whatever else writes to this disk
FIRST_GUESS = 32 << 20  # a clip, before one was seen: 10 s at 1080p are 10 to 20 MB
SPARE = 2.0  # clips differ in size


def needed(clips: int, largest: int | None) -> int:
    """Return the room that so many clips may need at most; `largest`: the largest one seen so far."""
    return RESERVE + int(clips * (FIRST_GUESS if largest is None else largest * SPARE))


def megabytes(count: int) -> str:
    """Write a number of bytes for people."""
    return f"{count / 1e6:,.0f} MB"
