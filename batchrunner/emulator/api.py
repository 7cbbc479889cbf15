"""The API origin: the queue's other verbs, the key check, and the emulator's own control plane."""

from __future__ import annotations

import hmac
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from batchrunner.emulator.catalogue import detail
from batchrunner.emulator.faults import HEADERS, Scope, fraction
from batchrunner.emulator.ledger import TERMINAL
from batchrunner.emulator.objects import CONTENT_TYPES
from batchrunner.emulator.service import USER_ID, Service, told
from batchrunner.emulator.submit import submit
from batchrunner.emulator.wire import Answer, Call, error, json_answer
from batchrunner.errors import UsageError
from batchrunner.values import JSON

BASE = "/api/v1/ie/requestqueue/apikey"
_KEY_CHECK = "/api/v1/me/api-keys/current"
_CONTROL = "/_emulator"


class Api:
    """Answers everything that needs the key, and the control plane, which does not."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, call: Call) -> Answer:
        """Answer one call."""
        answer = await self._answer(call)
        return _echoing(answer, call) if answer.status >= 500 else answer

    async def _answer(self, call: Call) -> Answer:
        if call.path.startswith(_CONTROL):
            return self._control(call)
        route = _route(call)
        self._service.requests[" /".join((call.method, "/".join(route)))] += 1
        if (call.method, route) == ("POST", ("requests",)):
            return await submit(self._service, call, self._authorised(call))
        if not self._authorised(call):
            return error(401, "invalid api key")
        return await self._verb(call, route)

    def _authorised(self, call: Call) -> bool:
        given = call.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self._service.config.key}".encode())

    async def _verb(self, call: Call, route: tuple[str, ...]) -> Answer:
        service, tail = self._service, call.path.rpartition("/")[2]
        match call.method, route:
            case "GET", ("requests", "{id}"):
                return await service.disturbance(Scope.STATUS) or self._status(tail)
            case "GET", ("requests",):
                return await service.disturbance(Scope.LIST) or self._list(call.query.get("model_id"))
            case "DELETE", ("requests", "{id}"):
                return self._cancel(tail)
            case "POST", ("upload-url",):
                return await service.disturbance(Scope.UPLOAD) or self._upload(call)
            case "GET", ("models",):
                return json_answer({"model_ids": service.catalogue.ids()})
            case "GET", ("models", "{id}"):
                return self._model(tail)
            case "GET", ("api-keys", "current"):
                return json_answer(self._key())
        return error(404 if not route else 405, "page not found" if not route else "method not allowed")

    def _status(self, request_id: str) -> Answer:
        record = self._service.ledger.get(request_id)
        if record is None:
            return error(404, f"request {request_id} does not exist")
        return json_answer(told(self._service, record, self._service.now_s()))

    def _list(self, model: str | None) -> Answer:
        service, config, now_s = self._service, self._service.config, self._service.now_s()
        ids = service.ledger.of_model(model)
        ids = ids[: _shown(service, ids, now_s - config.list_delay_s)]
        records = [service.ledger.get(request_id) for request_id in _page(service, ids)]
        items = ", ".join(service.told_text(record, now_s) for record in records if record is not None)
        if config.list_shape == "bare":
            return Answer(body=f"[{items}]".encode())
        return Answer(body=f'{{"{config.list_shape}": [{items}], "total": {len(ids)}}}'.encode())

    def _cancel(self, request_id: str) -> Answer:
        service, now_s = self._service, self._service.now_s()
        record = service.ledger.get(request_id)
        if service.config.cancel != 200 or record is None:
            status = 404 if record is None else service.config.cancel
            return error(status, "page not found" if status == 404 else "method not allowed")
        if record.status(now_s) in TERMINAL:
            return error(409, "request is already finished")
        service.ledger.cancel(request_id, now_s)
        return self._status(request_id)

    def _upload(self, call: Call) -> Answer:
        try:
            extension = json.loads(call.body)["file_type"]
        except (ValueError, TypeError, KeyError):
            return error(400, "file_type is required")
        if extension not in CONTENT_TYPES:
            return error(400, f"unsupported file type: {extension}")
        service = self._service
        put, public = service.objects.presign(extension, service.now_s(), service.config.upload_ttl_s)
        origin = service.storage_origin
        return json_answer({"upload_url": f"{origin}{put}", "public_url": f"{origin}{public}"})

    def _model(self, name: str) -> Answer:
        model = self._service.catalogue.find(name)
        if model is None:
            return error(404, f"model {name} does not exist")
        return json_answer(detail(model, self._service.config))

    def _key(self) -> dict[str, JSON]:
        key = {"id": USER_ID, "scope": "ie_model", "type": "ie_model", "owner": {"id": USER_ID}}
        return {"key": key, "organization": {"id": self._service.config.org_id}}

    def _control(self, call: Call) -> Answer:
        match call.method, call.path.removeprefix(f"{_CONTROL}/"):
            case "GET", "ledger":
                return json_answer(summary(self._service))
            case "GET", "config":
                return Answer(body=self._service.config.to_json().encode())
            case "PUT", "config":
                return self._configure(call)
        return error(404, "page not found")

    def _configure(self, call: Call) -> Answer:
        try:
            self._service.change(call.body.decode())
        except (UsageError, UnicodeDecodeError) as problem:
            return error(400, str(problem))
        return Answer(body=self._service.config.to_json().encode())


def summary(service: Service) -> dict[str, JSON]:
    """Return the truth that tests hold a client against: what was taken on, billed and leaked.

    `charged` is billed by now, `due` will be once everything has finished. Money in micro-dollars.
    """
    now_s = service.now_s()
    charged = [
        (record.fingerprint, cost) for record in service.ledger if (cost := record.charged_micros(now_s))
    ]
    due = [cost for record in service.ledger if (cost := record.charged_micros(float("inf")))]
    statuses = Counter(record.status(now_s) for record in service.ledger)
    return {
        "posts": service.ledger.posts.total(),
        "accepted": len(service.ledger),
        "outcomes": dict(service.ledger.posts),
        "charged": {"count": len(charged), "micros": sum(cost for _, cost in charged)},
        "due": {"count": len(due), "micros": sum(due)},
        "accepted_by_fingerprint": dict(service.ledger.accepted),
        "charged_by_fingerprint": dict(Counter(name for name, _ in charged)),
        "statuses": dict(statuses),
        "requests": dict(service.requests),
        "auth_leaks": service.auth_leaks,
    }


def _echoing(answer: Answer, call: Call) -> Answer:
    """Fill the request's headers in where a fault repeats them."""
    headers = json.dumps("; ".join(f"{name}: {value}" for name, value in call.headers.items()))[1:-1]
    return replace(answer, body=answer.body.replace(HEADERS.encode(), headers.encode()))


