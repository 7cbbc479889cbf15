"""The storage origin: clips and uploaded pictures, public, and presigned uploads.

It never asks for the key, and counts every request that brings one: the real files lie with somebody
else, and whoever sends the key there has given it away.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

from batchrunner.emulator.faults import Scope, answer_of, parse
from batchrunner.emulator.ledger import Record
from batchrunner.emulator.objects import BUCKET, serve, xml_error
from batchrunner.emulator.service import Service
from batchrunner.emulator.wire import Answer, Call

_NO_SUCH_KEY = xml_error(404, "NoSuchKey", "The specified key does not exist.")


class Storage:
    """Answers everything that lies in the bucket."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, call: Call) -> Answer:
        """Answer one call."""
        service = self._service
        service.auth_leaks += "Authorization" in call.headers
        service.requests[f"{call.method} storage"] += 1
        if call.method == "PUT":
            return service.objects.put(call, service.now_s(), service.config.upload_bytes_max)
        if call.method not in ("GET", "HEAD"):
            return xml_error(405, "MethodNotAllowed", "The method is not allowed.")
        name = service.objects.name_of(call.path)
        if name is not None:
            return serve(
                call,
                service.objects.data(name),
                service.objects.content_type(name),
                service.objects.sha256(name),
            )
        return await self._media(call)

    async def _media(self, call: Call) -> Answer:
        folder, _, name = call.path.rpartition("/")
        record = self._service.ledger.get(folder.rpartition("/")[2])
        done = record is not None and record.status(self._service.now_s()) == "success"
        if record is None or not done or not call.path.startswith(f"{BUCKET}/{self._service.config.org_id}/"):
            return _NO_SUCH_KEY
        match name:
            case "sample_0.mp4":
                return await self._clip(call, record)
            case "thumbnail_0.jpg" if not self._service.config.canned:
                data = await self._service.studio.thumbnail(record)
                return serve(call, data, "image/jpeg", hashlib.sha256(data).hexdigest())
        return _NO_SUCH_KEY

    async def _clip(self, call: Call, record: Record) -> Answer:
        fault = parse(self._service.draw(Scope.MEDIA, f" {record.request_id}"))
        instead = answer_of(fault.word)
        if instead is not None:
            return instead
        if fault.word == "hang":
            await asyncio.sleep(fault.number)
        answer = serve(call, await self._data(record), "video/mp4", record.clip)
        match fault.word:
            case "empty":
                return replace(answer, body=b"")
            case "cut":
                return replace(answer, sent=min(int(fault.number), len(answer.body)))
        return answer

    async def _data(self, record: Record) -> bytes:
        canned = self._service.config.canned
        return self._service.studio.canned() if canned else await self._service.studio.clip(record)
