"""Numbers in words, as every command shows them."""

from __future__ import annotations

from datetime import timedelta


def money(micros: int | None) -> str:
    """Return micro-dollars as dollars; what is not known is said."""
    if micros is None:
        return "unknown"
    dollars = micros / 1e6
    return f"${dollars:,.2f}" if micros % 10_000 == 0 else f"${dollars:,.4f}".rstrip("0")


def to_cents(micros: int) -> int:
    """Return micro-dollars that are only foreseen, to the cent."""
    return round(micros / 10_000) * 10_000


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def lasted(seconds: float) -> str:
    """Return a length of time as people say it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    text = str(timedelta(seconds=round(seconds)))
    return text.removeprefix("0:")


def about(seconds: float) -> str:
    """Return a length of time that is only foreseen, no finer than anyone can know it."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 600:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = round(seconds / 3600)
    return f"{hours} h" if hours < 48 else f"{seconds / 86_400:.1f} days"


def size(count_bytes: int) -> str:
    """Return a number of bytes in kB or MB."""
    return f"{count_bytes / 1e6:.1f} MB" if count_bytes >= 1_000_000 else f"{count_bytes / 1e3:.0f} kB"


def plain(text: str) -> str:
    """Return text from outside without anything that a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text)
