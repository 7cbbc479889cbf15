"""The house keeps its shape: imports go down, one door for each outside library, no print below the roof."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "batchrunner"

# From the ground up; a module may import from its own floor and from those before it.
FLOORS = (
    ("errors", "clock"),
    ("values",),
    ("rules",),
    ("files", "container", "nearest"),
    ("sentences",),
    ("cards", "cardrules"),
    ("pages",),
    ("manifest",),
    ("providers",),
    ("media",),
    ("store",),
    ("emulator",),
    ("engine",),
    ("tallies", "replacing", "saving", "bills", "writing", "locating", "listing", "starting"),
    ("access", "planning", "standing", "ways", "telling", "runlog", "frozen", "billing", "foreseeing"),
    ("report",),
    ("before", "recording", "exporting", "recreating", "sidecars", "presence", "equipment"),
    ("settling", "campaign", "auditing", "verifying", "restoring"),
    ("rehearsal",),
    ("cli", "__main__", "__init__"),
)
DOORS = {
    "requests": {"providers/http.py", "providers/adapters.py"},
    "urllib3": {"providers/http.py", "providers/adapters.py", "providers/pinned.py"},
    "yaml": {"manifest/yamlread.py"},
    "sqlite3": {"store/database.py"},
    "sqlite_utils": {
        "store",
        "planning.py",
        "standing.py",
        "foreseeing.py",
        "frozen.py",
        "before.py",
        "verifying.py",
        "rehearsal/oracle.py",
    },
    "av": {"media/check.py", "report/posters.py", "emulator/render.py"},
    "PIL": {"emulator/pictures.py"},
    "aiohttp": {"emulator/app.py"},
    "click": {"cli"},
    "rich": {"cli/live.py", "cli/watch.py"},
    "dotenv": {"cli/options.py"},
    "jsonschema": {"sentences.py", "cards.py", "cardrules.py", "manifest/shape.py", "manifest/shapewords.py"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def floor(name: str) -> int:
    """Return the floor of a module by its first name below the package."""
    return next(number for number, names in enumerate(FLOORS) if name in names)


def imports(path: Path) -> Iterator[str]:
    """Yield the full names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_and_libraries_have_one_door(path: Path) -> None:
    """Read from the source, so that imports inside functions count too."""
    here = path.relative_to(PACKAGE)
    own = floor(here.parts[0].removesuffix(".py"))
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "batchrunner" and rest:
            assert floor(rest.partition(".")[0]) <= own, f"{here} imports {name}, which is above it"
        doors = DOORS.get(top)
        assert doors is None or {str(here), here.parts[0]} & doors, f"{here} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_roof_prints_exits_and_reads_the_environment(path: Path) -> None:
    """And time, chance and sleep come from outside."""
    here = str(path.relative_to(PACKAGE))
    if here.startswith(("cli/", "emulator/")):
        return
    may = {"clock.py": {"monotonic", "sleep"}, "media/apart.py": {"environ"}}  # its child inherits less of it
    banned = {"print", "exit", "environ", "getenv", "sleep", "monotonic", "perf_counter", "now", "utcnow"}
    found = {
        getattr(node, "attr", getattr(node, "id", None))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name | ast.Attribute)
    }

    assert found & banned - may.get(here, set()) == set()


def test_a_plan_does_not_wait_for_the_engine_and_its_libraries() -> None:
    """They take longer to load than 30,000 jobs to plan."""
    seen = "import sys, batchrunner.cli.plan; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", seen], check=True, capture_output=True, text=True).stdout

    assert {"requests", "urllib3", "batchrunner.engine.loop", "batchrunner.media"}.isdisjoint(loaded.split())
