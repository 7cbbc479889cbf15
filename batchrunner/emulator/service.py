"""What the handlers of both origins share, and the shapes in which records are told."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

from batchrunner.clock import Clock
from batchrunner.emulator.catalogue import Catalogue
from batchrunner.emulator.config import EmulatorConfig
from batchrunner.emulator.faults import Dice, Scope, answer_of, parse
from batchrunner.emulator.ledger import TERMINAL, Ledger, Record
from batchrunner.emulator.objects import BUCKET, Objects
from batchrunner.emulator.studio import Studio
from batchrunner.emulator.wire import Answer
from batchrunner.values import JSON

USER_ID = "0b8f6d1e-52c7-4a39-8e41-7f2a9c3d6b10"


class Service:
    """One provider: its knobs, ledger, bucket, studio and counts, all under one folder."""

    def __init__(self, config: EmulatorConfig, root: Path, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.api_origin = ""
        self.storage_origin = ""
        self.requests: Counter[str] = Counter()  # by route
        self.auth_leaks = 0
        self.ledger = Ledger(root)
        self.objects = Objects(root / "objects", config.key, config.org_id)
        self.studio = Studio(root / "media", self.objects, config.render_workers)
        self.catalogue = Catalogue()
        self._over: dict[str, str] = {}  # records that are over, by request, as they are told
        self._dice = Dice(config.seed)
        self._dice.start_at(Scope.SUBMIT, self.ledger.posts.total())
        self._dice.start_at(Scope.FATE, len(self.ledger))

    def now_s(self) -> float:
        """Wall time in seconds."""
        return self.clock.now_us() / 1_000_000

    def draw(self, scope: Scope, about: str = "") -> str:
        """Return the fault that the next call of this scope meets; `about` counts for itself."""
        return self._dice.next(f"{scope}{about}", *self.config.chances(scope))

    async def disturbance(self, scope: Scope) -> Answer | None:
        """Return the fault's answer, after its delay; None: go on."""
        fault = parse(self.draw(scope))
        if fault.word == "hang":
            await asyncio.sleep(fault.number)
        return answer_of(fault.word, self.config.retry_after)

    def change(self, text: str) -> None:
        """Set the knobs named by a JSON object; scripts among them start from their first word.

        Raises:
            UsageError: as `EmulatorConfig.from_json`.
        """
        before, self.config = self.config, self.config.changed(text)
        self._over.clear()
        for scope in Scope:
            if self.config.chances(scope)[0] != before.chances(scope)[0]:
                self._dice.start_at(scope, 0)

    def close(self) -> None:
        """Let go of files and threads."""
        self.studio.close()
        self.ledger.close()

    def told_text(self, record: Record, now_s: float) -> str:
        """Return the full record as JSON. Once it is over it is told the same for ever."""
        text = self._over.get(record.request_id)
        if text is None:
            text = json.dumps(told(self, record, now_s))
            if record.status(now_s) in TERMINAL:
                self._over[record.request_id] = text
        return text


def receipt(record: Record, status: str) -> dict[str, JSON]:
    """Return the short form in which POST confirms a request that goes on."""
    created = int(record.created_s)
    return {
        "request_id": record.request_id,
        "model": record.model,
        "status": status,
        "created_at": created,
        "updated_at": created,
        "queued_at": created,
    }


def told(service: Service, record: Record, now_s: float) -> dict[str, JSON]:
    """Return the full record, its fields in the order of the real service; times in whole seconds."""
    status = record.status(now_s)
    created = int(record.created_s)
    return {
        "request_id": record.request_id,
        "org_id": service.config.org_id,
        "user_id": USER_ID,
        "model": record.model,
        "status": status,
        "is_public": False,
        "payload": _echo(record, service.config),
        "outcome": _outcome(service, record, status),
        "created_at": created,
        "updated_at": int(record.finished_s) if status in TERMINAL else created,
        "queued_at": created,
    }


def media_path(org_id: str, request_id: str, name: str) -> str:
    """Return the public path of a file of one request."""
    return f"{BUCKET}/{org_id}/{request_id}/{name}"


def _echo(record: Record, config: EmulatorConfig) -> JSON:
    match config.echo:
        case "verbatim":
            return dict(record.payload)
        case "reordered":
            return dict(sorted(record.payload.items(), reverse=True))
        case "empty":
            return {}


def _outcome(service: Service, record: Record, status: str) -> JSON:
    if status == "failed":
        return {"error": record.error()}
    if status != "success":
        return None
    base = f"{service.storage_origin}{media_path(service.config.org_id, record.request_id, '')}"
    query = f"?{service.config.media_query}" if service.config.media_query else ""
    clip = f"{base}sample_0.mp4{query}"
    thumbnail = {"thumbnail_image_url": f"{base}thumbnail_0.jpg{query}"}
    if record.fate == "no_url":
        return {"media_urls": [], **thumbnail}
    match service.config.outcome:
        case "media_urls":
            return {"media_urls": [{"id": "0", "url": clip}], **thumbnail}
        case "strings":
            return {"media_urls": [clip], **thumbnail}
        case "video_url":
            return {"video_url": clip, **thumbnail}
        case "both":  # the provider's own example names the clip as its thumbnail
            return {
                "media_urls": [{"id": "0", "url": clip}],
                "video_url": clip,
                "thumbnail_image_url": clip,
            }