def _route(call: Call) -> tuple[str, ...]:
    """Return the path's shape, ids left out; empty for a path that is not there."""
    if call.path == _KEY_CHECK:
        return "api-keys", "current"
    parts = tuple(call.path.removeprefix(f"{BASE}/").split("/"))
    if not call.path.startswith(f"{BASE}/") or parts[0] not in ("requests", "models", "upload-url"):
        return ()
    if len(parts) == 1:
        return parts
    return (parts[0], "{id}") if len(parts) == 2 and parts[1] and parts[0] != "upload-url" else ()


def _shown(service: Service, ids: Sequence[str], until_s: float) -> int:
    """Count the requests, oldest first, that the list knows of already."""
    if service.config.list_delay_s <= 0:
        return len(ids)

    def created(request_id: str) -> float:
        record = service.ledger.get(request_id)
        return record.created_s if record else 0.0

    return bisect_right(ids, until_s, key=created)


def _page(service: Service, ids: Sequence[str]) -> Sequence[str]:
    cap = service.config.list_cap if service.config.list_cap is not None else len(ids)
    match service.config.list_order:
        case "oldest":
            return ids[:cap]
        case "newest":
            return ids[::-1][:cap]
        case "shuffled":
            return sorted(ids[::-1][:cap], key=lambda name: fraction(service.config.seed, name))
