"""Small real films, made with PyAV, and a storage host that serves them with all its whims."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from batchrunner.providers.http import Http
from tests.providers.wire import Asked, Wire, answer, serving


def film(
    *, frames: int = 12, audio: bool = False, container: Literal["mp4", "mov"] = "mp4", front: bool = False
) -> bytes:
    """Encode a film of moving noise; `front` puts its index before its data."""
    import av

    options = {"movflags": "faststart"} if front else {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film"
        with av.open(str(path), "w", format=container, options=options) as writer:
            video = writer.add_stream("libx264", rate=24)
            video.width, video.height, video.pix_fmt = 128, 96, "yuv420p"
            sound = writer.add_stream("aac", rate=44_100) if audio else None
            for number in range(frames):
                frame = av.VideoFrame(128, 96, "yuv420p")
                for plane in frame.planes:
                    plane.update(bytes((x * x + number * 9) & 255 for x in range(plane.buffer_size)))
                writer.mux(video.encode(frame))
            writer.mux(video.encode(None))
            if sound is not None:
                hush = av.AudioFrame("fltp", "stereo", 1024)
                hush.sample_rate = 44_100
                for channel in hush.planes:
                    channel.update(bytes(channel.buffer_size))
                writer.mux(sound.encode(hush))
                writer.mux(sound.encode(None))
        return path.read_bytes()


@dataclass
class Storage:
    """A host with one object. `cut` ends the first answers early; the other knobs are lies about ranges."""

    data: bytes
    etag: str = '"one"'
    cut: list[int] = field(default_factory=list)
    ranges: bool = True
    shift: int = 0  # what a range answer is off by
    range_etag: str | None = None
    short_range: int | None = None
    checksum: str | None = None

    def __call__(self, asked: Asked, peer: socket.socket) -> None:
        """Answer one request."""
        begin = self._begin(asked)
        body = self.data[begin:]
        status = 200
        headers = {"ETag": self.etag, "Content_Type": "text/plain"}  # the type is no evidence, so it lies
        if self.checksum:
            headers["x_goog_hash"] = self.checksum
        if begin:
            status, last = 206, len(self.data) - 1
            if self.short_range is not None:
                body, last = body[: self.short_range], begin + self.short_range - 1
            headers["Content_Range"] = f"bytes {begin + self.shift}-{last}/{len(self.data)}"
            headers["ETag"] = self.range_etag or self.etag
        if begin > len(self.data) - 1:
            peer.sendall(answer(416))
            return
        whole = answer(status, body, **headers)
        if self.cut:
            head = len(whole) - len(body)
            peer.sendall(whole[: head + self.cut.pop(0)])
            peer.shutdown(socket.SHUT_RDWR)
        else:
            peer.sendall(whole)

    def _begin(self, asked: Asked) -> int:
        wanted = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("range", ""))
        if not wanted or not self.ranges or asked.headers.get("if-range", self.etag) != self.etag:
            return 0
        return int(wanted[1])


@contextmanager
def stored(storage: Storage) -> Iterator[tuple[Http, Wire, str]]:
    """Serve an object; give the means to fetch it, what the host saw, and the address."""
    with serving(storage) as wire:
        http = Http(wire.url)
        try:
            yield http, wire, f"{wire.url}/clip.mp4?signature=canary"
        finally:
            http.close()
