"""A plain HTTP client over the standard library, and an emulator in a thread, for these tests."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from batchrunner.emulator.app import Endpoints, running
from batchrunner.emulator.config import EmulatorConfig

BASE = "/api/v1/ie/requestqueue/apikey"
MODEL = "pixverse-v5.6-i2v"
PAYLOAD: Mapping[str, Any] = {
    "image_url": "https://example.com/fox.png",
    "prompt": "Slow push-in on the fox",
    "duration": "5",
    "aspect_ratio": "16:9",
    "quality": "360p",
    "seed": 7,
}


@dataclass(frozen=True)
class Reply:
    """A whole response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def send(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
    """Make one request on a fresh connection; no header is added."""
    where = urlsplit(url)
    with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=20)) as connection:
        target = f"{where.path}?{where.query}" if where.query else where.path
        connection.request(method, target, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        with closing(response):
            return Reply(response.status, response.headers, response.read())


class Client:
    """The provider's verbs against one emulator."""

    def __init__(self, api: str, storage: str, key: str) -> None:
        self.api, self.storage, self.key = api, storage, key

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Call the API with the key, unless other headers are given."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self.key}"} if headers is None else headers
        return send(method, f"{self.api}{path}", data, given)

    def post(self, model: str = MODEL, **changes: Any) -> Reply:
        """Submit the standard payload with some fields changed; None takes a field away."""
        payload = {name: value for name, value in {**PAYLOAD, **changes}.items() if value is not None}
        return self.call("POST", f"{BASE}/requests", {"model": model, "payload": payload})

    def accepted(self, **changes: Any) -> str:
        """Submit and return the request's id."""
        return str(self.post(**changes).json["request_id"])

    def status(self, request_id: str) -> Reply:
        """Ask how one request stands."""
        return self.call("GET", f"{BASE}/requests/{request_id}")

    def finished(self, request_id: str, within_s: float = 10.0) -> Any:
        """Wait for a final status and return the record."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            record = self.status(request_id).json
            if record["status"] in ("success", "failed", "cancelled"):
                return record
            time.sleep(0.01)
        raise TimeoutError(request_id)

    def media_url(self, **changes: Any) -> str:
        """Submit, wait and return the clip's URL."""
        record = self.finished(self.accepted(**changes))
        return str(record["outcome"]["media_urls"][0]["url"])

    def listed(self, model: str = MODEL) -> Any:
        """Return the list of one model."""
        return self.call("GET", f"{BASE}/requests?model_id={model}").json

    def upload(self, data: bytes, extension: str = "png", content_type: str = "image/png") -> str:
        """Store a file and return its public URL."""
        urls = self.call("POST", f"{BASE}/upload-url", {"file_type": extension}).json
        assert send("PUT", urls["upload_url"], data, {"Content-Type": content_type}).status == 200
        return str(urls["public_url"])

    def ledger(self) -> Any:
        """Return the truth."""
        return self.call("GET", "/_emulator/ledger").json


@contextmanager
def emulator(root: Path, **knobs: Any) -> Iterator[Client]:
    """Run an emulator in a thread of this process; quick and canned unless told otherwise."""
    config = EmulatorConfig(**{"canned": True, "duration_s": (0.0, 0.0), **knobs})
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    told: list[Endpoints] = []

    async def serve() -> None:
        async with running(config, "127.0.0.1", 0, root) as endpoints:
            told.append(endpoints)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield Client(told[0].api, told[0].storage, told[0].key)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def picture(width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    """Return a small PNG with something to see in it."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.paste(colour, (width // 4, height // 4, width // 2, height // 2))
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()
