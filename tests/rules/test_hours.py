"""Times of the night as people say them, through summer time and midnight."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from batchrunner.rules.hours import length_s, span, until_us, window

BERLIN = ZoneInfo("Europe/Berlin")


def us(text: str) -> int:
    """Return a time in UTC as microseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


@pytest.mark.parametrize(
    ("now", "text", "expected"),
    [
        ("2026-11-23T21:00", "07:00", "2026-11-24T06:00"),
        ("2026-11-24T05:59", "07:00", "2026-11-24T06:00"),
        ("2026-11-24T06:00", "07:00", "2026-11-25T06:00"),
        ("2026-11-23T21:00", "2026-11-25T07:00", "2026-11-25T06:00"),
        ("2026-11-23T21:00", "2026-11-25 07:00", "2026-11-25T06:00"),
        ("2026-11-23T21:00", "2026-11-25T07:00Z", "2026-11-25T07:00"),
        ("2026-11-23T21:00", "2026-11-25T07:00:30+02:00", "2026-11-25T05:00:30"),
        ("2026-11-23T21:00", "2026-11-25", "2026-11-24T23:00"),
        ("2026-11-23T21:00", "07:00:30", "2026-11-24T06:00:30"),
        # Spring: the clock goes from 02:00 to 03:00 on 29 March 2026; 02:30 is skipped.
        ("2026-03-28T21:00", "07:00", "2026-03-29T05:00"),
        ("2026-03-28T21:00", "02:30", "2026-03-29T01:30"),
        # Autumn: from 03:00 back to 02:00 on 25 October 2026; 02:30 comes twice.
        ("2026-10-24T21:00", "07:00", "2026-10-25T06:00"),
        ("2026-10-24T21:00", "02:30", "2026-10-25T00:30"),
        ("2026-10-25T00:45", "02:30", "2026-10-26T01:30"),
    ],
)
def test_until_is_the_next_time_that_a_clock_shows_it(now: str, text: str, expected: str) -> None:
    """In Berlin; what is expected is in UTC."""
    assert until_us(text, us(now), BERLIN) == us(expected)


NO_TIMES = ["", "7", "0700", "T07:00", "07:00Z", "20261125", "2026-W48-2", "25:00", "07:60", "soon"]


@pytest.mark.parametrize("text", [*NO_TIMES, "2026-13-01", "tomorrow 07:00"])
def test_what_is_no_time_is_told_what_one_is(text: str) -> None:
    """With both forms."""
    with pytest.raises(ValueError, match=r"07:00, or with its day like 2026-11-24T07:00"):
        until_us(text, us("2026-11-23T21:00"), BERLIN)


def test_a_time_that_has_passed_is_refused() -> None:
    """Only one with its day can."""
    with pytest.raises(ValueError, match="has passed already"):
        until_us("2026-11-22T07:00", us("2026-11-23T21:00"), BERLIN)


@pytest.mark.parametrize(
    ("text", "seconds"), [("8h", 28_800), ("90m", 5_400), ("1h30m", 5_400), ("10s", 10), ("2H", 7_200)]
)
def test_a_length_of_time(text: str, seconds: float) -> None:
    """Hours, minutes, seconds."""
    assert length_s(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "8", "h", "-1h", "1.5h", "30m1h", "9999999h"])
def test_what_is_no_length_is_told_what_one_is(text: str) -> None:
    """With examples."""
    with pytest.raises(ValueError, match="like 8h, 90m"):
        length_s(text)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-23T20:59", "2026-11-23T21:00"),
        ("2026-11-23T21:00", None),
        ("2026-11-24T05:59", None),
        ("2026-11-24T06:00", "2026-11-24T21:00"),
        ("2026-11-24T12:00", "2026-11-24T21:00"),
        ("2026-03-29T04:59", None),  # the night is an hour shorter
        ("2026-03-29T05:00", "2026-03-29T20:00"),
        ("2026-10-25T05:59", None),  # the night is an hour longer
        ("2026-10-25T06:00", "2026-10-25T21:00"),
    ],
)
def test_a_window_over_midnight(now: str, opens: str | None) -> None:
    """22:00 to 07:00 in Berlin, also on the days when the clock is changed."""
    assert window("22:00-07:00").opens_us(us(now), BERLIN) == (us(opens) if opens else None)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-23T07:00", "2026-11-23T08:00"),
        ("2026-11-23T12:00", None),
        ("2026-11-23T16:00", "2026-11-24T08:00"),
    ],
)
def test_a_window_within_a_day(now: str, opens: str | None) -> None:
    """09:00 to 17:00."""
    assert window("09:00-17:00").opens_us(us(now), BERLIN) == (us(opens) if opens else None)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-11-23T12:00", "2026-11-24T12:00", 9.0),
        ("2026-11-23T23:00", "2026-11-24T01:00", 2.0),
        ("2026-11-24T05:00", "2026-11-25T22:00", 1.0 + 9.0 + 1.0),
        ("2026-11-24T07:00", "2026-11-24T20:00", 0.0),
        ("2026-03-28T12:00", "2026-03-29T12:00", 8.0),  # the night is an hour shorter
        ("2026-10-24T12:00", "2026-10-25T12:00", 10.0),
    ],
)
def test_how_long_a_window_is_open_within_a_time(start: str, end: str, hours: float) -> None:
    """22:00 to 07:00 in Berlin."""
    assert window("22:00-07:00").open_s(us(start), us(end), BERLIN) == hours * 3600


@pytest.mark.parametrize("text", ["22-07", "22:00", "22:00-25:00", "22:00 - 07:00", "07:00-07:00"])
def test_what_is_no_window_is_told_what_one_is(text: str) -> None:
    """In words."""
    with pytest.raises(ValueError, match="hours"):
        window(text)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (119.4, "119 s"),
        (120, "2 min"),
        (248, "4 min 8 s"),
        (1826, "30 min 26 s"),
        (3600, "1 h"),
        (7529, "2 h 5 min"),
    ],
)
def test_a_length_of_time_is_said_as_people_say_it(seconds: float, said: str) -> None:
    """Seconds only where they matter."""
    assert span(seconds) == said
