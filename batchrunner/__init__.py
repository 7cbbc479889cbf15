"""Runs overnight batches of paid image-to-video jobs: resumable, never paid twice, never lost.

The public face is `Campaign`; everything else may move. It is loaded on first use, so that
`batchrunner --help` does not pay for what it does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Access", "Campaign", "__version__"]

if TYPE_CHECKING:
    from batchrunner.campaign import Access, Campaign


def __getattr__(name: str) -> Any:
    if name in {"Access", "Campaign"}:
        from batchrunner import campaign  # noqa: PLC0415 - the lazy import is the point

        return getattr(campaign, name)
    raise AttributeError(f"module 'batchrunner' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
