"""The output folder: clips under their names, with their stories, through crashes and among foreign files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from batchrunner.clock import SystemClock
from batchrunner.errors import LocalError
from batchrunner.media.clips import ClipFolder, Provenance
from batchrunner.media.publish import sha256_of
from batchrunner.media.trouble import MediaError
from batchrunner.providers.http import Http
from batchrunner.values import Attempt, AttemptState, MediaFile
from tests.media.films import Storage, film, stored
from tests.providers.wire import Wire, answer, in_turn, serving

PROVENANCE = Provenance("night", "m" * 64, "c" * 64, "1.2.3", "seed")
ATTEMPT = Attempt(
    id=12,
    job="fox.push-in.t1-3f9a2c71",
    number=2,
    name="fox/push-in-t1",
    failures=1,
    state=AttemptState.READY,
    model="pixverse-v5.6-i2v",
    account="org-1",
    origin="https://console.example.com",
    payload={"prompt": "Füchse", "seed": 7},
    fingerprint="f" * 64,
    reserved_micros=1,
    submitted_us=1_780_000_000_000_000,
    request_id="req-1",
    accepted_us=1_780_000_001_500_000,
)
CLIP, STORY, PART = "fox/push-in-t1.mp4", "fox/push-in-t1.json", "fox/push-in-t1.a12.part"
OTHER_CLIP, OTHER_STORY = "fox/push-in-t1-3f9a2c71.mp4", "fox/push-in-t1-3f9a2c71.json"


@cache
def clip() -> bytes:
    """Return one small film."""
    return film(frames=4)


@cache
def second_clip() -> bytes:
    """Return another one."""
    return film(frames=5)


class Desk:
    """A folder, what serves it, and the attempt at hand."""

    def __init__(self, http: Http, wire: Wire, url: str, root: Path) -> None:
        self.http, self.wire, self.url, self.root = http, wire, url, root
        self.clips = self.anew()

    def anew(self, provenance: Provenance = PROVENANCE) -> ClipFolder:
        """Return what a new process would make of the same folder."""
        return ClipFolder(self.http, self.root, provenance, SystemClock())

    def fetched(self, attempt: Attempt = ATTEMPT, urls: Sequence[str] = ()) -> Attempt:
        """Fetch, and return the attempt as the state table then has it."""
        return replace(attempt, files=self.clips.fetch(attempt, urls or [self.url]))

    def published(self, attempt: Attempt) -> tuple[MediaFile, ...]:
        """Publish in a new process."""
        (verdict,) = self.anew().publish([attempt])
        if isinstance(verdict, tuple):
            return verdict
        raise verdict

    def names(self) -> list[str]:
        """Return every file that is there."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if not path.is_dir())

    def story(self, name: str = STORY) -> Any:
        """Return a sidecar."""
        return json.loads((self.root / name).read_bytes())


@contextmanager
def desk(root: Path, data: bytes | None = None) -> Iterator[Desk]:
    """Serve one film for a folder."""
    with stored(Storage(clip() if data is None else data)) as (http, wire, url):
        yield Desk(http, wire, url, root)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    """A folder with a good film on the other side."""
    with desk(tmp_path / "clips") as one:
        yield one


def put(at: Desk, name: str, data: bytes) -> Path:
    """Lay a foreign file into the folder."""
    path = at.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# --- fetching -----------------------------------------------------------------------------------------


def test_what_is_fetched_is_told_by_its_bytes(at: Desk) -> None:
    """Size, hash, length and sides are of the film; the final name is not taken yet."""
    (told,) = at.fetched().files

    assert (CLIP, len(clip()), 128, 96) == (told.path, told.size, told.width, told.height)
    assert sha256_of(at.root / PART) == told.sha256
    assert 0.1 < told.seconds < 1
    assert [PART] == at.names()


