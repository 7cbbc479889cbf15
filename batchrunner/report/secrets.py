"""What a page must not repeat. It is made to be shown around, and an address may carry its own key.

A payload may name a picture by a signed address, and so may the words of a provider. Of every address the
user, the password and the query are left out; and whatever looks like a signature or a token by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from batchrunner.providers.answers import QUERY, SIGNED

USER = re.compile(r"(?i)(\bhttps?://)[^\s/?#\"'<>@]+@")
LEFT_OUT = "[…]"
REDACTED = "[redacted]"


def shown(text: str) -> str:
    """Return a text as the page may show it."""
    if "=" not in text and "://" not in text:
        return text
    return SIGNED.sub(rf"\1{LEFT_OUT}", QUERY.sub(rf"\1?{LEFT_OUT}", USER.sub(r"\1", text)))


def shown_value(value: Any) -> Any:
    """Return a JSON value with every text in it as the page may show it."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return {key: shown_value(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shown_value(one) for one in value]
    return value


def without(value: Any, words: Iterable[str]) -> Any:
    """Return a JSON value in whose texts none of `words` stands any more, as far as it stands by itself."""
    texts = sorted({word.strip() for word in words} - {""}, key=len, reverse=True)
    if not texts:
        return value
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(text)}(?!\w)" for text in texts))
    return _replaced(value, pattern)


def _replaced(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(REDACTED, value)
    if isinstance(value, dict):
        return {key: _replaced(one, pattern) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(one, pattern) for one in value]
    return value
