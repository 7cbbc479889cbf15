"""The clips: real, playable, moving, of the asked size and length, and the same bytes everywhere."""

from __future__ import annotations

import hashlib
import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image, ImageChops, ImageStat

from batchrunner.emulator.camera import CLOSE, FPS, framing_at, shot_of
from batchrunner.emulator.pictures import BadPictureError, drawn, read, still
from batchrunner.emulator.process import EmbeddedEmulator
from batchrunner.emulator.render import encode, last_frame
from tests.emulator.client import PAYLOAD, Client, emulator, picture, send


def clip(path: Path, *colours: str, **changes: Any) -> bytes:
    """Render a payload over one or more small pictures."""
    pictures = [read(picture(640, 360, colour)) for colour in colours or ("teal",)]
    shot = shot_of({**PAYLOAD, **changes}, pictures[0].size)
    encode(shot, [still(one, (shot.width, shot.height)) for one in pictures], path / "clip.mp4")
    return (path / "clip.mp4").read_bytes()


def frames(data: bytes) -> list[Image.Image]:
    """Decode every frame."""
    with av.open(io.BytesIO(data), "r") as container:
        return [frame.to_image() for frame in container.decode(video=0)]  # type: ignore[no-untyped-call]


def difference(a: Image.Image, b: Image.Image) -> float:
    """Return the mean absolute difference of two pictures, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(a, b)).mean) / 3


@pytest.mark.parametrize(
    ("ratio", "quality", "size"),
    [
        ("16:9", "360p", (640, 360)),
        ("9:16", "360p", (360, 640)),
        ("1:1", "540p", (540, 540)),
        ("4:3", "360p", (480, 360)),
        ("3:4", "540p", (540, 720)),
        ("16:9", "1080p", (1920, 1080)),
    ],
)
def test_the_size_follows_ratio_and_quality(ratio: str, quality: str, size: tuple[int, int]) -> None:
    """Quality names the short edge."""
    shot = shot_of({**PAYLOAD, "aspect_ratio": ratio, "quality": quality}, (100, 100))

    assert size == (shot.width, shot.height)


def test_without_a_ratio_the_picture_gives_it() -> None:
    """A model without that parameter keeps the picture's own shape."""
    payload = {name: value for name, value in PAYLOAD.items() if name != "aspect_ratio"}
    shot = shot_of(payload, (400, 300))

    assert (shot.width, shot.height) == (480, 360)


@pytest.mark.parametrize("duration", ["5", 5, "8"])
def test_a_clip_decodes_with_the_asked_size_and_length(tmp_path: Path, duration: object) -> None:
    """H.264 in 4:2:0 at 24 frames a second, the index in front, within a tenth of a second."""
    data = clip(tmp_path, duration=duration)
    with av.open(io.BytesIO(data), "r") as container:
        video = container.streams.video[0]
        told: tuple[object, ...] = (
            video.codec_context.name,
            video.codec_context.pix_fmt,
            float(video.average_rate or 0),
        )
        seconds = (container.duration or 0) / av.time_base
        count = len(list(container.decode(video)))

    assert told == ("h264", "yuv420p", FPS)
    assert int(str(duration)) == pytest.approx(seconds, abs=0.1)
    assert int(str(duration)) * FPS == count
    assert data.find(b"moov") < data.find(b"mdat")


def test_a_clip_moves_and_shows_its_picture(tmp_path: Path) -> None:
    """First and last frame differ, neighbours hardly do, and the colours are those of the still."""
    shown = frames(clip(tmp_path))
    steps = [difference(a, b) for a, b in pairwise(shown)]
    colour = ImageStat.Stat(shown[0]).mean
    wanted = ImageStat.Stat(read(picture(640, 360))).mean

    assert difference(shown[0], shown[-1]) > 4
    assert max(steps) < difference(shown[0], shown[-1]) / 4
    assert wanted == pytest.approx(colour, abs=12)


