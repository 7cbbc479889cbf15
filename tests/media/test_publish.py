"""Giving a file its name: whole, once, inside the folder, and never over what is not ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchrunner.errors import LocalError
from batchrunner.media.publish import Draft, is_ours, is_taken, place, publish, sha256_of
from batchrunner.media.trouble import MediaError

CLIP = b"a whole clip"


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A fetched file."""
    path = tmp_path / "clip.a1.part"
    path.write_bytes(CLIP)
    return path


@pytest.fixture
def final(tmp_path: Path) -> Path:
    """The name it is to have."""
    return tmp_path / "clip.mp4"


def test_a_part_file_gets_its_name(part: Path, final: Path) -> None:
    """And loses its old one."""
    publish(part, final, sha256_of(part))

    assert CLIP == final.read_bytes()
    assert [final] == list(final.parent.iterdir())


def test_publishing_twice_is_publishing_once(part: Path, final: Path) -> None:
    """A crash between the rename and the commit repeats it."""
    sha256 = sha256_of(part)
    publish(part, final, sha256)
    publish(part, final, sha256)

    assert CLIP == final.read_bytes()


def test_a_crash_between_the_two_names_is_finished(part: Path, final: Path) -> None:
    """The file has both names for a moment."""
    final.hardlink_to(part)
    publish(part, final, sha256_of(part))

    assert [final] == list(final.parent.iterdir())


def test_a_foreign_file_is_never_written_over(part: Path, final: Path) -> None:
    """It stays as it was, and so does the part file."""
    final.write_bytes(b"foreign")
    with pytest.raises(FileExistsError):
        publish(part, final, sha256_of(part))

    assert b"foreign" == final.read_bytes()
    assert CLIP == part.read_bytes()


@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_under_the_final_name_is_not_followed(part: Path, final: Path, dangling: bool) -> None:
    """Wherever it leads, even to the same bytes."""
    target = final.parent / "target"
    if not dangling:
        target.write_bytes(CLIP)
    final.symlink_to(target)
    with pytest.raises(FileExistsError):
        publish(part, final, sha256_of(part))

    assert is_taken(final, sha256_of(part))
    assert dangling != target.exists()


def test_a_part_file_that_changed_is_not_published(part: Path, final: Path) -> None:
    """What is under a final name is what was checked; the rest is fetched again."""
    sha256 = sha256_of(part)
    part.write_bytes(b"something else")
    with pytest.raises(MediaError) as caught:
        publish(part, final, sha256)

    assert caught.value.gone
    assert [] == list(part.parent.iterdir())


def test_a_part_file_that_became_a_link_is_not_published(part: Path, final: Path) -> None:
    """A link is not the file that was checked."""
    sha256 = sha256_of(part)
    moved = part.rename(part.parent / "elsewhere")
    part.symlink_to(moved)
    with pytest.raises(MediaError):
        publish(part, final, sha256)

    assert not final.exists()
    assert CLIP == moved.read_bytes()


def test_nothing_to_publish_is_told(tmp_path: Path, final: Path) -> None:
    """Neither file is there."""
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "none.part", final, "0" * 64)


@pytest.mark.parametrize("relative", ["../x", "a/../../x", "/etc/x", "", "a\0b", "..", "a/.."])
def test_no_name_leads_outside(tmp_path: Path, relative: str) -> None:
    """And nothing is made on the way."""
    root = tmp_path / "outputs"
    with pytest.raises(LocalError, match="outside"):
        place(root, relative)

    assert [] == list(tmp_path.iterdir())


def test_a_folder_that_is_a_link_out_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    """No folder appears at its other end."""
    root, elsewhere = tmp_path / "outputs", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "fox").symlink_to(elsewhere)
    with pytest.raises(LocalError, match="leads elsewhere"):
        place(root, "fox/deep/clip.mp4")

    assert [] == list(elsewhere.iterdir())


def test_the_folder_of_a_name_is_made(tmp_path: Path) -> None:
    """However deep."""
    path = place(tmp_path / "outputs", "fox/push-in/t1.mp4")

    assert tmp_path / "outputs/fox/push-in/t1.mp4" == path
    assert path.parent.is_dir()


def test_a_file_where_a_folder_should_be_is_told(tmp_path: Path) -> None:
    """The sentence names it."""
    (tmp_path / "fox").write_bytes(b"")
    with pytest.raises(LocalError, match="cannot make the folder"):
        place(tmp_path, "fox/clip.mp4")


def test_a_sidecar_is_readable_json_and_replaces_the_old_one(tmp_path: Path) -> None:
    """A line for each key, whole at every moment, and no draft is left."""
    path = tmp_path / "clip.json"
    for story in ({"job": "old"}, {"job": "fox.t1", "payload": {"prompt": "Füchse 🦊"}}):
        Draft(str(path), story).file()

    assert {"job": "fox.t1", "payload": {"prompt": "Füchse 🦊"}} == json.loads(path.read_bytes())
    assert "Füchse" in path.read_text(encoding="utf-8")
    assert [path] == list(tmp_path.iterdir())


def test_ours_is_what_has_our_hash(part: Path) -> None:
    """Not what has our name."""
    assert is_ours(part, sha256_of(part))
    assert not is_ours(part, "0" * 64)
    assert not is_ours(part.parent, sha256_of(part))