@pytest.mark.parametrize(
    "data", [b"", b"<html>Sign in</html>", b"PK\x03\x04zip", b"<svg/>", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_film_leaves_nothing_behind(at: Desk, data: bytes) -> None:
    """Neither a part file to go on from, nor a name that looks done."""
    with serving(in_turn(answer(200, data))) as other, pytest.raises(MediaError) as caught:
        at.fetched(urls=[f"{other.url}/x"])

    assert caught.value.bad
    assert [] == at.names()


def test_a_quicktime_film_has_its_own_ending(tmp_path: Path) -> None:
    """The ending says what the bytes are, whatever the address said."""
    with desk(tmp_path, film(frames=4, container="mov")) as at:
        (file,) = at.published(at.fetched())

    assert "fox/push-in-t1.mov" == file.path


def test_an_expired_address_is_told_as_such(at: Desk) -> None:
    """The provider is asked for a fresh one."""
    with serving(in_turn(answer(403))) as other, pytest.raises(MediaError) as caught:
        at.fetched(urls=[f"{other.url}/x"])

    assert caught.value.gone


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "a\0b"])
def test_no_attempt_is_fetched_outside_the_folder(at: Desk, name: str) -> None:
    """Whatever the state table was made to hold."""
    with pytest.raises(LocalError, match="outside"):
        at.fetched(replace(ATTEMPT, name=name))

    assert [] == at.wire.asked


def test_a_folder_that_is_a_link_is_not_entered(at: Desk, tmp_path: Path) -> None:
    """Nothing is written at its other end."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    at.root.mkdir()
    (at.root / "fox").symlink_to(elsewhere)
    with pytest.raises(LocalError, match="elsewhere"):
        at.fetched()

    assert [] == list(elsewhere.iterdir())


def test_a_part_file_that_is_a_link_is_not_written_through(at: Desk, tmp_path: Path) -> None:
    """The file at its other end stays as it is."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"dear")
    (at.root / "fox").mkdir(parents=True)
    (at.root / PART).symlink_to(victim)
    with pytest.raises(LocalError):
        at.fetched()

    assert b"dear" == victim.read_bytes()


# --- publishing ---------------------------------------------------------------------------------------


def test_a_published_clip_has_a_story_beside_it(at: Desk) -> None:
    """Two files and nothing else."""
    (file,) = at.published(at.fetched())

    assert [STORY, CLIP] == at.names()
    assert CLIP == file.path
    assert clip() == (at.root / CLIP).read_bytes()


def test_the_story_tells_where_a_clip_came_from(at: Desk) -> None:
    """Everything that it takes to make it again, or to ask the provider about it; no address."""
    attempt = at.fetched()
    at.published(attempt)
    story = at.story()

    published_at = story.pop("published_at")
    (file,) = attempt.files
    assert story == {
        "campaign": "night",
        "manifest_sha256": "m" * 64,
        "card_sha256": "c" * 64,
        "batchrunner": "1.2.3",
        "job": ATTEMPT.job,
        "attempt": 2,
        "provider": "gmi",
        "model": ATTEMPT.model,
        "payload": {"prompt": "Füchse", "seed": 7},
        "pictures": {},
        "seed": 7,
        "campaign_seed": None,
        "request_id": "req-1",
        "submitted_at": "2026-05-28T20:26:40.000000Z",
        "accepted_at": "2026-05-28T20:26:41.500000Z",
        "files": [
            {
                "path": CLIP,
                "sha256": file.sha256,
                "size": file.size,
                "seconds": file.seconds,
                "width": 128,
                "height": 96,
            }
        ],
    }
    assert published_at.endswith("Z")
    assert "canary" not in (at.root / STORY).read_text(encoding="utf-8")


def test_the_story_keeps_which_local_file_was_uploaded(at: Desk) -> None:
    """The payload has only an address, which does not stay; of a file that no name is known of, the hash."""
    sha256, nameless = "1" * 64, "2" * 64
    pictures = {"first_frame": f"upload:{sha256}.png", "last_frame": f"upload:{nameless}.jpeg"}
    attempt = at.fetched(replace(ATTEMPT, pictures=pictures))
    at.anew(replace(PROVENANCE, campaign_seed=9, pictures={sha256: "a/b.png"})).publish([attempt])

    assert at.story()["campaign_seed"] == 9
    assert at.story()["pictures"] == {
        "first_frame": {"file": "a/b.png", "sha256": sha256, "extension": "png"},
        "last_frame": {"file": None, "sha256": nameless, "extension": "jpeg"},
    }


