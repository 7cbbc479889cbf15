"""What a handler gets and gives: HTTP without a server library, so that handlers are plain functions."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from batchrunner.values import JSON

HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. Header names are looked up without regard to case; the path is unquoted."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. `sent`: how many bytes of the body leave before the connection is cut; None: all.

    With `dropped` the connection is closed before a single byte of answer.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int | None = None
    dropped: bool = False


Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]
DROPPED = Answer(dropped=True)


def json_answer(value: JSON, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return a JSON response."""
    return Answer(status, json.dumps(value, separators=(",", ":")).encode(), headers=headers or {})


def error(status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error in the queue's own shape."""
    return json_answer({"error": text}, status, headers)


def page(status: int, title: str) -> Answer:
    """Return an error the way a gateway in front of the queue words it: HTML."""
    body = f"<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Answer(status, body.encode(), HTML)
