"""A manifest in which nobody looks for jobs that are there twice: what that check is held against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from batchrunner.cards import load_card
from batchrunner.manifest.check import Checker
from batchrunner.manifest.load import manifest_of
from batchrunner.manifest.yamlread import read
from batchrunner.values import Manifest
from tests.manifest.build import HEAD


def unchecked(**changed: Any) -> Manifest:
    """Return the small manifest with some keys changed, checked in its parts only."""
    raw = json.dumps(HEAD | changed).encode()
    path = Path("/shoots/night.yaml")
    document = read(raw, str(path))
    checker = Checker(document, path, load_card(document.data["model"]))
    checker.run()
    assert checker.problems == []
    return manifest_of(document, checker, checker.overall(), raw, path)
