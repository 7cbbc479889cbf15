"""One document of data, style and script that runs nothing but its own.

Its policy allows the very script and style that are in it, by their hashes; pictures and clips from beside
it; and nothing else, no address at all. The data is JSON in an element that no browser executes; the script
only ever writes texts, and the policy refuses it anything else (trusted types).
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

SCRIPTS = (
    "words.js",
    "player.js",
    "sheet.js",
    "timeline.js",
    "grid.js",
    "filters.js",
    "page.js",
)  # in the order of use
# What could end the element, or a line, or begin a comment; each is the same text to a JSON parser.
UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def page(data: Mapping[str, Any]) -> bytes:
    """Return the page for some data: the same bytes for the same data."""
    style, script = _asset("page.css"), _script()
    fields = {
        "POLICY": html.escape(_policy(style, script)),
        "TITLE": html.escape(f"{data['campaign']} · batchrunner"),
        "STYLE": style,
        "DATA": json.dumps(data, separators=(",", ":")).translate(UNSAFE),
        "SCRIPT": script,
    }
    first, *rest = _asset("page.html").split("{{")
    parts = (piece.split("}}", 1) for piece in rest)
    return "".join([first, *(fields[name] + after for name, after in parts)]).encode()


def _policy(style: str, script: str) -> str:
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "img-src 'self'",
            "media-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        ]
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _script() -> str:
    body = "\n".join(_asset(name) for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{body}}})();\n'


@cache
def _asset(name: str) -> str:
    return (files("batchrunner.report") / "assets" / name).read_text(encoding="utf-8")
