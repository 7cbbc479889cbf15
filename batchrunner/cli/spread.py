"""How a plan's jobs spread, in a few lines whatever their number."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from batchrunner.cli.text import money, plain
from batchrunner.tallies import Group, Spread

ROWS = 4  # for each of images, prompts and settings
ROWS_MIN = 2  # the first one, and all others
BELOW = 2  # lines of a terminal that the plan's last line and the next prompt take
NAME_MAX = 44  # characters
NAME_MIN = 12  # of it, on a narrow terminal


def fitting(spread: Spread, around: Sequence[str]) -> list[str]:
    """Return a few lines, and fewer where a terminal has no room for them beside those `around`."""
    size = shutil.get_terminal_size(fallback=(80, 0))  # no height where the output is no terminal
    if not size.lines:
        return list(spread_lines(spread))
    taken = BELOW + _height(around, size.columns)
    for most in range(ROWS, ROWS_MIN, -1):
        lines = _narrowed(spread, most, size.columns)
        if taken + _height(lines, size.columns) <= size.lines:
            return lines
    return _narrowed(spread, ROWS_MIN, size.columns)


def _narrowed(spread: Spread, most: int, columns: int) -> list[str]:
    """Return the lines, with names cut as far as no line needs two of a terminal's."""
    lines = list(spread_lines(spread, most))
    over = max(map(len, lines), default=0) - columns
    if over <= 0:
        return lines
    longest = max(len(name) for rows in _shown(spread, most).values() for name, _group in rows)
    return list(spread_lines(spread, most, max(NAME_MIN, longest - over)))


def _height(lines: Sequence[str], columns: int) -> int:
    return sum(-(-len(line) // columns) for line in lines)


def spread_lines(spread: Spread, most: int = ROWS, name_max: int = NAME_MAX) -> Iterator[str]:
    """Yield some lines for images, prompts and settings; what does not vary has no line."""
    shown = _shown(spread, most, name_max)
    if not shown:
        return
    width = max(len(name) for rows in shown.values() for name, _group in rows)
    jobs = max(len(f"{group.jobs:,}") for rows in shown.values() for _name, group in rows)
    for title, rows in shown.items():
        for number, (name, group) in enumerate(rows):
            head = f"  {title if number == 0 else '':<9}{name:<{width}}"
            yield f"{head}  {group.jobs:>{jobs},} job{' ' if group.jobs == 1 else 's'}  {_left(group)}"


def _shown(spread: Spread, most: int, name_max: int = NAME_MAX) -> Mapping[str, Sequence[tuple[str, Group]]]:
    """Return the rows of images, prompts and settings; what does not vary has none."""
    settings: dict[str, Group] = {one.words: one.group for one in spread.settings}
    axes: Mapping[str, Mapping[str, Group]] = {
        "images": spread.images,
        "prompts": spread.prompts,
        "settings": settings,
    }
    return {title: _few(groups, most, name_max) for title, groups in axes.items() if len(groups) > 1}


def _few(groups: Mapping[str, Group], most: int, name_max: int) -> list[tuple[str, Group]]:
    first = most if len(groups) <= most else most - 1
    rows = [(_cut(plain(name), name_max), group) for name, group in islice(groups.items(), first)]
    rest = list(islice(groups.values(), first, None))
    if not rest:
        return rows
    priced = all(group.cost_micros is not None for group in rest)
    cost = sum(group.cost_micros or 0 for group in rest) if priced else None
    more = Group(sum(group.jobs for group in rest), sum(group.to_submit for group in rest), cost)
    return [*rows, (f"… {len(rest):,} more", more)]


def _left(group: Group) -> str:
    if not group.to_submit:
        return "none to submit"
    number = "" if group.to_submit == group.jobs else f"{group.to_submit:,} to submit, "
    return f"{number}at most {money(group.cost_micros)}"


def _cut(name: str, most: int) -> str:
    """Return a name of at most so many characters: its middle goes, for most differ at the ends."""
    if len(name) <= most:
        return name
    tail = (most - 1) // 2
    return f"{name[: most - 1 - tail]}…{name[-tail:]}"