def test_a_model_without_seeds_tells_none(at: Desk) -> None:
    """The field is there, and empty."""
    attempt = at.fetched(replace(ATTEMPT, accepted_us=None))
    at.anew(replace(PROVENANCE, seed_field=None)).publish([attempt])

    assert (None, None) == (at.story()["seed"], at.story()["accepted_at"])


def test_publishing_again_changes_nothing(at: Desk) -> None:
    """A crash before the state table heard of it costs nothing."""
    attempt = at.fetched()

    assert at.published(attempt) == at.published(attempt)
    assert [STORY, CLIP] == at.names()


def test_a_crash_between_link_and_unlink_is_finished(at: Desk) -> None:
    """Both names are there."""
    attempt = at.fetched()
    os.link(at.root / PART, at.root / CLIP)

    at.published(attempt)

    assert [STORY, CLIP] == at.names()


def test_a_crash_before_the_story_is_finished(at: Desk) -> None:
    """Only the final name is there."""
    attempt = at.fetched()
    (at.root / PART).rename(at.root / CLIP)

    at.published(attempt)

    assert [STORY, CLIP] == at.names()


def test_a_crash_while_the_story_was_written_leaves_no_draft(at: Desk) -> None:
    """What an earlier process had begun is written anew, and not left lying there."""
    attempt = at.fetched()
    (at.root / PART).rename(at.root / CLIP)
    put(at, "fox/.push-in-t1.json.tmp", b'{"camp')

    at.published(attempt)

    assert [STORY, CLIP] == at.names()
    assert ATTEMPT.job == at.story()["job"]


@pytest.mark.parametrize("fetched", [1, 2])
def test_a_part_file_that_vanished_is_fetched_again(at: Desk, fetched: int) -> None:
    """The clip is paid for: it is asked for once more, not given up."""
    attempt = at.fetched()
    (at.root / PART).unlink()
    if fetched == 2:
        (at.root / PART).write_bytes(b"other")
    with pytest.raises(MediaError) as caught:
        at.published(attempt)

    assert caught.value.gone
    assert [] == at.names()


# --- among other files --------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", [CLIP, STORY])
def test_a_foreign_file_keeps_its_name(at: Desk, taken: str) -> None:
    """Clip and story both go under the next name, and stay together."""
    foreign = put(at, taken, b"dear")

    (file,) = at.published(at.fetched())

    assert b"dear" == foreign.read_bytes()
    assert OTHER_CLIP == file.path
    assert sorted([taken, OTHER_CLIP, OTHER_STORY]) == at.names()


def test_the_next_name_too_may_be_taken(at: Desk) -> None:
    """Then the attempt's number makes one."""
    for name in (CLIP, OTHER_CLIP):
        put(at, name, b"dear")

    (file,) = at.published(at.fetched())

    assert "fox/push-in-t1-3f9a2c71-a12.mp4" == file.path


def test_where_every_name_is_taken_it_says_so(at: Desk) -> None:
    """The clip stays where it is, for a person to decide."""
    for name in (CLIP, OTHER_CLIP, "fox/push-in-t1-3f9a2c71-a12.json"):
        put(at, name, b"dear")
    attempt = at.fetched()
    with pytest.raises(LocalError, match="is taken by other files"):
        at.published(attempt)

    assert PART in at.names()


def test_a_repeat_finds_the_other_name_again(at: Desk) -> None:
    """After a crash the clip is not published a second time under a third name."""
    put(at, CLIP, b"dear")
    attempt = at.fetched()

    assert at.published(attempt) == at.published(attempt)
    assert sorted([CLIP, OTHER_CLIP, OTHER_STORY]) == at.names()


