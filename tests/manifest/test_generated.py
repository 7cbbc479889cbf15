"""Generated manifests: a valid plan, or a refusal with every problem in its place. Nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.manifest.generated import furnish, outcome, spoilt


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with the files that the schema's examples speak of."""
    with tempfile.TemporaryDirectory() as name:
        furnish(Path(name))
        yield Path(name)


@settings(derandomize=True, max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=spoilt())
def test_whatever_is_written_is_a_plan_or_a_refusal(
    drawn: tuple[bytes, dict[str, str]], folder: Path
) -> None:
    """Drawn from the schema, then spoilt: keys, values and letters, in the manifest and beside it."""
    assert outcome(*drawn, folder) in {"plan", "refused"}


def test_both_happen(folder: Path) -> None:
    """Else the test above would say little."""
    found = set()

    @settings(derandomize=True, max_examples=60, deadline=None, database=None)
    @given(drawn=spoilt())
    def look(drawn: tuple[bytes, dict[str, str]]) -> None:
        found.add(outcome(*drawn, folder))

    look()

    assert {"plan", "refused"} == found
