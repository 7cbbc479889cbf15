"""A small manifest, for tests of what becomes of a change to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from batchrunner.cards import Card
from batchrunner.manifest.load import load_bytes
from batchrunner.values import Manifest

HEAD: dict[str, Any] = {
    "version": 1,
    "campaign": "harbour",
    "model": "pixverse-v5.6-i2v",
    "seed": 20261123,
    "images": [{"id": "fox", "url": "https://example.com/fox.png", "vars": {"subject": "the fox"}}],
    "prompts": [{"id": "push-in", "text": "Slow push-in on {subject}"}],
}


def read(**changed: Any) -> tuple[Manifest, Card]:
    """Load the small manifest with some top-level keys changed (JSON is YAML)."""
    return load_bytes(json.dumps(HEAD | changed).encode(), Path("/shoots/night.yaml"))
