"""What an unquoted text is, by YAML 1.2's core schema narrowed to JSON: `no`, `1:30`, `0x1F` stay texts."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from batchrunner.values import JSON

INT_MAX = 2**53  # beyond it, JSON readers disagree
INT_DIGITS_MAX = 16  # of INT_MAX: whatever is longer is not even converted

_WORDS: dict[str, JSON] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class Scalar(NamedTuple):
    """A value, and what is wrong with it; `lost`: it is of no use then; `number`: it is written as one."""

    value: JSON
    wrong: str | None = None
    lost: bool = False
    number: bool = False


def scalar(text: str) -> Scalar:
    """Return what an unquoted text stands for."""
    if text in _WORDS:
        return Scalar(_WORDS[text])
    if _FLOAT.fullmatch(text):
        return _number(text)
    if _NOT_JSON.fullmatch(text):
        return Scalar(None, f"{text} is not a number that can be sent", lost=True)
    return Scalar(text)


def _number(text: str) -> Scalar:
    if _LEADING_ZERO.fullmatch(text) and len(text) <= INT_DIGITS_MAX:
        plain = text.lstrip("+-").lstrip("0") or "0"
        what = f'{text} begins with a zero: write {plain}, or "{text}" if it is a text'
        return Scalar(int(plain), what, number=True)
    digits = text.lstrip("+-")
    whole = _INT.fullmatch(text) is not None
    too_long = whole and len(digits) > INT_DIGITS_MAX
    value = math.inf if too_long else int(text) if whole else float(text)
    if abs(value) > INT_MAX:
        shown = text if len(text) <= 40 else f"{text[:39]}…"
        what = f"{shown} is too large a number: put it in quotes if it is a text"
        return Scalar(None, what, lost=True, number=True)
    # 5.0 is 5 (JSON Schema says so too): a number has one form here, else equal jobs would differ.
    return Scalar(int(value) if value == int(value) else value, number=True)
