"""What the runner and its clip process say to each other: JSON, one message an order and one an answer.

JSON and not pickle: the process that reads the files of strangers must not be able to make the runner run
anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from batchrunner.errors import LocalError
from batchrunner.media.clips import Provenance
from batchrunner.media.trouble import MediaError
from batchrunner.media.verdicts import Verdict
from batchrunner.values import Attempt, AttemptState, MediaFile, Reason

FETCH, PUBLISH = "fetch", "publish"


@dataclass(frozen=True, slots=True)
class Setup:
    """What the clip process needs to know of the run. The key is not among it: storage hosts take none."""

    base_url: str
    root: str  # of the campaign's outputs; absolute
    provenance: Provenance
    decode: bool
    downloads: int  # at once, and so connections to storage at most

    @property
    def text(self) -> str:
        """The setup as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Setup:
        """Read back what `text` wrote."""
        told = json.loads(text)
        return cls(**{**told, "provenance": Provenance(**told["provenance"])})


def order(verb: str, attempts: Sequence[Attempt], urls: Sequence[Sequence[str]] = ()) -> bytes:
    """Write an order: `fetch` the files of some attempts at each one's `urls`, or `publish` them."""
    return json.dumps([verb, [_attempt_told(one) for one in attempts], list(map(list, urls))]).encode()


def read_order(data: bytes) -> tuple[str, list[Attempt], list[list[str]]]:
    """Read back what `order` wrote."""
    verb, attempts, urls = json.loads(data)
    return verb, [_attempt_read(told) for told in attempts], urls


def answer(verdicts: Sequence[Verdict]) -> bytes:
    """Write a verdict for each attempt of an order."""
    return json.dumps({"verdicts": [_verdict_told(verdict) for verdict in verdicts]}).encode()


def crashed(trace: str) -> bytes:
    """Write that an order ended in a bug."""
    return json.dumps({"bug": trace}).encode()


def read_answer(data: bytes) -> list[Verdict]:
    """Read back what `answer` wrote.

    Raises:
        RuntimeError: it is what `crashed` wrote; the text is the other process's traceback.
    """
    told = json.loads(data)
    if "bug" in told:
        raise RuntimeError(f"in the clip process:\n{told['bug']}")
    return [_verdict_read(one) for one in told["verdicts"]]


def _attempt_told(attempt: Attempt) -> dict[str, Any]:
    told = {name: getattr(attempt, name) for name in Attempt.__slots__}
    told |= {"payload": dict(attempt.payload), "pictures": dict(attempt.pictures)}
    return {**told, "files": [file.as_json() for file in attempt.files]}


def _attempt_read(told: dict[str, Any]) -> Attempt:
    told["state"] = AttemptState(told["state"])
    told["reason"] = told["reason"] and Reason(told["reason"])
    told["files"] = tuple(MediaFile(**file) for file in told["files"])
    return Attempt(**told)


def _verdict_told(verdict: Verdict) -> Mapping[str, Any]:
    if isinstance(verdict, MediaError):
        return {"media": verdict.detail, "gone": verdict.gone, "bad": verdict.bad}
    if isinstance(verdict, LocalError):
        return {"local": str(verdict)}
    return {"files": [file.as_json() for file in verdict]}


def _verdict_read(told: Mapping[str, Any]) -> Verdict:
    if "media" in told:
        return MediaError(told["media"], gone=told["gone"], bad=told["bad"])
    if "local" in told:
        return LocalError(told["local"])
    return tuple(MediaFile(**file) for file in told["files"])
