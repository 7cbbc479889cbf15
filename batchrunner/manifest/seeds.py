"""Seeds that depend on the campaign's seed, the image, the prompt and the take, and on nothing else. Pure.

One does not move when other images, prompts or settings come or go, and a lost state table derives it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache


class Seeds:
    """Derives seeds from a campaign's: uint31(HMAC-SHA256(campaign seed, image | prompt | take)).

    HMAC (RFC 2104) begins with two blocks that depend on the key alone. They are hashed once here, not once
    for each of a million takes, and what the takes of one place have in common once for each place.
    """

    def __init__(self, campaign_seed: int) -> None:
        key = str(campaign_seed).encode().ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def of(self, image: str, prompt: str, takes: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Yield each take of one place with its seed."""
        place = self._inner.copy()
        place.update(f"{image}|{prompt}|".encode())
        for take in takes:
            inner, outer = place.copy(), self._outer.copy()
            inner.update(b"%d" % take)
            outer.update(inner.digest())
            yield take, int.from_bytes(outer.digest()[:4], "big") & 0x7FFFFFFF


seeds_from = lru_cache(maxsize=8)(Seeds)


def derive_seed(campaign_seed: int, image: str, prompt: str, take: int) -> int:
    """Return the seed of one take (see `Seeds`)."""
    return next(seeds_from(campaign_seed).of(image, prompt, (take,)))[1]
