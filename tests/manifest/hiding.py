"""Which mistakes hide which: every pair of those that can be planted, in some minutes.

python -m tests.manifest.hiding
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

from tests.manifest.planted import MISTAKES, may_hide, planted, said


def hiding(folder: Path) -> set[tuple[str, str]]:
    """Return the pairs of which the first hides something that is told of the second alone."""
    alone = {name: said(planted(name) or {}, folder) for name in MISTAKES}
    found = set()
    for pair in itertools.combinations(MISTAKES, 2):
        files = planted(*pair)
        told = said(files, folder) if files is not None else None
        if told is not None:
            found |= {(one, other) for one, other in (pair, pair[::-1]) if not alone[other] <= told}
    return found


def main() -> None:
    """Print what hides what, by what is hidden, and how that differs from what may."""
    with tempfile.TemporaryDirectory() as folder:
        found = hiding(Path(folder))
    pairs = [pair for pair in itertools.combinations(MISTAKES, 2) if planted(*pair)]
    may = {pair for one, other in pairs for pair in ((one, other), (other, one)) if may_hide(*pair)}
    lines = [f"{len(found)} pairs"]
    for name in MISTAKES:
        if by := sorted(one for one, other in found if other == name):
            lines.append(f"{name}: {', '.join(by)}")
    lines += [f"NOT ALLOWED {one} > {other}" for one, other in sorted(found - may)]
    lines += [f"needless {one} > {other}" for one, other in sorted(may - found)]
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
