"""A limit that the provider tells nobody, over real HTTP: found by a few refusals, kept to, and told.

How well it is used is measured on a simulated clock (tests/simulation/test_capped.py, bench/night.py).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.shell import QUICK, Shell, against

THREE = replace(QUICK, cap_at_once=3, duration_s=(0.2, 0.4), retry_after="1")


def test_a_hidden_limit_is_found_kept_and_told(tmp_path: Path) -> None:
    """Every job is done, no refusal counts against one, and the next run hardly ever asks too much."""
    with against(tmp_path, THREE) as shell:
        first = shell.run("run", shell.write(takes=30))
        met = refused(shell)
        second = shell.run("run", shell.write(takes=60))

        assert (first.code, second.code) == (0, 0), first.err + second.err
        assert 0 < met <= 10
        assert refused(shell) - met <= 5
        assert len(shell.clips()) == 60
        assert shell.charged_at_most_once()
    told = "  slowed down: the provider refused some as too many; if it is its limit, limits: {in_flight: "
    assert any(line.startswith(told) for line in first.out.splitlines()), first.out


def test_a_limit_that_is_told_by_failed_jobs_costs_no_attempt(tmp_path: Path) -> None:
    """They are taken and fail at once, with the provider's words for it: free, and not the job's fault."""
    with against(tmp_path, replace(THREE, cap_tells="failed")) as shell:
        name = shell.write(takes=6)
        path = shell.folder / name
        path.write_text(path.read_text(encoding="utf-8") + "retry: {attempts: 1}\n", encoding="utf-8")
        done = shell.run("run", name)

        assert done.code == 0, done.err
        assert shell.ledger()["statuses"]["failed"] >= 1
        assert "spent $0.90 in all" in done.out


def refused(shell: Shell) -> int:
    """Return how many submissions were answered with 429."""
    outcomes: dict[str, int] = shell.ledger()["outcomes"]
    return outcomes.get("429", 0)
