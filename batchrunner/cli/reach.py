"""Which provider the environment names, and with which key."""

from __future__ import annotations

from batchrunner.access import GMI_URL, Access
from batchrunner.cli.options import environment
from batchrunner.errors import UsageError


def access() -> Access:
    """Return what the environment or a `.env` file says about the provider."""
    values = environment()
    if values.get("GMI_BASE_URL") == "":
        raise UsageError(
            "GMI_BASE_URL is set but empty: unset it for the paid queue, or name another address"
        )
    return Access(
        key=values.get("GMI_API_KEY", "").strip(),
        organization=values.get("GMI_ORG_ID") or None,
        base_url=(values.get("GMI_BASE_URL") or GMI_URL).rstrip("/"),
    )
