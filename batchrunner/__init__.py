"""Runs overnight batches of paid video jobs: resumable, never paid twice, never lost.

The public face is `Campaign`; everything else may move. It is loaded on first use, so that
`batchrunner --help` does not pay for what it does not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Access", "Campaign", "__version__"]

if TYPE_CHECKING:
    from batchrunner.access import Access
    from batchrunner.campaign import Campaign


def __getattr__(name: str) -> Any:
    if name in {"Access", "Campaign"}:
        # Not above: `batchrunner --help` imports this package, and must not wait for all of it.
        return getattr(import_module(f"batchrunner.{name.lower()}"), name)
    raise AttributeError(f"module 'batchrunner' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
