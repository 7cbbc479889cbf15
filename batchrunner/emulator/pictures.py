"""Stills: read them, make them up, and look at a part of them. The only door to Pillow.

A clip shows the same still some hundred times from slightly other places. So a still is turned once
into the three planes that the encoder wants, and every frame is cut from those with sub-pixel boxes:
about a third of the work of doing it in RGB, and the move does not tremble.
"""

from __future__ import annotations

import colorsys
import hashlib
import io
import math
import random
from dataclasses import dataclass
from typing import TypeAlias

from batchrunner.emulator.camera import Framing
from batchrunner.errors import MissingExtraError

try:
    from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps
except ImportError as missing:
    raise MissingExtraError("the emulator", "emulator") from missing

Picture: TypeAlias = Image.Image
Colour: TypeAlias = tuple[int, int, int]
DRAWN_SIZE = (1280, 720)
_PIXELS_MAX = 64_000_000
# Limited-range video levels (ITU-R BT.601): luma 16..235, chroma 16..240.
_LUMA = [16 + round(level * 219 / 255) for level in range(256)]
_CHROMA = [16 + round(level * 224 / 255) for level in range(256)]


class BadPictureError(Exception):
    """The bytes are not a picture that can be read."""


@dataclass(frozen=True, slots=True)
class Still:
    """A picture as luma and two half-size chroma planes, ready to be looked at."""

    planes: tuple[Picture, Picture, Picture]

    def view(self, framing: Framing, size: tuple[int, int]) -> tuple[Picture, ...]:
        """Return the framed part as planes of a `size` frame in 4:2:0."""
        half = (size[0] // 2, size[1] // 2)
        sizes = (size, half, half)
        return tuple(_look(plane, framing, wanted) for plane, wanted in zip(self.planes, sizes, strict=True))


def read(data: bytes) -> Picture:
    """Decode a picture upright and in RGB; transparency is laid on white.

    Raises:
        BadPictureError: it cannot be decoded, or is larger than 64 megapixels.
    """
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if opened.width * opened.height > _PIXELS_MAX:
                raise BadPictureError("too many pixels")
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        raise BadPictureError(str(problem)) from problem
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture).convert("RGB")


def still(picture: Picture, size: tuple[int, int]) -> Still:
    """Crop a picture to the ratio of `size`, with a little more detail than the frames will show."""
    scale = 1.25
    whole = (round(size[0] * scale / 2) * 2, round(size[1] * scale / 2) * 2)
    fitted = ImageOps.fit(picture, whole, Image.Resampling.LANCZOS)
    luma, blue, red = fitted.convert("YCbCr").split()
    half = (whole[0] // 2, whole[1] // 2)
    small = Image.Resampling.BOX
    return Still(
        (luma.point(_LUMA), blue.resize(half, small).point(_CHROMA), red.resize(half, small).point(_CHROMA))
    )


def blend(a: tuple[Picture, ...], b: tuple[Picture, ...], t: float) -> tuple[Picture, ...]:
    """Mix two frames' planes: all `a` at 0, all `b` at 1."""
    return tuple(Image.blend(one, other, t) for one, other in zip(a, b, strict=True))


def rows(plane: Picture, stride: int) -> bytes:
    """Return a plane's bytes with rows padded to the encoder's stride."""
    if stride == plane.width:
        return plane.tobytes()
    return plane.crop((0, 0, stride, plane.height)).tobytes()


def thumbnail(picture: Picture) -> bytes:
    """Return a small JPEG of a picture."""
    small = picture.copy()
    small.thumbnail((320, 320))
    target = io.BytesIO()
    small.save(target, "JPEG", quality=82)
    return target.getvalue()


def drawn(name: str) -> Picture:
    """Make up a picture for a URL that is not fetched: hills in mist, their light and lines from its hash."""
    dice = random.Random(hashlib.sha256(name.encode()).hexdigest())  # noqa: S311 - it must repeat
    hue = dice.random()
    width, height = DRAWN_SIZE
    picture = _sky(hue, dice)
    layers = 5
    for layer in range(layers):
        depth = (layer + 1) / layers
        ridge = _ridge(dice, height * (0.48 + 0.42 * depth * depth), height * 0.09 * (0.5 + depth))
        _cover(picture, ridge, _tint(hue + 0.06 * depth, 0.28 + 0.3 * depth, 0.74 - 0.58 * depth))
    return _grain(picture, dice).resize((width, height))


def _look(plane: Picture, framing: Framing, size: tuple[int, int]) -> Picture:
    width, height = plane.size
    across, down = width * framing.share, height * framing.share
    left = min(max(0.0, width * framing.x - across / 2), width - across)
    top = min(max(0.0, height * framing.y - down / 2), height - down)
    return plane.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + across, top + down))


def _tint(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _sky(hue: float, dice: random.Random) -> Picture:
    top, low = _tint(hue + 0.08, 0.45, 0.72), _tint(hue - 0.07, 0.22, 0.98)
    fade = Image.linear_gradient("L").resize(DRAWN_SIZE)
    sky = Image.composite(Image.new("RGB", DRAWN_SIZE, low), Image.new("RGB", DRAWN_SIZE, top), fade)
    width, height = DRAWN_SIZE
    x, y, r = dice.uniform(0.2, 0.8) * width, dice.uniform(0.22, 0.42) * height, dice.uniform(34, 62)
    glow = Image.new("L", (width // 8, height // 8))
    ImageDraw.Draw(glow).ellipse([(v / 8) for v in (x - 3 * r, y - 3 * r, x + 3 * r, y + 3 * r)], fill=120)
    glow = glow.filter(ImageFilter.GaussianBlur(r / 8)).resize(DRAWN_SIZE)
    disc = Image.new("L", DRAWN_SIZE)
    ImageDraw.Draw(disc).ellipse((x - r, y - r, x + r, y + r), fill=235)
    light = ImageChops.lighter(glow, disc.filter(ImageFilter.GaussianBlur(1.5)))
    sky.paste(_tint(hue - 0.05, 0.08, 1.0), mask=light)
    return sky


def _ridge(dice: random.Random, base: float, swing: float) -> list[tuple[float, float]]:
    waves = [(dice.uniform(0.6, 1.4) * 2**n, dice.uniform(0, math.tau), 0.62**n) for n in range(6)]
    width, height = DRAWN_SIZE

    def level(x: int) -> float:
        return base + swing * sum(
            size * math.sin(turns * math.tau * x / width + phase) for turns, phase, size in waves
        )

    return [(0, height), *((x, level(x)) for x in range(0, width + 8, 8)), (width, height)]


def _cover(picture: Picture, ridge: list[tuple[float, float]], colour: Colour) -> None:
    mask = Image.new("L", DRAWN_SIZE)
    ImageDraw.Draw(mask).polygon(ridge, fill=255)
    picture.paste(colour, mask=mask.filter(ImageFilter.GaussianBlur(1.2)))


def _grain(picture: Picture, dice: random.Random) -> Picture:
    """Break up the gradients' bands. The noise repeats: it comes from the same dice."""
    tile = Image.frombytes("L", (256, 256), dice.randbytes(256 * 256)).point([v // 40 for v in range(256)])
    noise = Image.new("L", DRAWN_SIZE)
    for x in range(0, DRAWN_SIZE[0], 256):
        for y in range(0, DRAWN_SIZE[1], 256):
            noise.paste(tile, (x, y))
    return ImageChops.subtract(picture, Image.merge("RGB", (noise, noise, noise)))
