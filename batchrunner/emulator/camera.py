"""Where the camera looks: the size, length and move of a clip, from its payload alone. Pure.

A move is a slow zoom and pan between two framings. The seed picks both; words in the prompt that name a
move (push, pull, drift) overrule the seed's choice, so that a demo's prompts can be told apart by eye.
Everything is in fractions of the picture, so one move looks the same at every size.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from batchrunner.values import JSON, Payload

FPS = 24
SECONDS_MAX = 60.0  # longer than any model of the provider makes
CLOSE, WIDE = 0.80, 0.97  # share of the picture that a near and a far framing show
_EDGES = {"360p": 360, "480p": 480, "540p": 540, "720p": 720, "1080p": 1080}

Move = Literal["push", "pull", "drift"]
_MOVE_WORDS: Mapping[Move, tuple[str, ...]] = {
    "push": ("push", "closer", "zoom in", "dolly in"),
    "pull": ("pull", "zoom out", "dolly out", "reveal"),
    "drift": ("drift", "pan", "glide", "sideways", "track"),
}


@dataclass(frozen=True, slots=True)
class Framing:
    """What one frame shows: centre and share of the picture, as fractions."""

    x: float
    y: float
    share: float


@dataclass(frozen=True, slots=True)
class Shot:
    """Everything that decides a clip's bytes besides its pictures."""

    width: int
    height: int
    frames: int
    first: Framing
    last: Framing
    sound: int | None  # picks the chord; None: no audio track


def shot_of(payload: Payload, picture: tuple[int, int]) -> Shot:
    """Read a shot out of a payload; `picture` is the first still's size, used where no ratio is asked."""
    dice = random.Random(_seed(payload))  # noqa: S311 - it must repeat, nothing is guarded by it
    move = _move(str(payload.get("prompt", "")), dice)
    first, last = _framings(move, dice)
    width, height = frame_size(payload, picture)
    sound = dice.randrange(5) if payload.get("generate_audio_switch") is True else None
    return Shot(width, height, round(_seconds(payload) * FPS), first, last, sound)


def frame_size(payload: Payload, picture: tuple[int, int]) -> tuple[int, int]:
    """Return even pixel sizes: those asked for, or of the short edge that quality names and the ratio."""
    exact = _pair(payload.get("size"), "*", 4096)
    if exact is not None:
        return _even(exact[0]), _even(exact[1])
    quality = str(payload.get("quality", payload.get("resolution", "540p"))).lower()
    short = _EDGES.get(quality, 540)
    across, down = _pair(payload.get("aspect_ratio", payload.get("ratio")), ":", 99) or picture
    if across >= down:
        return _even(short * across / down), short
    return short, _even(short * down / across)


def framing_at(shot: Shot, index: int) -> Framing:
    """Return what frame `index` shows: the move eases in and out, so that it neither jerks nor stops hard."""
    t = eased(index / max(1, shot.frames - 1))
    a, b = shot.first, shot.last
    return Framing(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, a.share + (b.share - a.share) * t)


def eased(t: float) -> float:
    """Half way between steady and a smooth start and stop: 0 at 0, 1 at 1."""
    return 0.35 * t + 0.65 * t * t * (3 - 2 * t)


def _seed(payload: Payload) -> str:
    words = f"{payload.get('seed', 'none')}|{payload.get('prompt', '')}"
    return hashlib.sha256(words.encode()).hexdigest()


def _move(prompt: str, dice: random.Random) -> Move:
    fallback = dice.choice(tuple(_MOVE_WORDS))
    text = prompt.lower()
    found = ((text.find(word), move) for move, words in _MOVE_WORDS.items() for word in words if word in text)
    return min(found, default=(0, fallback))[1]


def _framings(move: Move, dice: random.Random) -> tuple[Framing, Framing]:
    side, tilt = dice.choice((-1, 1)), dice.uniform(-1, 1)
    if move == "drift":
        share = 0.5 * (CLOSE + WIDE) - 0.04
        return _placed(share, -side, -tilt / 2), _placed(share - 0.03, side, tilt / 2)
    near = _placed(CLOSE, side * dice.uniform(0.2, 0.9), tilt)
    far = _placed(WIDE, -side, -tilt)
    return (far, near) if move == "push" else (near, far)


def _placed(share: float, across: float, down: float) -> Framing:
    """Put a framing inside the picture; -1 and 1 touch its edges."""
    room = (1 - share) / 2
    return Framing(0.5 + across * room, 0.5 + down * room, share)


def _seconds(payload: Payload) -> float:
    try:
        seconds = float(payload.get("duration", 5))
    except (TypeError, ValueError):
        return 5.0
    return min(SECONDS_MAX, max(1.0, seconds)) if seconds == seconds else 5.0  # noqa: PLR0124 - not a number


def _pair(asked: JSON, between: str, most: int) -> tuple[int, int] | None:
    parts = str(asked).split(between)
    if len(parts) == 2 and all(part.isdigit() and 0 < int(part) <= most for part in parts):
        return int(parts[0]), int(parts[1])
    return None


def _even(length: float) -> int:
    return max(2, min(4096, round(length / 2) * 2))
