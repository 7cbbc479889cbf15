"""The one way in which a clip cannot be had."""

from __future__ import annotations


class MediaError(Exception):
    """A clip could not be had. `gone`: ask the provider for its address again; `bad`: not a whole video."""

    def __init__(self, detail: str, *, gone: bool = False, bad: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.gone = gone
        self.bad = bad
