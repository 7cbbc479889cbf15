"""What is plain in a large table takes a short cut; it must lead where the long way leads."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batchrunner.manifest.pictures import PictureError, from_url, name_in
from batchrunner.manifest.slugs import ID, is_path, segment, slug, stem
from batchrunner.manifest.templates import fill, names, parts

NAMES = st.text("ab09.-_Aé \n", max_size=70) | st.sampled_from(["aux", "com1", "nul.x", "con-", "b" * 121])


@given(NAMES)
def test_a_slug_is_its_own_slug(name: str) -> None:
    """So what is one already can be taken as it is."""
    assert slug(slug(name)) == slug(name)
    assert ID.fullmatch(slug(name))


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_a_safe_path_is_one_that_stays_as_it_is(parts_: list[str]) -> None:
    """Asked before each of 100,000 paths is made."""
    assert is_path("/".join(parts_)) == all(segment(part) == part for part in parts_)


@given(st.text("abé019.-/%?#@:[]\\ ;~", max_size=12))
def test_the_name_in_an_address_is_that_of_its_path(rest: str) -> None:
    """Query and fragment are no part of it, and %20 is a blank."""
    url = f"https://example.com/{rest}"
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        assume(False)

    assert name_in(url) == stem(path)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.png", "a"),
        ("shots/a.b.png", "a.b"),
        ("a/", "a"),
        ("a/.", "a"),
        ("a.png/b", "b"),
        (".hidden", ".hidden"),
        ("a.", "a."),  # "a" to pathlib since 3.14
        ("..a", "."),  # "..a" to it
        ("..", ".."),
        ("a\\b.png", "a\\b"),
        ("", ""),
    ],
)
def test_a_file_has_the_same_name_in_every_python(path: str, name: str) -> None:
    """An id that comes of it must not change with the interpreter: the job would be another one."""
    assert stem(path) == name


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.7/a.png",
        "https://192.168.1.1/a.png",
        "https://nas.local/a.png",
        "https://user@example.com/a.png",
        "https://example.com:x/a.png",
        "https://example.com/a b.png",
        f"https://example.com/{'a' * 2048}",
        "https:///a.png",
        "http://example.com/a.png",
        "https://example.com/a.MP4?size=1",
    ],
)
def test_an_address_that_the_provider_cannot_fetch_is_refused(url: str) -> None:
    """The quick look passes none that the long one refuses."""
    with pytest.raises(PictureError):
        from_url(url)


def test_a_text_without_braces_is_all_words() -> None:
    """And has no names."""
    text = "A slow push-in: 50 % of the harbour"

    assert (parts(text), names(text), fill(text, {})) == (((text, ""),), (), text)
