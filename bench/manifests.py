"""Prove that every manifest gets a valid plan or a refusal: thousands, drawn from the schema and spoilt.

    python -m bench.manifests [--examples N]

Prints how many there were of each. A manifest that breaks the rule is shown, as small as it can be made.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from tests.manifest.generated import furnish, outcome, spoilt


def main() -> int:
    """Draw and load."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=5_000)
    given_ = parser.parse_args()
    counts, started = Counter[str](), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        furnish(folder)

        @settings(max_examples=given_.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(drawn=spoilt())
        def look(drawn: tuple[bytes, dict[str, str]]) -> None:
            counts[outcome(*drawn, folder)] += 1

        look()
    told = ", ".join(f"{number:,} {what}" for what, number in sorted(counts.items()))
    print(f"generated manifests, {time.perf_counter() - started:.0f} s\n  {told}, nothing else")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
