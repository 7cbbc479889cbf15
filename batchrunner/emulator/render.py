"""Stills in, a small playable MP4 out; of a film, the still it ends with. A door to PyAV.

Same stills and same shot give the same bytes on one machine: one thread, no time stamps, no random
identifiers. H.264 in 4:2:0 at 24 frames a second with the index in front, so that any player shows it
while it still loads.
"""

from __future__ import annotations

import io
import math
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from batchrunner.emulator.camera import FPS, Shot, eased, framing_at
from batchrunner.emulator.pictures import BadPictureError, Picture, Still, blend, rows
from batchrunner.errors import MissingExtraError

try:
    import av
except ImportError as missing:
    raise MissingExtraError("the emulator", "emulator") from missing

_VIDEO_OPTIONS = {
    "preset": "superfast",
    "crf": "24",
    "threads": "1",
    "flags": "+bitexact",
    "x264-params": "threads=1:lookahead-threads=1:sliced-threads=0",
}
_CONTAINER_OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}
_BT601 = 6  # SMPTE 170M in the numbering of H.264, for primaries, transfer and matrix alike
_LIMITED_RANGE = 1
_RATE_HZ = 44_100
_AAC_SAMPLES = 1024  # samples in one AAC frame
_LOUDNESS = 0.03  # about -30 dB: audible when looked for, never startling
_CHORDS_HZ = ((220, 277, 330), (196, 247, 294), (262, 330, 392), (175, 220, 262), (147, 220, 294))


def encode(shot: Shot, stills: Sequence[Still], path: Path) -> None:
    """Write the clip to `path`. One still is panned over; more melt into one another in their order."""
    with av.open(str(path), "w", format="mp4", container_options=_CONTAINER_OPTIONS) as output:
        video = output.add_stream("libx264", rate=FPS, options=_VIDEO_OPTIONS)
        video.width, video.height, video.pix_fmt = shot.width, shot.height, "yuv420p"
        _tag_colours(video.codec_context)
        tone = None
        if shot.sound is not None:
            tone = output.add_stream("aac", rate=_RATE_HZ, layout="mono", options={"flags": "+bitexact"})
        for frame in _frames(shot, stills):
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if tone is not None:
            for sound in _sounds(shot):
                output.mux(tone.encode(sound))
            output.mux(tone.encode(None))


def is_film(data: bytes) -> bool:
    """Tell whether bytes begin as a film does."""
    return data[4:8] == b"ftyp"


def last_frame(data: bytes) -> Picture:
    """Return the picture that a film ends with: what an extension of it goes on from.

    Raises:
        BadPictureError: it cannot be decoded.
    """
    try:
        with av.open(io.BytesIO(data), mode="r", format="mov") as film:
            film.seek(film.duration or 0)  # to the last frame that stands for itself
            frames = deque(film.decode(film.streams.video[0]), maxlen=1)
            if not frames:
                raise BadPictureError("the film has no picture")
            picture: Picture = frames[0].to_image()  # type: ignore[no-untyped-call]  # as its author left it
            return picture
    except (av.FFmpegError, IndexError, ValueError) as problem:
        raise BadPictureError(str(problem)) from problem


def _tag_colours(context: av.VideoCodecContext) -> None:
    context.color_range = _LIMITED_RANGE
    context.color_primaries = context.color_trc = context.colorspace = _BT601


def _frames(shot: Shot, stills: Sequence[Still]) -> Iterator[av.VideoFrame]:
    size = (shot.width, shot.height)
    for index in range(shot.frames):
        framing = framing_at(shot, index)
        at = eased(index / max(1, shot.frames - 1)) * (len(stills) - 1)
        lower = min(int(at), len(stills) - 1)
        planes = stills[lower].view(framing, size)
        if at > lower:
            planes = blend(planes, stills[lower + 1].view(framing, size), at - lower)
        frame = av.VideoFrame(*size, "yuv420p")
        for plane, target in zip(planes, frame.planes, strict=True):
            target.update(rows(plane, target.line_size))
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        yield frame


def _sounds(shot: Shot) -> Iterator[av.AudioFrame]:
    samples = _tone(_CHORDS_HZ[(shot.sound or 0) % len(_CHORDS_HZ)], shot.frames * _RATE_HZ // FPS)
    for start in range(0, len(samples), _AAC_SAMPLES):
        piece = samples[start : start + _AAC_SAMPLES]
        piece.extend([0.0] * (_AAC_SAMPLES - len(piece)))
        sound = av.AudioFrame(format="fltp", layout="mono", samples=_AAC_SAMPLES)
        sound.planes[0].update(piece.tobytes())
        sound.sample_rate, sound.pts, sound.time_base = _RATE_HZ, start, Fraction(1, _RATE_HZ)
        yield sound


def _tone(chord_hz: Sequence[int], count: int) -> array[float]:
    """Return a chord that swells over the first half second and dies away over the last."""
    period = _RATE_HZ  # whole numbers of hertz repeat after one second
    second = [sum(math.sin(math.tau * hz * n / _RATE_HZ) for hz in chord_hz) for n in range(period)]
    ramp = _RATE_HZ / 2
    return array(
        "f", (_LOUDNESS * min(1.0, n / ramp, (count - n) / ramp) * second[n % period] for n in range(count))
    )
