"""Small true implementations of the seams: a clock that jumps, a provider with a ledger, clips in memory."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from batchrunner.media.trouble import MediaError
from batchrunner.media.verdicts import Files, Verdict, fetch_all, publish_all
from batchrunner.providers.base import ProviderError
from batchrunner.values import (
    Account,
    Attempt,
    Evidence,
    Job,
    Limits,
    Listing,
    Manifest,
    MediaFile,
    Payload,
    Picture,
    Reason,
    Recovery,
    RemoteJob,
    RemotePhase,
    Reply,
    fingerprint,
)

T = TypeVar("T")
START_US = 1_764_000_000_000_000


class ManualClock:
    """Time that jumps to the end of every wait in which nothing arrives."""

    def __init__(self) -> None:
        self.steady_s = 0.0
        self.slept_s = 0.0
        self.waits = 0

    def now_us(self) -> int:
        """Wall time follows steady time."""
        return START_US + int(self.steady_s * 1e6)

    def elapsed_s(self) -> float:
        """Steady time since the test began."""
        return self.steady_s

    def asleep_s(self) -> float:
        """How long the machine was suspended: what a test says."""
        return self.slept_s

    def pause(self, wait_s: float) -> None:
        """Let the time pass."""
        self.steady_s += wait_s

    def take(self, inbox: SimpleQueue[T], wait_s: float) -> T | None:
        """Return what is there, else let the time pass."""
        if not inbox.empty():
            return inbox.get()
        if wait_s > 0:
            self.waits += 1
            assert self.waits < 5_000, "the loop waits without end"
            self.steady_s += wait_s
        return None


class Inline:
    """Runs everything at once, in the caller's thread."""

    def submit(self, call: Callable[[], None], /) -> None:
        """Run it."""
        call()


@dataclass
class Ledger:
    """What the provider knows: the oracle of the tests."""

    jobs: dict[str, RemoteJob] = field(default_factory=dict)
    born_s: dict[str, float] = field(default_factory=dict)
    posts: int = 0

    def accepted(self, payload: Payload, model: str = "m") -> int:
        """Count the accepted requests with some payload."""
        wanted = fingerprint(model, payload)
        return sum(fingerprint(model, job.payload or {}) == wanted for job in self.jobs.values())


class FakeProvider:
    """A queue that renders in `render_s`; `script` says what the first submissions meet, in order.

    Script words: ok, never_left, lost (accepted, answer lost), dropped (not accepted, answer lost), 429,
    402, 401, 400, 404, pixels, 503, failed, moderation, instant (finished in the first answer).
    """

    name = "fake"
    origin = "https://fake.test"

    def __init__(self, clock: ManualClock, script: Sequence[str] = (), render_s: float = 30.0) -> None:
        self.clock = clock
        self.script = list(script)
        self.render_s = render_s
        self.ledger = Ledger()
        self.fates: dict[str, str] = {}
        self.down = False
        self.key_ok = True
        self.list_down = False
        self.echo = True
        self.hidden: set[str] = set()  # requests that the list does not show
        self.whole = True  # whether the list says that it is all there is
        self.uploads: list[str] = []
        self.polls = 0

    def submit(self, model: str, payload: Payload, *, timeout_s: float) -> Reply:
        """One POST."""
        self.ledger.posts += 1
        word = "never_left" if self.down else self.script.pop(0) if self.script else "ok"
        refusals = {
            "429": Reason.RATE,
            "402": Reason.CREDIT,
            "401": Reason.CREDENTIALS,
            "400": Reason.REQUEST,
            "404": Reason.MODEL,
            "503": Reason.CAPACITY,
            "500": Reason.BACKEND,
        }
        if word in refusals:
            return Reply(Evidence.REFUSED, refusals[word], status=int(word), detail=f"refused with {word}")
        if word == "output":
            return Reply(Evidence.REFUSED, Reason.OUTPUT, status=400, detail="output moderated")
        if word == "pixels":
            return Reply(Evidence.REFUSED, Reason.PICTURE, status=400, detail="Image pixel is invalid")
        if word == "never_left":
            return Reply(Evidence.NEVER_LEFT, Reason.NETWORK, detail="no route")
        if word == "dropped":
            return Reply(Evidence.UNKNOWN, Reason.UNCLEAR, detail="connection lost")
        request_id = f"r{len(self.ledger.jobs) + 1}"
        job = RemoteJob(
            request_id, "queued", RemotePhase.RUNNING, created_s=self._now_s(), payload=dict(payload)
        )
        self.ledger.jobs[request_id] = job
        self.ledger.born_s[request_id] = self.clock.elapsed_s()
        self.fates[request_id] = word
        if word == "lost":
            return Reply(Evidence.UNKNOWN, Reason.UNCLEAR, detail="connection lost")
        return Reply(Evidence.ACCEPTED, remote=self._shown(request_id), status=200)

    def status(self, request_id: str) -> RemoteJob:
        """One GET."""
        self.polls += 1
        self._answer()
        if request_id not in self.ledger.jobs:
            raise ProviderError(Reason.MISSING, "no such request", status=404)
        return self._shown(request_id)

    def recent(self, model: str) -> Listing:
        """The list."""
        self._answer()
        if self.list_down:
            raise ProviderError(Reason.SERVER, "list is down", status=500)
        listed = (request_id for request_id in self.ledger.jobs if request_id not in self.hidden)
        jobs = tuple(self._shown(request_id) for request_id in listed)
        rows = jobs if self.echo else tuple(replace(job, payload={}) for job in jobs)
        return Listing(rows, complete=self.whole)

    def upload(self, picture: Picture) -> str:
        """Store a picture."""
        self._answer()
        if picture.extension == "webp":
            raise ProviderError(Reason.PICTURE, "webp is not taken; convert it to png")
        self.uploads.append(picture.sha256 or "")
        return f"https://store.test/{picture.sha256}"

    def picture_sha256(self, url: str) -> str | None:
        """The address ends in the hash; some cannot be read."""
        return None if url in self.hidden else url.rpartition("/")[2]

    def account(self) -> Account:
        """Check the key."""
        self._answer()
        return Account("org-1")

    def _answer(self) -> None:
        if self.down:
            raise ProviderError(Reason.NETWORK, "no route")
        if not self.key_ok:
            raise ProviderError(Reason.CREDENTIALS, "bad key", status=401)

    def _now_s(self) -> float:
        return self.clock.now_us() / 1e6

    def _shown(self, request_id: str) -> RemoteJob:
        job, fate = self.ledger.jobs[request_id], self.fates[request_id]
        age_s = self.clock.elapsed_s() - self.ledger.born_s[request_id]
        if fate != "instant" and (age_s < self.render_s or fate == "stuck"):
            return job
        if fate in {"failed", "moderation", "rate_failed"}:
            why = {"failed": Reason.TRANSIENT, "moderation": Reason.MODERATION, "rate_failed": Reason.RATE}[
                fate
            ]
            return replace(job, status="failed", phase=RemotePhase.FAILED, error=fate, failure=why)
        media = () if fate == "no_media" else (f"https://store.test/{request_id}.mp4",)
        return replace(job, status="success", phase=RemotePhase.SUCCESS, media=media)


