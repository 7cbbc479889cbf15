"""The frozen values that everything else speaks in. No I/O, no logic beyond what a value is.

Money is in whole micro-dollars (`_micros`), wall times in microseconds UTC (`_us`), lengths in bytes.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from batchrunner.errors import Problem

JSON: TypeAlias = Any  # a value that json.dumps takes: mypy has no recursive type that jsonschema accepts
Payload: TypeAlias = Mapping[str, JSON]

Order: TypeAlias = Literal["coverage", "written"]  # of submissions
NotifyEvent: TypeAlias = Literal["done", "stopped", "held", "budget"]
NOTHING: Payload = {}  # one for all the rows that say nothing: 100,000 of each kind take 40 MB
UPLOAD = "upload:"  # a payload value `upload:<sha256>.<ext>` stands for a local file's public URL


# `json.dumps` would make one for each of a million values.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(value: JSON) -> str:
    """One text for one JSON value: sorted keys, no spaces, non-ASCII kept."""
    return _encode(value)


def local_pictures(payload: Payload) -> dict[str, str]:
    """Return the fields of a payload that stand for local files, `upload:…` each."""
    return {key: one for key, one in payload.items() if isinstance(one, str) and one.startswith(UPLOAD)}


def content_of(upload: str) -> tuple[str, str]:
    """Return content hash and extension of the local file that `upload:…` stands for."""
    sha256, _, extension = upload.removeprefix(UPLOAD).partition(".")
    return sha256, extension


def fingerprint(model: str, payload: Payload) -> str:
    """SHA-256 (hex) over model and payload: equal requests have equal fingerprints, on every machine."""
    return hashlib.sha256(canonical({"model": model, "payload": dict(payload)}).encode()).hexdigest()


# --- the manifest -------------------------------------------------------------------------------------


class Picture(NamedTuple):
    """One file that fills one image field: a public `url`, or a local file with its content hash.

    Most are pictures; a field may also take a video (see `Card.videos`).
    """

    url: str | None = None
    path: Path | None = None
    sha256: str | None = None
    extension: str | None = None  # jpeg, jpg, png or mp4: what the provider's upload knows

    @property
    def wire(self) -> str:
        """The payload's value: the URL, or the placeholder that an upload's public URL replaces."""
        return self.url if self.url is not None else f"{UPLOAD}{self.sha256}.{self.extension}"


class Image(NamedTuple):
    """A row of the image axis: one picture for each image field of the model's card, in its order.

    A model that takes none has `NO_IMAGE` alone on this axis: without an id, which falls away wherever ids
    are joined.
    """

    id: str
    pictures: tuple[Picture, ...]
    vars: Mapping[str, str] = NOTHING
    parameters: Payload = NOTHING


NO_IMAGE = Image("", ())


class Prompt(NamedTuple):
    """A row of the prompt axis; `text` may hold `{vars}`."""

    id: str
    text: str
    vars: Mapping[str, str] = NOTHING
    parameters: Payload = NOTHING


class Shot(NamedTuple):
    """One image with one prompt: a row of `shots`, an entry of `include`, or a pair of the product.

    Its own `vars` and `parameters` win over all others.
    """

    image: Image
    prompt: Prompt
    vars: Mapping[str, str] = NOTHING
    parameters: Payload = NOTHING
    takes: int | tuple[int, ...] | None = None  # None: the manifest's
    take: int | None = None  # this one only


def pair_name(image: str, prompt: str) -> str:
    """Return a pair of ids in words: `"fox" with "push-in"`; without an image, the prompt alone."""
    return f'"{image}" with "{prompt}"' if image else f'"{prompt}"'


@dataclass(frozen=True, slots=True)
class Exclude:
    """Jobs that are left out: those to which all of it applies. None: any."""

    image: str | None = None
    prompt: str | None = None
    take: int | None = None
    parameters: Payload = field(default_factory=dict)  # as they are in the end, defaults included


@dataclass(frozen=True, slots=True)
class Limits:
    """What the run may use at most. None: no limit of that kind."""

    in_flight: int = 4
    submits_per_minute: int | None = 30
    submits_per_hour: int | None = None
    budget_micros: int | None = None
    max_outage_s: float = 1800.0
    window: str | None = None  # hours in which submissions may start, as 22:00-07:00 (rules/hours.py)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What to do with a submission whose fate is not known (see rules/matching.py)."""

    on_absent: Literal["hold", "resubmit"] = "hold"
    grace_s: float = 600.0
    give_up_s: float = 3600.0
    risk: int = 2


