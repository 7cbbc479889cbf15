"""Hours of the night: until when to work, and in which hours to start anything. Pure.

Local times are meant as a person at a clock means them, through changes to and from summer time: a time that
a day skips is an hour later, one that comes twice is meant the first time. `zone` None: this machine's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

LENGTH = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.IGNORECASE)
LENGTH_MAX_S = 366 * 86_400
CLOCK = re.compile(r"\d{2}:\d{2}(:\d{2})?")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})?)?")
WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Window:
    """The hours in which submissions may start, each night anew; over midnight where `closes` is earlier."""

    opens: time
    closes: time

    def __str__(self) -> str:
        return f"{self.opens:%H:%M}-{self.closes:%H:%M}"

    def opens_us(self, now_us: int, zone: tzinfo | None = None) -> int | None:
        """Return when the window opens next (microseconds UTC), or None while it is open."""
        today = _local(now_us, zone).date()
        nights = [self._night_us(today + timedelta(days=days), zone) for days in (-1, 0, 1)]
        if any(opens_us <= now_us < closes_us for opens_us, closes_us in nights):
            return None
        return min(opens_us for opens_us, _closes_us in nights if opens_us > now_us)

    def open_s(self, from_us: int, until_us: int, zone: tzinfo | None = None) -> float:
        """Return for how many seconds the window is open between two moments (microseconds UTC)."""
        day, last = _local(from_us, zone).date() - timedelta(days=1), _local(until_us, zone).date()
        open_us = 0
        while day <= last:
            opens_us, closes_us = self._night_us(day, zone)
            open_us += max(0, min(closes_us, until_us) - max(opens_us, from_us))
            day += timedelta(days=1)
        return open_us / 1e6

    def _night_us(self, day: date, zone: tzinfo | None) -> tuple[int, int]:
        """Return when the window that opens on a day does so, and when it closes."""
        end = day if self.closes > self.opens else day + timedelta(days=1)
        return _moment_us(day, self.opens, zone), _moment_us(end, self.closes, zone)


def window(text: str) -> Window:
    """Read `22:00-07:00`.

    Raises:
        ValueError: it is no such thing; the message says what is.
    """
    match = WINDOW.fullmatch(text)
    if match is None:
        raise ValueError('hours are written like "22:00-07:00"')
    hour, minute, to_hour, to_minute = map(int, match.groups())
    found = Window(time(hour, minute), time(to_hour, to_minute))
    if found.opens == found.closes:
        raise ValueError("the hours begin and end at the same time: leave them out for the whole day")
    return found


def until_us(text: str, now_us: int, zone: tzinfo | None = None) -> int:
    """Read `07:00` (the next time the clock shows it) or `2026-11-24T07:00`; return microseconds UTC.

    A day alone is its beginning; a time with its day may have an offset, `Z` or `+02:00`.

    Raises:
        ValueError: it is neither, or has passed; the message says so.
    """
    clock, day = _read(text)
    if clock is not None:
        today = _local(now_us, zone).date()
        times = (_moment_us(today + timedelta(days=days), clock, zone) for days in (0, 1, 2))
        return next(us for us in times if us > now_us)
    assert day is not None  # noqa: S101 - one of the two was read
    at_us = _us(day) if day.tzinfo else _moment_us(day.date(), day.time(), zone)
    if at_us <= now_us:
        raise ValueError(f"{text} has passed already")
    return at_us


def _read(text: str) -> tuple[time | None, datetime | None]:
    try:
        if CLOCK.fullmatch(text):
            return time.fromisoformat(text), None
        if DAY.fullmatch(text):
            return None, datetime.fromisoformat(text)
    except ValueError:  # 25:00
        pass
    raise ValueError("a time is written like 07:00, or with its day like 2026-11-24T07:00")


def length_s(text: str) -> float:
    """Read `8h`, `90m`, `1h30m` or `10s`; return seconds.

    Raises:
        ValueError: it is no such thing; the message says what is.
    """
    match = LENGTH.fullmatch(text.strip())
    numbers = [int(part or 0) for part in match.groups()] if match else [0, 0, 0]
    seconds = numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
    if not 0 < seconds <= LENGTH_MAX_S:
        raise ValueError("a length of time is written like 8h, 90m, 1h30m or 10s")
    return float(seconds)


def span(seconds: float) -> str:
    """Write a length of time as people say it: `90 s`, `4 min 8 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else rest, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def _local(us: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, zone)


def _moment_us(day: date, clock: time, zone: tzinfo | None) -> int:
    return _us(datetime.combine(day, clock.replace(tzinfo=clock.tzinfo or zone)))


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
