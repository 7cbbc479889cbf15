"""A runner's line to the simulated provider: the real adapter, over calls that never leave the process.

The real adapter (providers/gmi.py) stands on this, so what an answer proves is decided by the real tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from batchrunner.providers.gmi import Gmi
from batchrunner.providers.http import Http, Response
from batchrunner.rehearsal.provider import STORE, Provider
from batchrunner.rehearsal.world import Mind
from batchrunner.values import UPLOAD, Picture

ORIGIN = "https://queue.test"


@dataclass(frozen=True, slots=True)
class Line:
    """One runner's HTTP: what the adapter calls."""

    provider: Provider
    mind: Mind

    def post_once(self, url: str, headers: Mapping[str, str], body: bytes, *, read_s: float) -> Response:
        """See `Http`."""
        return self.provider.post(self.mind, body)

    def get(
        self, url: str, headers: Mapping[str, str], *, read_s: float = 0.0, max_bytes: int = 0
    ) -> Response:
        """See `Http`."""
        return self.provider.get(url)


class Customer(Gmi):
    """The real adapter on one runner's line. A picture's address tells its content: nothing is uploaded."""

    def __init__(self, line: Line, key: str = "of-no-account") -> None:
        world = line.provider.world
        super().__init__(ORIGIN, key, None, cast(Http, line), now_s=lambda: world.now_us() / 1e6)

    def upload(self, picture: Picture) -> str:
        """See `Provider`."""
        return public_url(picture.wire)

    def picture_sha256(self, url: str) -> str | None:
        """See `Provider`."""
        return url.removeprefix(f"{STORE}/").partition(".")[0] if url.startswith(STORE) else None


def public_url(wire: str) -> str:
    """Return where a picture lies that was uploaded; others stay where they are."""
    return f"{STORE}/{wire.removeprefix(UPLOAD)}" if wire.startswith(UPLOAD) else wire