@dataclass(frozen=True, slots=True)
class Price:
    """What a job costs at most: `micros` for each second of video, or for the job."""

    per: Literal["second", "job"]
    micros: int


@dataclass(frozen=True, slots=True)
class Notify:
    """Whom to tell what. `env`: the environment variable with the address; `place`: line and column of it."""

    env: str
    on: frozenset[NotifyEvent]
    place: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A checked manifest; paths are absolute.

    `text` is the YAML. `sha256` is of the file's bytes, and of all that the manifest takes from other files:
    it changes with whatever may change a job. `images` and `prompts` are those that are multiplied.
    """

    path: Path
    text: str
    sha256: str
    campaign: str
    model: str
    provider: Literal["gmi", "emulator"]
    seed: int
    takes: int | tuple[int, ...]  # a count, or the fixed seeds themselves
    parameters: Payload
    matrix: Mapping[str, tuple[JSON, ...]]
    images: tuple[Image, ...]
    prompts: tuple[Prompt, ...]
    limits: Limits
    attempts: int  # retry.attempts: how often a job may fail before it counts as failed
    recovery: Recovery
    price: Price | None
    output_folder: Path | None
    output_name: str
    order: Order = "coverage"
    shots: tuple[Shot, ...] = ()
    exclude: tuple[Exclude, ...] = ()
    include: tuple[Shot, ...] = ()
    notes: tuple[Problem, ...] = ()  # what is not wrong, and perhaps not meant
    notify: tuple[Notify, ...] = ()
    # csv, jsonl and text files: paths as told, hashes of the bytes, and kinds: csv, jsonl, lines.
    tables: tuple[tuple[str, str, str], ...] = ()

    @property
    def pictures(self) -> Iterator[Picture]:
        """Every picture that a job may need; some more than once."""
        images = itertools.chain(self.images, (shot.image for shot in (*self.shots, *self.include)))
        return (picture for image in images for picture in image.pictures)


@dataclass(frozen=True, slots=True)
class Job:
    """One clip to be made. `payload` is complete but for uploads; `name` is its output path, no suffix."""

    id: str
    image: str
    prompt: str
    take: int
    seed: int | None
    model: str
    payload: Payload
    fingerprint: str
    name: str
    cost_micros: int | None  # None: no price is known
    text: str = ""  # the payload's canonical text, where it is at hand

    @property
    def payload_text(self) -> str:
        """The payload's canonical text."""
        return self.text or canonical(dict(self.payload))

    @property
    def row(self) -> JobRow:
        """The job as the state table has it, but for its position."""
        told = (self.payload_text, self.name, self.cost_micros)
        return (self.id, self.image, self.prompt, self.take, self.seed, self.model, *told)


# id, image, prompt, take, seed, model, payload as text, name, cost in micro-dollars
JobRow: TypeAlias = tuple[str, str, str, int, int | None, str, str, str, int | None]


# --- states -------------------------------------------------------------------------------------------


class AttemptState(StrEnum):
    """Where one paid try stands; rules/states.py holds the legal moves."""

    SUBMITTING = "submitting"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    READY = "ready"
    FETCHED = "fetched"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    HELD = "held"
    WAIVED = "waived"


class JobState(StrEnum):
    """Where a job stands, as its attempts have it."""

    PENDING = "pending"
    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"
    HELD = "held"


