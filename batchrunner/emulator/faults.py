"""Faults as words: what a script may say, and which answer each word stands for.

A fault is written as a word, or as `word:number`, in a `*_script` (taken one by one, in order of arrival)
or in `*_faults` (drawn at `*_fault_rate`). The wordings are those that people recorded from the real
service; where nobody recorded one, it is marked as made up.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from batchrunner.emulator.wire import HTML, Answer, error, page


class Scope(StrEnum):
    """Where faults can be switched on; each has its own script and its own count of calls."""

    SUBMIT = "submit"
    FATE = "fate"
    STATUS = "status"
    LIST = "list"
    UPLOAD = "upload"
    MEDIA = "media"


@dataclass(frozen=True, slots=True)
class Fault:
    """One word of a script; `number` is seconds or bytes, by the word."""

    word: str = "ok"
    number: float = 0.0


OK = Fault()
HEADERS = "(its headers)"  # stands in a fault's text for the headers of the request, the key among them
_ANSWERS: Mapping[str, Callable[[Mapping[str, str]], Answer]] = {
    "400": lambda _: error(400, "invalid request"),  # made up
    "400_image": lambda _: error(400, "failed to download image from image_url"),  # made up
    "400_rejected": lambda _: error(400, "Generation rejected; please review the prompt and parameters"),
    "401": lambda _: error(401, "invalid api key"),  # made up
    "402": lambda _: error(402, "Insufficient credits. Please add more credits to your account."),
    "403": lambda _: error(403, "permission denied"),  # made up
    "404": lambda _: error(404, "request does not exist"),  # made up
    "429": lambda wish: error(429, "rate limit exceeded", wish),  # made up
    "500": lambda _: error(500, "internal server error"),  # made up
    "500_echo": lambda _: error(500, f"cannot handle a request with {HEADERS}"),  # made up: a careless log
    "500_backend": lambda _: error(500, "Backend error (400). Please try again."),
    "502_html": lambda _: page(502, "Bad Gateway"),
    "503_html": lambda wish: Answer(503, page(503, "Service Unavailable").body, HTML, wish),
    "503_capacity": lambda wish: error(
        503, "Upstream capacity temporarily exhausted; please retry later", wish
    ),
    "504_html": lambda _: page(504, "Gateway Timeout"),
    "html": lambda _: page(200, "Sign in"),
    "garbage": lambda _: Answer(200, b'{"request_id": '),
    "drop": lambda _: Answer(dropped=True),
}
FATES: Mapping[str, str] = {
    "moderation": "Content policy violation: the prompt or image was rejected by moderation",  # made up
    "rate_limit": "Video generation failed: rate limit exceeded(RPM)",
    "try_again": "unknown error. Please try again",
}
LIFE_WORDS = frozenset({"ok", "never", "no_url", "odd_status", "cancelled", *FATES})
_WORDS: Mapping[Scope, frozenset[str]] = {
    Scope.SUBMIT: frozenset(
        {"ok", "hang", "late", "accept_then", "accept_then_drop", "accept_then_cut", "redirect"}
    ),
    Scope.STATUS: frozenset({"ok", "hang"}),
    Scope.LIST: frozenset({"ok", "hang"}),
    Scope.UPLOAD: frozenset({"ok", "hang"}),
    Scope.MEDIA: frozenset({"ok", "hang", "cut", "empty"}),
}


def parse(text: str) -> Fault:
    """Read `word` or `word:number`.

    Raises:
        ValueError: what follows the colon is not a number.
    """
    word, colon, number = text.partition(":")
    return Fault(word, float(number)) if colon else Fault(word)


def known(scope: Scope, text: str) -> bool:
    """Tell whether a script of that scope may say this. A fate may be any error text."""
    if scope is Scope.FATE:
        return bool(text)
    try:
        fault = parse(text)
    except ValueError:
        return False
    if fault.word.startswith("accept_then_") and scope is Scope.SUBMIT:
        return fault.word in _WORDS[scope] or fault.word.removeprefix("accept_then_") in _ANSWERS
    return fault.number >= 0 and (fault.word in _WORDS[scope] or fault.word in _ANSWERS)


def answer_of(word: str, retry_after: str | None = None) -> Answer | None:
    """Return the answer a word stands for, or None where it does not stand for one."""
    make = _ANSWERS.get(word)
    wish = {"Retry-After": retry_after} if retry_after is not None else {}
    return make(wish) if make else None


class Dice:
    """Says which fault comes next. The n-th call of a scope meets the same fault in every run."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._calls: Counter[str] = Counter()

    def start_at(self, scope: str, calls: int) -> None:
        """Go on behind the calls that an earlier process has seen, or from 0 for a fresh script."""
        self._calls[scope] = calls

    def next(self, scope: str, script: tuple[str, ...], rate: float, words: tuple[str, ...]) -> str:
        """Return the next word of a scope: from the script while it lasts, then by chance."""
        n = self._calls[scope]
        self._calls[scope] += 1
        if n < len(script):
            return script[n]
        if not words or rate <= 0:
            return "ok"
        chance = fraction(self._seed, scope, n)
        return words[int(fraction(self._seed, scope, n, "word") * len(words))] if chance < rate else "ok"


def fraction(*parts: object) -> float:
    """Return a number in [0, 1) that these parts always give, spread evenly over different parts."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