def test_the_story_of_another_job_is_not_written_over(at: Desk) -> None:
    """Two campaigns may share a folder."""
    put(at, STORY, b'{"job": "hare.t1-00000000"}')

    at.published(at.fetched())

    assert {"job": "hare.t1-00000000"} == at.story()
    assert ATTEMPT.job == at.story(OTHER_STORY)["job"]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_no_story_is_foreign(at: Desk, text: bytes) -> None:
    """Whatever it holds, it is kept."""
    foreign = put(at, STORY, text)

    (file,) = at.published(at.fetched())

    assert text == foreign.read_bytes()
    assert OTHER_CLIP == file.path


@pytest.mark.parametrize("name", [CLIP, STORY])
def test_a_link_under_a_name_counts_as_taken(at: Desk, tmp_path: Path, name: str) -> None:
    """Also one that leads nowhere; nothing is written at its other end."""
    attempt = at.fetched()
    (at.root / name).symlink_to(tmp_path / "nowhere")

    (file,) = at.published(attempt)

    assert OTHER_CLIP == file.path
    assert (at.root / name).is_symlink()
    assert not (tmp_path / "nowhere").exists()


def test_the_very_same_clip_needs_no_second_name(at: Desk) -> None:
    """The user had copied it there: it is the clip."""
    put(at, CLIP, clip())

    (file,) = at.published(at.fetched())

    assert CLIP == file.path
    assert [STORY, CLIP] == at.names()


def test_an_older_clip_of_the_same_job_is_kept(at: Desk) -> None:
    """Both were paid for."""
    at.published(at.fetched())
    with serving(in_turn(answer(200, second_clip()))) as other:
        again = at.fetched(replace(ATTEMPT, id=13, number=3), [f"{other.url}/x"])
    (file,) = at.published(again)

    assert OTHER_CLIP == file.path
    assert (clip(), 2) == ((at.root / CLIP).read_bytes(), at.story()["attempt"])
    assert 3 == at.story(OTHER_STORY)["attempt"]


# --- several files ------------------------------------------------------------------------------------


@contextmanager
def two(at: Desk) -> Iterator[Attempt]:
    """Fetch an attempt that has two files."""
    with serving(in_turn(answer(200, second_clip()))) as other:
        yield at.fetched(urls=[at.url, f"{other.url}/x"])


def test_every_file_of_an_attempt_is_kept(at: Desk) -> None:
    """Numbered from the second on, with one story for all."""
    with two(at) as attempt:
        files = at.published(attempt)

    assert [CLIP, "fox/push-in-t1-2.mp4"] == [file.path for file in files]
    assert [STORY, "fox/push-in-t1-2.mp4", CLIP] == sorted(at.names(), key=lambda name: "json" not in name)
    assert [file.sha256 for file in files] == [file["sha256"] for file in at.story()["files"]]


def test_a_crash_between_two_files_is_finished(at: Desk) -> None:
    """The first has its name already."""
    with two(at) as attempt:
        (at.root / PART).rename(at.root / CLIP)
        at.published(attempt)

    assert sorted([CLIP, "fox/push-in-t1-2.mp4", STORY]) == at.names()


def test_where_one_of_several_names_is_taken_all_move_on(at: Desk) -> None:
    """The files of an attempt keep one stem."""
    put(at, "fox/push-in-t1-2.mp4", b"dear")
    with two(at) as attempt:
        files = at.published(attempt)

    assert [OTHER_CLIP, "fox/push-in-t1-3f9a2c71-2.mp4"] == [file.path for file in files]


def test_one_bad_file_makes_the_whole_fetch_fail(at: Desk) -> None:
    """And what was good of it is there for the next try."""
    with serving(in_turn(answer(200, b"<html>"))) as other, pytest.raises(MediaError) as caught:
        at.fetched(urls=[at.url, f"{other.url}/x"])

    assert caught.value.bad
    assert [PART] == at.names()
