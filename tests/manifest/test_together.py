"""Every mistake at once: what is told of one alone is told beside any other, and nothing else is."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from random import Random

import pytest

from tests.manifest.planted import FILES, MISTAKES, Said, may_hide, planted, said

PAIRS = [pair for pair in itertools.combinations(MISTAKES, 2) if planted(*pair) is not None]
DRAWN = Random(20261129).sample(PAIRS, 500)  # of 6,000, which take minutes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files of one manifest after the other."""
    return tmp_path_factory.mktemp("night")


@cache
def alone(name: str, folder: Path) -> Said:
    """Return what is said of one mistake."""
    files = planted(name)
    assert files is not None
    return said(files, folder)


def test_the_manifest_that_mistakes_are_planted_in_is_sound(folder: Path) -> None:
    """Else every case would be wrong for a second reason."""
    assert frozenset() == said(FILES, folder)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_alone_is_told(name: str, folder: Path) -> None:
    """Each of them, in the file it is in."""
    assert MISTAKES[name].file in {file for file, _path, _words in alone(name, folder)}


@pytest.mark.parametrize(("one", "other"), DRAWN)
def test_of_two_mistakes_none_hides_the_other(one: str, other: str, folder: Path) -> None:
    """Both are told; and nothing at any place where neither of them is."""
    files = planted(one, other)
    assert files is not None
    found = said(files, folder)
    wanted = {
        problem
        for name, beside in ((one, other), (other, one))
        for problem in alone(name, folder)
        if not may_hide(beside, name)
    }

    assert wanted <= found
    places = {problem[:2] for name in (one, other) for problem in alone(name, folder)}
    assert {problem[:2] for problem in found} <= places
