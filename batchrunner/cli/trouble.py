"""What failed and what is held, the same words in every command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from batchrunner.cli.text import money, plain
from batchrunner.values import HeldJob
from batchrunner.ways import held_ways, way_line

HELD_SHOWN = 20
ALIKE_SHOWN = 3  # of those that are held for one and the same reason


def trouble_lines(
    campaign: str, failed: Iterable[Mapping[str, Any]], held: Sequence[HeldJob]
) -> Iterator[str]:
    """Yield a line for each failed job, and for each held one why and what is at stake.

    What settles it stands in full below the first one that it settles: a screen has room for 20 jobs.
    """
    told: dict[tuple[bool, bool], str] = {}
    for row in failed:
        yield f"  failed  {row['id']}: {plain(row['detail'] or row['reason'] or '')}"
    alike: dict[str, list[HeldJob]] = {}
    for one in held:
        alike.setdefault(one.detail or one.reason, []).append(one)
    shown = [one for some in alike.values() for one in some[:ALIKE_SHOWN]][:HELD_SHOWN]
    for one in shown:
        stake = money(one.at_stake_micros)
        yield f"  held  {one.job}: {plain(one.detail or one.reason)} ({stake} at stake)"
        kind = (one.sent, one.request_id is not None)
        if kind in told:
            yield f"        settled as {told[kind]} is"
        else:
            told[kind] = one.job
            for way in held_ways(campaign, one, "run again"):
                yield f"        {way_line(way)}"
        some = alike[one.detail or one.reason]
        if len(some) > ALIKE_SHOWN and one is some[ALIKE_SHOWN - 1]:
            yield f"        and {len(some) - ALIKE_SHOWN:,} more for the same reason"
    if len(held) > len(shown):
        yield f"  all {len(held):,} held: batchrunner jobs {campaign} --state held"
