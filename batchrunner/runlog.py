"""The log of a campaign's runs: one JSON object a line, beside the state table, for tools and for tomorrow.

It tells what was committed, after the commit. The state table is the truth, and has all of this too; the log
is what a person can follow with `tail -f` and a machine can ship elsewhere. So whatever goes wrong with it
(a full disk, above all) ends the log and never the run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from logging import Formatter, LogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path

from batchrunner.clock import utc_text
from batchrunner.engine.progress import Progress
from batchrunner.store.changes import Change, Intended, JobRuled, Moved, Noted
from batchrunner.values import JSON

SIZE_MAX = 8 << 20  # bytes; then it is put aside as .1, .2 and so on
KEPT = 4
_encode = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` makes one for each line


class RunLog:
    """The log, open for one run. `run` is its number, the epoch in the state table's events.

    Use it as a context manager; no method raises.
    """

    def __init__(self, path: Path, run: int) -> None:
        self._run = run
        self._file: _Private | None
        try:
            self._file = _Private(path, maxBytes=SIZE_MAX, backupCount=KEPT, encoding="utf-8", delay=True)
            self._file.setFormatter(Formatter("%(message)s"))
        except OSError:
            self._file = None

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def say(self, at_us: int, event: str, told: Mapping[str, JSON]) -> None:
        """Write one line."""
        self._write([self._line(at_us, event, told)])

    def tick(self, progress: Progress) -> None:
        """Write what one tick has committed, at once."""
        self._write([self._line(*one) for one in lines(progress.changes)])

    def _line(self, at_us: int, event: str, told: Mapping[str, JSON]) -> str:
        worth = {name: value for name, value in told.items() if value is not None and value != ""}
        return _encode({"at": utc_text(at_us), "run": self._run, "event": event, **worth})

    def _write(self, texts: Sequence[str]) -> None:
        if self._file is None or not texts:
            return
        text = "\n".join(texts)
        self._file.emit(LogRecord("run", 0, "", 0, text, None, None))
        if self._file.failed:
            self._file.close()
            self._file = None


def lines(changes: Iterable[Change]) -> Iterator[tuple[int, str, dict[str, JSON]]]:
    """Yield time, event and particulars of everything worth a line."""
    for change in changes:
        match change:
            case Intended(attempt, at_us, detail):
                told = {"job": attempt.job, "attempt": attempt.number, "detail": detail}
                yield at_us, "intent", told | {"reserved_usd": attempt.reserved_micros / 1e6}
            case Moved():
                yield change.at_us, str(change.kind), _moved(change)
            case JobRuled():
                told = {"job": change.job, "to": change.state, "reason": change.reason}
                yield change.at_us, change.kind, told | {"detail": change.detail}
            case Noted():
                told = {"job": change.job, "reason": change.reason, "detail": change.detail}
                yield change.at_us, change.kind, told


def _moved(change: Moved) -> dict[str, JSON]:
    one = change.attempt
    return {
        "job": one.job,
        "attempt": one.number,
        "from": change.source,
        "to": one.state,
        "job_is": change.job,
        "request_id": one.request_id,
        "reason": one.reason,
        "detail": change.detail,
        "cost_usd": None if one.cost_micros is None else one.cost_micros / 1e6,
        "files": [file.path for file in one.files] or None,
    }


class _Private(RotatingFileHandler):
    """A rotating file that only its user can read, and that says when it cannot be written."""

    failed = False

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding)

    def handleError(self, record: LogRecord) -> None:  # noqa: N802 - the name is the library's
        """Remember it; the log must never get in the way of the run."""
        self.failed = True
