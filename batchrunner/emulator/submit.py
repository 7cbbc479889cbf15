"""One POST, in the real service's order of checks: key, JSON, model, payload, credit, then the vendor.

A scripted fault comes at the stage that would utter it. So a payload that is wrong is refused for that,
whatever the script says comes later, as it was seen: same account, same minute, 400 before 402.
"""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from batchrunner.emulator.catalogue import Model, cost_micros, refusal, vendor_refusal
from batchrunner.emulator.faults import Fault, Scope, answer_of, fraction, parse
from batchrunner.emulator.ledger import Record
from batchrunner.emulator.pictures import BadPictureError
from batchrunner.emulator.service import Service, receipt, told
from batchrunner.emulator.studio import DRAWN
from batchrunner.emulator.wire import DROPPED, Answer, Call, error, json_answer
from batchrunner.values import JSON, canonical, fingerprint

_KEY_FAULTS = frozenset({"401", "403"})
_PICTURE_BYTES_MAX = 60 * 1024 * 1024
_FETCH_S = 4.0


class _RefusedError(Exception):
    def __init__(self, answer: Answer) -> None:
        self.answer = answer


@dataclass(frozen=True, slots=True)
class _Order:
    """A POST that passed the checks of form."""

    model: Model
    payload: Mapping[str, JSON]


async def submit(service: Service, call: Call, authorised: bool) -> Answer:
    """Take one POST to its end and put what came of it in the ledger."""
    fault = parse(service.draw(Scope.SUBMIT))
    await asyncio.sleep(service.config.post_delay_s)
    try:
        order = _lawful(service, call, authorised, fault)
        await _vendor(service, order, fault)
        record = await _record(service, order)
        _afford(service)  # once more, with nothing awaited before it counts: POSTs come side by side
        record = _within_caps(service, record)
    except _RefusedError as refused:
        service.ledger.refuse("dropped" if refused.answer.dropped else str(refused.answer.status))
        return refused.answer
    service.ledger.accept(record)
    if not service.config.canned:
        service.studio.start(record)
    return await _confirmed(service, record, fault)


def _lawful(service: Service, call: Call, authorised: bool, fault: Fault) -> _Order:
    config = service.config
    if not authorised:
        raise _RefusedError(error(401, "invalid api key"))
    if fault.word in _KEY_FAULTS:
        _refuse(answer_of(fault.word))
    name, payload = _body(call)
    model = service.catalogue.find(name)
    if model is None:
        raise _RefusedError(error(404, f"model {name} does not exist"))
    if name in config.gated_models:
        raise _RefusedError(error(404, f"model {name}: you do not have access to it"))
    _refuse(refusal(model, payload, refuse_unknown=config.unknown_keys == "refuse"))
    _afford(service)
    if fault.word == "402":
        _refuse(answer_of("402"))
    return _Order(model, payload)


def _afford(service: Service) -> None:
    credit = service.config.credits
    if credit is not None and len(service.ledger) >= credit:
        _refuse(answer_of("402"))


def _within_caps(service: Service, record: Record) -> Record:
    """Enforce the limits that are published nowhere."""
    config, ledger, now_s = service.config, service.ledger, service.now_s()
    crowded = config.cap_at_once is not None and ledger.unfinished(now_s) >= config.cap_at_once
    hasty = config.cap_a_minute is not None and ledger.accepted_since(now_s - 60.0) >= config.cap_a_minute
    if not (crowded or hasty):
        return record
    if config.cap_tells == "429":
        _refuse(answer_of("429", config.retry_after))
    return replace(record, initial="failed")


def _refuse(answer: Answer | None) -> None:
    if answer is not None:
        raise _RefusedError(answer)


def _body(call: Call) -> tuple[str, dict[str, JSON]]:
    try:
        body = json.loads(call.body)
    except ValueError as problem:
        raise _RefusedError(error(400, "invalid request body: not JSON")) from problem
    match body:
        case {"model": str(name), "payload": dict(payload)}:
            return name, payload
        case {"model": str(name)}:
            return name, {}
        case _:
            raise _RefusedError(error(400, "invalid request body: model is required"))


