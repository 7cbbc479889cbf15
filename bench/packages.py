"""Other people's packages for a comparison, in a virtual environment that nothing here depends on."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def installed(folder: str, names: tuple[str, ...]) -> Iterator[Path]:
    """Give the interpreter of an environment that has as many of these packages as can be had.

    An empty `folder` means a temporary one; another is kept, and used again by the next run.
    """
    with tempfile.TemporaryDirectory(prefix="bench-packages-") as spare:
        place = Path(folder or spare).absolute()
        python = place / "bin" / "python"
        if not python.exists():
            venv.create(place, with_pip=True)
        for name in names:  # one by one: a package that cannot be had must not keep the others away
            if version(python, name) is None:
                call = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", name]
                if subprocess.run(call, check=False, stdout=subprocess.DEVNULL).returncode:
                    print(f"{name}: could not be installed", file=sys.stderr)
        yield python


def version(python: Path, name: str) -> str | None:
    """Return the version of a package in an environment, None where it is not there."""
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    if python == Path(sys.executable):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None
    done = subprocess.run([str(python), "-c", code], check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None
