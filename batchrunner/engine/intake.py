"""The pending jobs that come next, and the local pictures they wait for.

Jobs are read ahead in small numbers, so memory does not grow with how many wait. A local picture is
uploaded once for each content; jobs that need it are set aside meanwhile and others go first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from batchrunner.engine.planner import missing_uploads, with_uploads
from batchrunner.store import reading
from batchrunner.store.changes import Change, Moved
from batchrunner.store.tables import Store
from batchrunner.values import JobState, Order, Payload, PendingJob, Picture

BUFFER = 64  # jobs read ahead
UPLOADS_AHEAD = 4  # jobs whose pictures are uploaded before there is room for them


class Intake:
    """Hands out pending jobs in the order of the campaign. `origin` is where uploads belong to."""

    def __init__(
        self, store: Store, pictures: Mapping[str, Picture], origin: str, order: Order = "coverage"
    ) -> None:
        self._store = store
        self._pictures = pictures
        self._origin = origin
        self._order = order
        self._buffer: deque[PendingJob] = deque()
        self._waiting: dict[str, list[PendingJob]] = {}  # by the picture's content hash
        self._urls: dict[str, str] = {}
        self._refusals: dict[str, str] = {}
        self._taken: set[str] = set()  # taken in this tick: the table still says pending
        self._exhausted_until_us: int | None = 0  # None: nothing is pending at all

    def peek(self, now_us: int) -> PendingJob | None:
        """Return the next job that may start now without taking it."""
        if not self._buffer and self._may_have_more(now_us):
            self._refill(now_us)
        return self._buffer[0] if self._buffer else None

    def take(self) -> PendingJob:
        """Take the job that `peek` returned."""
        job = self._buffer.popleft()
        self._taken.add(job.id)
        return job

    def drop(self, job_id: str) -> None:
        """Forget a pending job that begins its attempt without a submission."""
        self._buffer = deque(job for job in self._buffer if job.id != job_id)
        for jobs in self._waiting.values():
            jobs[:] = [job for job in jobs if job.id != job_id]
        self._taken.add(job_id)

    def committed(self, changes: Iterable[Change]) -> None:
        """Learn what the table knows now: the jobs that were taken, and those that are pending again."""
        self._taken.clear()
        for change in changes:
            if isinstance(change, Moved) and change.job is JobState.PENDING:
                due_us, known_us = change.due_us or 0, self._exhausted_until_us
                self._exhausted_until_us = due_us if known_us is None else min(due_us, known_us)

    def next_due_us(self) -> int | None:
        """Return when a job that is not in hand may start, or None when no such job is left."""
        return None if self._buffer else self._exhausted_until_us

    @property
    def empty(self) -> bool:
        """True when no job is in hand, waits for a picture, or waits for its time."""
        return not self._buffer and not self._waiting and self._exhausted_until_us is None

    # --- pictures -------------------------------------------------------------------------------------

    def lacking(self, job: PendingJob, account: str) -> list[str]:
        """Return the content hashes of those of a job's pictures that have no public URL yet."""
        return [sha256 for sha256 in missing_uploads(job.payload) if not self._known(sha256, account)]

    def payload(self, job: PendingJob) -> Payload:
        """Return a job's payload as it is sent; nothing may be lacking."""
        return with_uploads(job.payload, self._urls)

    def set_aside(self, sha256: str) -> None:
        """Let the job that `peek` returned wait for a picture."""
        self._waiting.setdefault(sha256, []).append(self._buffer.popleft())

    def arrived(self, sha256: str, public_url: str) -> None:
        """A picture has its public URL: the jobs that wait for it go next."""
        self._urls[sha256] = public_url
        self._buffer.extendleft(reversed(self._waiting.pop(sha256, [])))

    def refused(self, sha256: str, detail: str) -> list[PendingJob]:
        """A picture will never have one: return the jobs that waited for it."""
        self._refusals[sha256] = detail
        return self._waiting.pop(sha256, [])

    def refusal(self, sha256: str) -> str:
        """Return why a picture cannot be uploaded, or nothing where it can."""
        return self._refusals.get(sha256, "")

    def picture(self, sha256: str) -> Picture | None:
        """Return the local picture with some content, if the manifest (still) has it."""
        return self._pictures.get(sha256)

    def ahead(self, account: str) -> Iterator[str]:
        """Yield the pictures that the next few jobs lack."""
        for job in list(self._buffer)[:UPLOADS_AHEAD]:
            yield from (sha256 for sha256 in self.lacking(job, account) if sha256 not in self._refusals)

    def _known(self, sha256: str, account: str) -> bool:
        if sha256 not in self._urls:
            url = reading.upload_url(self._store.db, self._origin, account, sha256)
            if url is None:
                return False
            self._urls[sha256] = url
        return True

    def _may_have_more(self, now_us: int) -> bool:
        return self._exhausted_until_us is not None and self._exhausted_until_us <= now_us

    def _refill(self, now_us: int) -> None:
        aside = self._taken.union(job.id for jobs in self._waiting.values() for job in jobs)
        jobs = reading.pending(self._store.db, now_us, BUFFER + len(aside), self._order)
        self._buffer.extend(job for job in jobs if job.id not in aside)
        if not self._buffer:
            self._exhausted_until_us = reading.next_due_us(self._store.db, now_us)
