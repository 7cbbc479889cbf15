"""What the provider knows: every request it accepted, and what each has cost.

A record never changes after acceptance but for a cancellation. How it stands is a pure function of the
record and the wall clock, so nothing has to be ticked, and a service that was killed and started again
over the same folder goes on as if nothing had happened.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batchrunner.emulator.faults import FATES, LIFE_WORDS
from batchrunner.values import JSON, Payload

TERMINAL: Final = frozenset({"success", "failed", "cancelled"})
RUNNING: Final = ("created", "queued", "dispatched", "processing")
ODD_STATUS: Final = "throttled"  # outside the provider's list of statuses
_STAGES: Final = (0.0, 0.05, 0.15, 0.3)  # when each running status starts, as a share of the duration
_STARTS_OVER: Final = frozenset({"success", "success_bare", "failed"})


@dataclass(frozen=True, slots=True)
class Record:
    """One accepted request. `clip` names what is rendered; `pictures` are where its stills are found."""

    request_id: str
    model: str
    payload: Payload
    fingerprint: str
    clip: str
    pictures: tuple[str, ...]
    created_s: float
    duration_s: float
    initial: str
    fate: str
    cost_micros: int
    cancelled_s: float | None = None

    @property
    def finished_s(self) -> float:
        """Wall time of the end; infinite for a request that never starts."""
        if self.cancelled_s is not None:
            return self.cancelled_s
        if self.fate == "never":
            return float("inf")
        return self.created_s + (0.0 if self.initial in _STARTS_OVER else self.duration_s)

    def status(self, now_s: float) -> str:
        """Tell the status that the provider reports at a wall time."""
        if self.fate == "never" and self.cancelled_s is None:
            return self.initial if self.initial in RUNNING else "queued"
        if now_s >= self.finished_s:
            return self._verdict()
        status = self._running((now_s - self.created_s) / (self.duration_s or 1.0))
        return ODD_STATUS if self.fate == "odd_status" and status == "processing" else status

    def error(self) -> str:
        """Return the text of a failure."""
        if self.initial == "failed":
            return FATES["rate_limit"]
        return FATES.get(self.fate, self.fate)

    def charged_micros(self, now_s: float) -> int:
        """Return what has been billed at a wall time: only success is."""
        return self.cost_micros if self.status(now_s) == "success" else 0

    def _verdict(self) -> str:
        if self.cancelled_s is not None or self.fate == "cancelled":
            return "cancelled"
        failing = self.initial == "failed" or self.fate in FATES or self.fate not in LIFE_WORDS
        return "failed" if failing else "success"

    def _running(self, share: float) -> str:
        first = RUNNING.index(self.initial)
        reached = [name for name, start in zip(RUNNING, _STAGES, strict=True) if share >= start]
        return RUNNING[max(first, len(reached) - 1)]


_FIELDS: Final = tuple(field.name for field in dataclasses.fields(Record))


class Ledger:
    """All records, kept in `ledger.jsonl` under a folder. One writer; it is not safe across threads."""

    def __init__(self, folder: Path) -> None:
        self._records: dict[str, Record] = {}
        self._models: dict[str, list[str]] = {}
        self.accepted: Counter[str] = Counter()  # by fingerprint
        self.posts: Counter[str] = Counter()  # by what came of them
        self._fd = os.open(folder / "ledger.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._load()

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def accept(self, record: Record) -> None:
        """Take a request on; it is on file when this returns."""
        self._write({"accepted": {name: getattr(record, name) for name in _FIELDS}})
        self._add(record)

    def refuse(self, outcome: str) -> None:
        """Note a POST that made no request."""
        self._write({"refused": outcome})
        self.posts[outcome] += 1

    def cancel(self, request_id: str, now_s: float) -> None:
        """End a request for good."""
        self._write({"cancelled": [request_id, now_s]})
        self._cancel(request_id, now_s)

    def unfinished(self, now_s: float) -> int:
        """Count the requests that are not over at a wall time."""
        return sum(1 for record in self if record.finished_s > now_s)

    def accepted_since(self, since_s: float) -> int:
        """Count the requests that were accepted since a wall time and did not fail at once."""
        return sum(1 for record in self if record.created_s > since_s and record.initial != "failed")

    def get(self, request_id: str) -> Record | None:
        """Find a record."""
        return self._records.get(request_id)

    def of_model(self, model: str | None) -> Sequence[str]:
        """Return request ids, oldest first; of all models for None."""
        return tuple(self._records) if model is None else self._models.get(model, ())

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def _write(self, entry: Mapping[str, JSON]) -> None:
        # One write call a line: a killed process leaves whole lines, and at most one torn one at the end.
        os.write(self._fd, json.dumps(entry, separators=(",", ":")).encode() + b"\n")

    def _load(self) -> None:
        size = os.fstat(self._fd).st_size
        whole, _, torn = os.pread(self._fd, size, 0).rpartition(b"\n")
        if torn:
            os.ftruncate(self._fd, size - len(torn))
        for line in whole.splitlines():
            self._replay(json.loads(line))

    def _replay(self, entry: Mapping[str, JSON]) -> None:
        match entry:
            case {"accepted": fields}:
                self._add(Record(**{**fields, "pictures": tuple(fields["pictures"])}))
            case {"refused": outcome}:
                self.posts[outcome] += 1
            case {"cancelled": [request_id, now_s]}:
                self._cancel(request_id, now_s)

    def _add(self, record: Record) -> None:
        self._records[record.request_id] = record
        self._models.setdefault(record.model, []).append(record.request_id)
        self.accepted[record.fingerprint] += 1
        self.posts["accepted"] += 1

    def _cancel(self, request_id: str, now_s: float) -> None:
        self._records[request_id] = dataclasses.replace(self._records[request_id], cancelled_s=now_s)
