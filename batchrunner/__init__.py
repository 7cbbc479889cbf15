"""Runs overnight batches of paid image-to-video jobs: resumable, never paid twice, never lost.

The public face is `Campaign`; everything else may move. It is loaded on first use, so that
`batchrunner --help` does not pay for what it does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Campaign", "__version__"]

if TYPE_CHECKING:
    from batchrunner.campaign import Campaign


def __getattr__(name: str) -> Any:
    if name == "Campaign":
        from batchrunner.campaign import Campaign  # noqa: PLC0415 - the lazy import is the point

        return Campaign
    raise AttributeError(f"module 'batchrunner' has no attribute {name!r}")