class Evidence(StrEnum):
    """What the outcome of one POST proves (see rules/classify.py)."""

    NEVER_LEFT = "never left"
    REFUSED = "refused"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why something did not work: what decides whether, when and how often it is tried again."""

    NETWORK = "network"  # no connection: name, address, TLS
    RATE = "rate_limited"
    CAPACITY = "capacity"
    BACKEND = "backend_error"  # a value that the provider took and its own back end did not
    REQUEST = "bad_request"
    MODERATION = "moderation"
    OUTPUT = "output_moderation"  # of what was rendered, not of what was sent: another seed may pass
    MODEL = "no_such_model"
    CREDENTIALS = "credentials"
    CREDIT = "credit"
    TRANSIENT = "transient"  # the provider failed it and says itself that trying again may help
    RENDER = "render_failed"
    CANCELLED = "cancelled"
    SERVER = "server_error"
    UNCLEAR = "unclear"  # no answer, or one that is not the provider's
    MISSING = "missing"  # the provider does not know an id that it gave
    STUCK = "stuck"
    NO_MEDIA = "no_media"
    BAD_MEDIA = "bad_media"
    PICTURE = "picture"  # one that cannot be read or uploaded, or is refused for itself
    INTERRUPTED = "interrupted"  # the runner stopped while the submission was on the wire


# --- what the provider says ---------------------------------------------------------------------------


class RemotePhase(StrEnum):
    """The provider's status, folded to what the engine must tell apart."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """One request as the provider tells it. `status` is its own word; `payload` its echo, if any."""

    request_id: str
    status: str
    phase: RemotePhase
    media: tuple[str, ...] = ()
    error: str = ""
    failure: Reason | None = None  # what `error` means, where the phase is FAILED
    created_s: float | None = None  # provider's clock, Unix seconds
    payload: Payload | None = None
    updated_s: float | None = None  # provider's clock; of a request that is over: when it ended


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of one POST: what it proves, why, and the words of the answer."""

    evidence: Evidence
    reason: Reason | None = None
    remote: RemoteJob | None = None
    status: int | None = None
    detail: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Recent requests of one model. `complete` is False when the provider may know more than it told.

    `ahead_s`: how far the provider's clock is ahead of this machine's, where its answer says so.
    """

    jobs: tuple[RemoteJob, ...]
    complete: bool
    ahead_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays: the organisation's id, or a keyed hash of the key where the provider does not tell."""

    id: str


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A downloaded file: its path below the output folder, as text with `/`, and what its bytes are."""

    path: str
    sha256: str
    size: int
    seconds: float
    width: int
    height: int

    def as_json(self) -> dict[str, JSON]:
        """Return the fields as the state table and the sidecar write them."""
        return {name: getattr(self, name) for name in MediaFile.__slots__}


# --- what the state table holds -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """One paid try at a job. `failures` counts the job's own failures before this attempt."""

    id: int
    job: str
    number: int
    name: str  # the job's output path without suffix
    failures: int
    state: AttemptState
    model: str
    account: str
    origin: str
    payload: Payload  # exactly what is sent
    fingerprint: str
    reserved_micros: int
    submitted_us: int
    request_id: str | None = None
    accepted_us: int | None = None
    lost_us: int | None = None  # when the POST's answer was given up
    reason: Reason | None = None
    cost_micros: int | None = None  # None: open; what is reserved counts
    files: tuple[MediaFile, ...] = ()
    listed: bool = True  # its job is (still) in the manifest
    # The fields that a local file was uploaded for, with the `upload:…` that the address took the place of.
    pictures: Mapping[str, str] = field(default_factory=dict)

    @property
    def spent_micros(self) -> int:
        """What this attempt is known or must be taken to have cost."""
        return self.cost_micros or 0

    @property
    def open_micros(self) -> int:
        """What this attempt may still cost."""
        return self.reserved_micros if self.cost_micros is None else 0


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A job that waits for its next attempt, as the planner needs it."""

    id: str
    name: str
    model: str
    payload: Payload
    attempts: int
    failures: int
    cost_micros: int | None
    seed: int | None = None
    reason: Reason | None = None  # of its last failure


@dataclass(frozen=True, slots=True)
class Totals:
    """How a campaign stands: jobs by state, attempts by state, money."""

    jobs: Mapping[JobState, int]
    attempts: Mapping[AttemptState, int]
    spent_micros: int
    reserved_micros: int
    unlisted: int  # jobs in the table that are no longer in the manifest


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that waits for a person: why, and the money at stake."""

    job: str
    reason: str
    detail: str
    request_id: str | None
    at_stake_micros: int
    sent: bool = True  # False: spared, because others like it were refused; nothing was paid
