"""One action, one effect, one outcome.

The loop hands a frozen Action to a worker thread; the worker touches the outside once and hands a frozen
Outcome back. Workers know nothing of the state table. Only `Submit` costs money, and only the loop makes
one, after its attempt is durable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from batchrunner.errors import LocalError
from batchrunner.media.trouble import MediaError
from batchrunner.media.verdicts import Verdict
from batchrunner.providers.base import Provider, ProviderError
from batchrunner.values import Account, Attempt, Listing, MediaFile, Picture, Reason, RemoteJob, Reply


class Clips(Protocol):
    """Where finished clips go. Both verbs may be repeated: they go on where they stopped.

    Both return a verdict for each attempt, in their order: its files, a MediaError, or a LocalError (this
    machine's disk).
    """

    def fetch(self, attempts: Sequence[Attempt], urls: Sequence[Sequence[str]]) -> Sequence[Verdict]:
        """Bring every file of some attempts onto the disk, whole, checked and durable, as part files.

        `urls`: of each attempt's files. A MediaError: they cannot be had, or are not what they should be.
        """

    def publish(self, attempts: Sequence[Attempt]) -> Sequence[Verdict]:
        """Give the fetched files of some attempts their final names, durably; never over a foreign file.

        A MediaError with `gone`: a part file has vanished.
        """


# --- actions ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask whose the key is: the cheapest free call there is."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Give a local picture a public URL."""

    picture: Picture


@dataclass(frozen=True, slots=True)
class Submit:
    """The one POST that costs money, for an attempt that is durable as `submitting`."""

    attempt: Attempt
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask how an accepted request stands."""

    attempt_id: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Survey:
    """List the recent requests of a model, to learn which of many accepted ones are over."""

    model: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """List the recent requests of a model, to learn what the state table may have lost.

    Then read the pictures at some addresses in it: only their content says which they are.
    """

    model: str
    listing: Listing | None = None
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """List the recent requests of a model; then ask one by one for those whose echo was missing."""

    model: str
    listing: Listing | None = None
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Download:
    """Bring the finished files of some attempts to the disk; `urls`: of each one's files."""

    attempts: tuple[Attempt, ...]
    urls: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Publish:
    """Give the fetched files of some attempts their final names, and make all of them durable together."""

    attempts: tuple[Attempt, ...]


Action: TypeAlias = Probe | Upload | Submit | Poll | Survey | Sweep | Search | Download | Publish


# --- outcomes -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Probed:
    """`account` or what went wrong."""

    account: Account | None
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class Uploaded:
    """`public_url` or what went wrong."""

    sha256: str
    public_url: str | None
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """What the POST's outcome proves."""

    attempt_id: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class Polled:
    """`remote` or what went wrong."""

    attempt_id: int
    remote: RemoteJob | None
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class Surveyed:
    """`listing` or what went wrong."""

    model: str
    listing: Listing | None
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """`listing` or what went wrong; `pictures`: hashes by address, once they were read."""

    model: str
    listing: Listing | None
    error: ProviderError | None = None
    pictures: Mapping[str, str | None] | None = None


@dataclass(frozen=True, slots=True)
class Searched:
    """`listing` or what went wrong; `reread` is True once missing echoes were asked for one by one."""

    model: str
    listing: Listing | None
    reread: bool = False
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One attempt's files, or what went wrong there or here."""

    attempt_id: int
    files: tuple[MediaFile, ...] = ()
    error: MediaError | LocalError | None = None


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What became of each attempt of a `Download`."""

    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """What became of each attempt of a `Publish`."""

    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Crashed:
    """A bug: an action ended in an exception that nothing expects."""

    action: Action
    error: BaseException


Outcome: TypeAlias = (
    Probed | Uploaded | Submitted | Polled | Surveyed | Swept | Searched | Downloaded | Published | Crashed
)


def perform(action: Action, provider: Provider, clips: Clips) -> Outcome:
    """Carry out one action. Never raises."""
    try:
        return _perform(action, provider, clips)
    except Exception as error:  # a worker must not die without a verdict
        return Crashed(action, error)


def _perform(action: Action, provider: Provider, clips: Clips) -> Outcome:
    match action:
        case Submit(attempt, timeout_s):
            return Submitted(attempt.id, provider.submit(attempt.model, attempt.payload, timeout_s=timeout_s))
        case Poll():
            return _poll(action, provider)
        case Download(attempts, urls):
            return Downloaded(tuple(map(_result, attempts, clips.fetch(attempts, urls))))
        case Publish(attempts):
            return Published(tuple(map(_result, attempts, clips.publish(attempts))))
        case Survey(model):
            return Surveyed(model, *_list(model, provider))
        case Sweep():
            return _sweep(action, provider)
        case Search():
            return _search(action, provider)
        case Upload(picture):
            return _upload(picture, provider)
        case Probe():
            return _probe(provider)


def _result(attempt: Attempt, verdict: Verdict) -> Result:
    return Result(attempt.id, verdict) if isinstance(verdict, tuple) else Result(attempt.id, (), verdict)


def _poll(action: Poll, provider: Provider) -> Polled:
    try:
        return Polled(action.attempt_id, provider.status(action.request_id))
    except ProviderError as error:
        return Polled(action.attempt_id, None, error)


def _upload(picture: Picture, provider: Provider) -> Uploaded:
    try:
        return Uploaded(picture.sha256 or "", provider.upload(picture))
    except ProviderError as error:
        return Uploaded(picture.sha256 or "", None, error)


def _probe(provider: Provider) -> Probed:
    try:
        return Probed(provider.account())
    except ProviderError as error:
        return Probed(None, error)


def _list(model: str, provider: Provider) -> tuple[Listing | None, ProviderError | None]:
    try:
        return provider.recent(model), None
    except ProviderError as error:
        return None, error


def _sweep(action: Sweep, provider: Provider) -> Swept:
    if action.listing is None:
        return Swept(action.model, *_list(action.model, provider))
    pictures = {url: provider.picture_sha256(url) for url in action.urls}
    return Swept(action.model, action.listing, pictures=pictures)


def _search(action: Search, provider: Provider) -> Searched:
    try:
        if action.listing is None:
            return Searched(action.model, provider.recent(action.model))
        fuller = {one: _reread(one, provider) for one in action.unread}
    except ProviderError as error:
        return Searched(action.model, None, error=error)
    jobs = tuple(fuller.get(job.request_id) or job for job in action.listing.jobs)
    return Searched(action.model, replace(action.listing, jobs=jobs), reread=True)


def _reread(request_id: str, provider: Provider) -> RemoteJob | None:
    try:
        return provider.status(request_id)
    except ProviderError as error:
        if error.reason is Reason.MISSING:
            return None
        raise
