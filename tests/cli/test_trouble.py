"""What is held, in words that fit on a screen."""

from __future__ import annotations

from batchrunner.cli.trouble import trouble_lines
from batchrunner.values import HeldJob


def held(number: int, why: str, *, sent: bool = True) -> HeldJob:
    """Return a held job."""
    return HeldJob(f"j{number}", "moderation", why, None, 0, sent)


def test_hundreds_that_are_held_for_one_reason_leave_room_for_the_others() -> None:
    """Three of each, how many more there are, and each kind of way once."""
    many = [held(number, "the prompt was refused", sent=False) for number in range(200)]
    lines = list(trouble_lines("night", [], [*many, held(200, "lost")]))

    assert [line.split(":")[0] for line in lines if line.startswith("  held")] == [
        "  held  j0",
        "  held  j1",
        "  held  j2",
        "  held  j200",
    ]
    assert "        and 197 more for the same reason" in lines
    assert lines[-1] == "  all 201 held: batchrunner jobs night --state held"
    assert sum("batchrunner retry night" in line for line in lines) == 1
    assert sum("--adopt REQUEST_ID" in line for line in lines) == 1


def test_a_few_are_all_there() -> None:
    """Nothing is left to look up."""
    lines = list(trouble_lines("night", [], [held(1, "lost"), held(2, "lost")]))

    assert [line for line in lines if "more" in line or "all " in line] == []
