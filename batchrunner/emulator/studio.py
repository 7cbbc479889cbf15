"""Where clips are made: off the event loop, once for each distinct payload, kept on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

from batchrunner.emulator.camera import Framing, Shot, shot_of
from batchrunner.emulator.ledger import Record
from batchrunner.emulator.objects import Objects
from batchrunner.emulator.pictures import Picture, drawn, read, still, thumbnail
from batchrunner.emulator.render import encode, is_film, last_frame

DRAWN = "drawn:"  # a picture reference `drawn:<url>` stands for a made-up picture
_CANNED_SHOT = Shot(160, 90, 24, Framing(0.45, 0.5, 0.9), Framing(0.55, 0.5, 0.8), None)


class Studio:
    """Renders clips and thumbnails of records, at most `workers` at a time."""

    def __init__(self, folder: Path, objects: Objects, workers: int) -> None:
        self._folder = folder
        self._objects = objects
        self._pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="render")
        self._running: dict[str, Future[Path]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.canned = cache(self._canned)

    def start(self, record: Record) -> None:
        """Begin a record's clip, so that it is likely there when it is asked for."""
        self._job(f"{record.clip}.mp4", lambda part: self._render(record, part))

    async def clip(self, record: Record) -> bytes:
        """Return a record's clip, made now if it has to be."""
        job = self._job(f"{record.clip}.mp4", lambda part: self._render(record, part))
        return (await asyncio.wrap_future(job)).read_bytes()

    async def thumbnail(self, record: Record) -> bytes:
        """Return a small JPEG of a record's first picture."""
        job = self._job(f"{record.clip}.jpg", lambda part: self._thumbnail(record, part))
        return (await asyncio.wrap_future(job)).read_bytes()

    async def check(self, data: bytes, *, video: bool = False) -> None:
        """Make sure that bytes are a picture, or a `video`.

        Raises:
            BadPictureError: they are not.
        """
        await asyncio.get_running_loop().run_in_executor(self._pool, last_frame if video else read, data)

    def close(self) -> None:
        """Drop what waits. What is being rendered may end or not: half a clip has another name."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _job(self, name: str, make: Callable[[Path], None]) -> Future[Path]:
        running = self._running.get(name)
        if running is None or (running.done() and not _usable(running)):
            running = self._running[name] = self._pool.submit(self._kept, name, make)
        return running

    def _kept(self, name: str, make: Callable[[Path], None]) -> Path:
        path = self._folder / name
        if not path.exists():
            part = self._folder / f"part-{name}"
            make(part)
            part.replace(path)
        return path

    def _render(self, record: Record, part: Path) -> None:
        pictures = [self._picture(reference) for reference in record.pictures or (f"{DRAWN}{record.clip}",)]
        shot = shot_of(record.payload, pictures[0].size)
        encode(shot, [still(picture, (shot.width, shot.height)) for picture in pictures], part)

    def _thumbnail(self, record: Record, part: Path) -> None:
        part.write_bytes(thumbnail(self._picture((*record.pictures, f"{DRAWN}{record.clip}")[0])))

    def _picture(self, reference: str) -> Picture:
        if reference.startswith(DRAWN):
            return drawn(reference.removeprefix(DRAWN))
        data = self._objects.data(reference)
        return last_frame(data) if is_film(data) else read(data)

    def _canned(self) -> bytes:
        path = self._kept(
            "canned.mp4", lambda part: encode(_CANNED_SHOT, [still(drawn(""), (160, 90))], part)
        )
        return path.read_bytes()


def _usable(job: Future[Path]) -> bool:
    return not job.cancelled() and job.exception() is None
