"""What the engine may ask of a provider, and what it is promised.

A provider is a paid remote queue. Four of its verbs may be repeated at will; `submit` may not, and no
code but the engine's submit protocol calls it.
"""

from __future__ import annotations

from typing import Protocol

from batchrunner.values import Account, Listing, Payload, Picture, Reason, RemoteJob, Reply


class ProviderError(Exception):
    """A call that may be repeated did not bring an answer. It never says anything about a job's fate.

    `reason` tells what kind of trouble; `detail` is the provider's text, cut and free of control
    characters and of the key; `retry_after_s` is the provider's own wish, if it uttered one.
    """

    def __init__(
        self, reason: Reason, detail: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s


class Provider(Protocol):
    """One account at one remote queue. Every method may be called from several threads at once."""

    name: str
    origin: str  # the base URL in force: request ids and uploads belong to it

    def submit(self, model: str, payload: Payload, *, timeout_s: float) -> Reply:
        """Send one POST at most, on a fresh connection, and say what its outcome proves.

        Never raises for anything the network or the provider does: what is not understood is
        `Evidence.UNKNOWN`. Never retries, never follows a redirect.
        """

    def status(self, request_id: str) -> RemoteJob:
        """Tell how one request stands. May be repeated.

        Raises:
            ProviderError: no answer was had; reason MISSING when the provider does not know the id.
        """

    def recent(self, model: str) -> Listing:
        """List this account's recent requests of one model, newest or oldest first. May be repeated.

        Raises:
            ProviderError: no answer was had.
        """

    def upload(self, picture: Picture) -> str:
        """Store a local file and return its public URL. May be repeated; costs nothing.

        Raises:
            ProviderError: the file was not stored; reason PICTURE when it never will be.
        """

    def picture_sha256(self, url: str) -> str | None:
        """Read a picture that a request was made from and return its SHA-256 (hex); None if it cannot be had.

        May be repeated; the key is not sent along.
        """

    def account(self) -> Account:
        """Check the key and tell whose it is. May be repeated.

        Raises:
            ProviderError: reason CREDENTIALS when the provider does not take the key.
        """