async def _vendor(service: Service, order: _Order, fault: Fault) -> None:
    if fault.word == "late":
        await asyncio.sleep(fault.number)
    if fault.word == "redirect":
        there = {"Location": f"{service.storage_origin}/elsewhere"}
        raise _RefusedError(Answer(307, headers=there))
    _refuse(answer_of(fault.word, service.config.retry_after))
    _refuse(vendor_refusal(order.model, order.payload))


async def _record(service: Service, order: _Order) -> Record:
    config, name = service.config, order.model.card.id
    videos = order.model.card.videos
    found = {field: await _picture(service, url, video=field in videos) for field, url in _urls(order)}
    shown = {field: _content(service, reference) for field, reference in found.items()}
    identity = fingerprint(name, order.payload)
    low, high = config.duration_s
    chance = fraction(config.seed, identity, service.ledger.accepted[identity])
    return Record(
        request_id=str(uuid.uuid4()),
        model=name,
        payload=order.payload,
        fingerprint=identity,
        clip=fingerprint(name, {**order.payload, **shown}),
        pictures=tuple(found.values()) or (f"{DRAWN}{_words(order)}",),
        created_s=service.now_s(),
        duration_s=low + (high - low) * chance,
        initial=config.initial_status,
        fate="never" if name in config.never_models else service.draw(Scope.FATE),
        cost_micros=cost_micros(order.model, config, order.payload),
    )


def _words(order: _Order) -> str:
    """Return what a clip of words alone shows: the same take looks the same at every quality."""
    card = order.model.card
    return canonical([order.payload.get(card.prompt_field), order.payload.get(card.seed_field or "")])


def _urls(order: _Order) -> list[tuple[str, str]]:
    fields = order.model.card.image_fields
    return [(field, str(order.payload[field])) for field in fields if field in order.payload]


def _content(service: Service, reference: str) -> str:
    """Return what a picture shows, whatever host and port it came from."""
    return reference if reference.startswith(DRAWN) else service.objects.sha256(reference)


async def _picture(service: Service, url: str, *, video: bool) -> str:
    """Return where a picture or `video` is: an object's name, or `drawn:<url>` where it is not fetched."""
    where = urlsplit(url)
    if where.scheme not in ("http", "https") or not where.hostname:
        _refuse(answer_of("400_image"))
    if not _is_loopback(where.hostname or ""):
        _refuse(None if service.config.reachable else answer_of("400_image"))
        return f"{DRAWN}{url}"
    name = service.objects.name_of(where.path)
    if service.config.canned:
        return name or f"{DRAWN}{url}"
    try:
        data = service.objects.data(name) if name else await asyncio.to_thread(_fetch, url)
        await service.studio.check(data, video=video)
    except (OSError, ValueError, http.client.HTTPException, BadPictureError) as problem:
        answer = answer_of("400_image") or DROPPED
        raise _RefusedError(replace(answer)) from problem
    return name or service.objects.keep(data)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _fetch(url: str) -> bytes:
    """Get a picture from this machine. No redirect is followed: it could lead off it."""
    where = urlsplit(url)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = kind(where.hostname or "", where.port, timeout=_FETCH_S)
    try:
        connection.request("GET", f"{where.path or '/'}{'?' if where.query else ''}{where.query}")
        response = connection.getresponse()
        data = response.read(_PICTURE_BYTES_MAX)
    finally:
        connection.close()
    if response.status != 200:
        raise ValueError(f"status {response.status}")
    return data


async def _confirmed(service: Service, record: Record, fault: Fault) -> Answer:
    if fault.word == "hang":
        await asyncio.sleep(fault.number)
    answer = json_answer(_confirmation(service, record))
    if fault.word == "accept_then_cut":
        return replace(answer, sent=len(answer.body) // 2)
    instead = answer_of(fault.word.removeprefix("accept_then_")) if "accept_then_" in fault.word else None
    return instead or answer


def _confirmation(service: Service, record: Record) -> dict[str, JSON]:
    match record.initial:
        case "success" | "failed":
            return told(service, record, max(service.now_s(), record.created_s))
        case "success_bare":
            return receipt(record, "success")
        case _:
            return receipt(record, record.initial)