def test_the_move_eases_in_and_out() -> None:
    """It is slower at both ends than in the middle, and stays inside the picture."""
    shot = shot_of(PAYLOAD, (16, 9))
    seen = [framing_at(shot, n) for n in range(shot.frames)]
    pace = [abs(b.share - a.share) for a, b in pairwise(seen)]

    assert pace[0] < pace[len(pace) // 2] > pace[-1]
    assert all(one.share / 2 - 1e-9 <= one.x <= 1 - one.share / 2 + 1e-9 for one in seen)


@pytest.mark.parametrize(
    ("prompt", "closer"), [("Slow push-in on it", True), ("pull back to reveal it", False)]
)
def test_words_of_the_prompt_steer_the_camera(prompt: str, closer: bool) -> None:
    """A push ends near, a pull starts near."""
    shot = shot_of({**PAYLOAD, "prompt": prompt}, (16, 9))

    assert (shot.last.share == CLOSE, shot.first.share == CLOSE) == (closer, not closer)


def test_another_seed_is_another_move() -> None:
    """Takes of one prompt can be told apart."""
    shots = {shot_of({**PAYLOAD, "seed": seed}, (16, 9)) for seed in range(8)}

    assert len(shots) == 8


def test_sound_is_there_only_where_asked(tmp_path: Path) -> None:
    """A quiet mono track as long as the clip."""
    with av.open(io.BytesIO(clip(tmp_path, generate_audio_switch=True)), "r") as container:
        tracks = [(stream.type, stream.codec_context.name) for stream in container.streams]
        sound = container.streams.audio[0]
        seconds = float((sound.duration or 0) * (sound.time_base or 0))
    with av.open(io.BytesIO(clip(tmp_path)), "r") as container:
        silent = len(container.streams.audio)

    assert tracks == [("video", "h264"), ("audio", "aac")]
    assert pytest.approx(seconds, abs=0.1) == 5
    assert silent == 0


def test_two_pictures_melt_into_one_another(tmp_path: Path) -> None:
    """A transition starts on the first picture and ends on the last."""
    shown = frames(clip(tmp_path, "red", "blue"))
    first, last = (ImageStat.Stat(one).mean for one in (shown[0], shown[-1]))

    assert first[0] > first[2]
    assert last[2] > last[0]


@pytest.mark.parametrize(
    ("asked", "size"),
    [({"size": "1280*720"}, (1280, 720)), ({"ratio": "9:16", "resolution": "720P"}, (720, 1280))],
)
def test_the_size_follows_what_other_models_call_it(asked: dict[str, str], size: tuple[int, int]) -> None:
    """Pixels outright, or a ratio."""
    shot = shot_of({"prompt": "Pan", **asked}, (100, 100))

    assert size == (shot.width, shot.height)


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\0\0\0\x20ftypisom", picture()])
def test_what_is_no_film_is_said(data: bytes) -> None:
    """Of a picture too."""
    with pytest.raises(BadPictureError):
        last_frame(data)


def test_a_film_is_gone_on_with_from_where_it_ends(tmp_path: Path) -> None:
    """A transition from red to blue ends blue, and so begins what follows it."""
    film = clip(tmp_path, "red", "blue", quality="360p", aspect_ratio="4:3")
    asked: dict[str, Any] = {
        "model": "pixverse-v6-extend",
        "image_url": None,
        "aspect_ratio": None,
        "duration": 1,
    }
    with emulator(tmp_path / "root", canned=False) as client:
        url = client.media_url(video=client.upload(film, "mp4", "video/mp4"), **asked)
        shown = frames(send("GET", url).body)
        refused = client.post(video=client.upload(picture()), **asked)

    assert ((480, 360), FPS) == (shown[0].size, len(shown))
    assert difference(shown[0], frames(film)[-1]) < difference(shown[0], frames(film)[0])
    assert 400 == refused.status


def test_words_alone_make_a_picture_that_follows_them_and_the_seed(tmp_path: Path) -> None:
    """The same take shows the same at every quality; another seed, or other words, show something else."""
    asked: dict[str, Any] = {"model": "pixverse-v5.6-t2v", "image_url": None, "generate_audio_switch": None}
    with emulator(tmp_path, canned=False) as client:
        made = [
            frames(send("GET", client.media_url(**asked, **one)).body)[0].resize((64, 36))
            for one in ({}, {"quality": "540p"}, {"seed": 8}, {"prompt": "Slow push-in on an owl"})
        ]

    assert difference(made[0], made[1]) < 3
    assert min(difference(made[0], made[2]), difference(made[0], made[3])) > 3


def test_a_made_up_picture_depends_on_its_address_alone() -> None:
    """The same URL gives the same picture, another URL another."""
    a, again, b = drawn("https://a/1.png"), drawn("https://a/1.png"), drawn("https://a/2.png")

    assert a.tobytes() == again.tobytes()
    assert difference(a, b) > 3


@pytest.mark.parametrize("data", [b"", b"nonsense", picture()[:60]])
def test_what_is_no_picture_is_said(data: bytes) -> None:
    """Bytes that cannot be decoded raise, whatever they are."""
    with pytest.raises(BadPictureError):
        read(data)


def test_the_same_payload_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    """Another process, another port, another upload: the same clip, sound included."""
    hashes = []
    for name in ("a", "b"):
        with EmbeddedEmulator(root=tmp_path / name) as emulator:
            client = Client(emulator.api, emulator.storage, emulator.key)
            client.call("PUT", "/_emulator/config", {"duration_s": [0, 0]})
            url = client.media_url(image_url=client.upload(picture()), generate_audio_switch=True)
            hashes.append((emulator.storage, hashlib.sha256(send("GET", url).body).hexdigest()))

    assert hashes[0][0] != hashes[1][0]
    assert hashes[0][1] == hashes[1][1]


def test_the_thumbnail_is_a_picture_not_a_clip(tmp_path: Path) -> None:
    """Who takes any URL under outcome gets a JPEG."""
    with EmbeddedEmulator(root=tmp_path) as emulator:
        client = Client(emulator.api, emulator.storage, emulator.key)
        client.call("PUT", "/_emulator/config", {"duration_s": [0, 0]})
        outcome = client.finished(client.accepted())["outcome"]
        reply = send("GET", outcome["thumbnail_image_url"])

    assert (reply.headers["Content-Type"], reply.body[:2]) == ("image/jpeg", b"\xff\xd8")
