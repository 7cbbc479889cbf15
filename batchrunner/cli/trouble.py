"""What failed and what is held, the same words in every command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from batchrunner.cli.text import money, plain
from batchrunner.standing import settle_command
from batchrunner.values import HeldJob

HELD_SHOWN = 20


def trouble_lines(
    campaign: str, failed: Iterable[Mapping[str, Any]], held: Sequence[HeldJob]
) -> Iterator[str]:
    """Yield a line for each failed job, and for each held one why, what is at stake and what settles it."""
    for row in failed:
        yield f"  failed  {row['id']}: {plain(row['detail'] or row['reason'] or '')}"
    for one in held[:HELD_SHOWN]:
        stake = money(one.at_stake_micros)
        yield f"  held  {one.job}: {plain(one.detail or one.reason)} ({stake} at stake)"
        yield f"        {settle_command(campaign, one)}"
    if len(held) > HELD_SHOWN:
        yield f"  … {len(held) - HELD_SHOWN:,} more: batchrunner jobs {campaign} --state held"