class FakeClips:
    """Keeps clips in memory; `script` words for fetches: ok, bad, gone, trouble."""

    def __init__(self, script: Sequence[str] = ()) -> None:
        self.script = list(script)
        self.parts: dict[int, MediaFile] = {}
        self.published: dict[str, int] = {}

    def fetch(self, attempts: Sequence[Attempt], urls: Sequence[Sequence[str]]) -> Sequence[Verdict]:
        """Bring one file of each."""
        return fetch_all(attempts, urls, self._fetch)

    def _fetch(self, attempt: Attempt, urls: Sequence[str]) -> Files:
        word = self.script.pop(0) if self.script else "ok"
        if word != "ok":
            raise MediaError(word, gone=word == "gone", bad=word == "bad")
        sha256 = hashlib.sha256(urls[0].encode()).hexdigest()
        self.parts[attempt.id] = MediaFile(f"{attempt.name}.mp4", sha256, 1000, 5.0, 64, 64)
        return (self.parts[attempt.id],)

    def publish(self, attempts: Sequence[Attempt]) -> Sequence[Verdict]:
        """Publish one file of each; nothing here outlives the test."""
        return publish_all(attempts, self._publish, lambda _files: None)

    def _publish(self, attempt: Attempt) -> Files:
        if attempt.id not in self.parts:
            raise MediaError("part is gone", gone=True)
        for file in attempt.files:
            self.published[file.path] = attempt.id
        return attempt.files


def a_job(number: int, cost_micros: int | None = 150_000, **payload: Any) -> Job:
    """Return job number `number` with a payload of its own."""
    body = {"image_url": "https://example.com/a.png", "prompt": "go", "seed": number, **payload}
    print_ = fingerprint("m", body)
    return Job(
        f"a.p.t{number}-{print_[:8]}",
        "a",
        "p",
        number,
        number,
        "m",
        body,
        print_,
        f"a/p-t{number}",
        cost_micros,
    )


def a_manifest(folder: Path, **changes: Any) -> Manifest:
    """Return a small manifest without a file behind it."""
    manifest = Manifest(
        path=folder / "m.yaml",
        text="version: 1\n",
        sha256="0" * 64,
        campaign="test",
        model="m",
        provider="gmi",
        seed=1,
        takes=1,
        parameters={},
        matrix={},
        images=(),
        prompts=(),
        limits=Limits(in_flight=4, submits_per_minute=None),
        attempts=4,
        recovery=Recovery(),
        price=None,
        output_folder=None,
        output_name="{image}/{prompt}-t{take}",
    )
    return replace(manifest, **changes)


def a_random() -> random.Random:
    """Return chance that repeats itself."""
    return random.Random(7)
