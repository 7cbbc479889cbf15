"""YAML as JSON-shaped data: its traps stay texts or are refused, and every value knows its place."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.errors import ManifestError
from batchrunner.manifest.characters import PROBLEMS_MAX
from batchrunner.manifest.document import Document
from batchrunner.manifest.doubts import GONE
from batchrunner.manifest.yamlread import read, read_on
from batchrunner.values import canonical

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32).filter(lambda number: abs(number) < 2**53)
    | st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcdef", max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


def plain(text: str) -> Any:
    """Return the data in a text."""
    return read(text.encode(), "m.yaml").data


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("16:9", "16:9"),
        ("2026-11-23", "2026-11-23"),
        ("2026-11-23T05:00:00Z", "2026-11-23T05:00:00Z"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("540p", "540p"),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("'7'", "7"),
        ("'null'", "null"),
        ('"true"', "true"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("NULL", None),
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("-0.0", 0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5),
        ("5.0", 5),
        ("1e3", 1000),
        ("2.5E-1", 0.25),
        ("9007199254740992", 2**53),
    ],
)
def test_a_scalar_is_what_it_looks_like(written: str, value: object) -> None:
    """Words, times and dates stay texts; a number has one form."""
    found = plain(f"a: {written}\n")["a"]

    assert (type(value), value) == (type(found), found)


@given(JSON_VALUES)
@settings(max_examples=150, deadline=None)
def test_json_is_read_as_json(value: Any) -> None:
    """What comes out is what went in; 5.0 is 5."""
    assert value == plain(canonical(value))


@given(
    st.binary(max_size=120)
    | st.text(max_size=120).map(
        str.encode,
    )
    | st.text("ab:-[]{}&*!|>'\"%@#?, \n\t\\0", max_size=60).map(str.encode)
)
@settings(max_examples=400, deadline=None)
def test_whatever_the_bytes_it_is_data_or_a_problem_with_a_place(raw: bytes) -> None:
    """Nothing else ever comes out."""
    found = outcome(raw)
    if isinstance(found, Document):
        canonical(found.data)
    else:
        assert found.problems
        assert all(problem.line >= 1 and problem.column >= 1 for problem in found.problems)


def outcome(raw: bytes) -> Document | ManifestError:
    """Return what comes of some bytes: data, or all that is wrong with them."""
    try:
        return read(raw, "m.yaml")
    except ManifestError as error:
        return error


def test_values_and_keys_know_their_places() -> None:
    """From 1, in characters, below a mark and with the line ends of Windows too."""
    found = read("\ufeffé: 1\r\nlist:\r\n  - {ü: ö, id: fox}\r\n".encode(), "m.yaml")

    assert (1, 1) == found.place(("é",), key=True)
    assert (1, 4) == found.place(("é",))
    assert (3, 5) == found.place(("list", 0))
    assert (3, 12) == found.place(("list", 0, "id"), key=True)
    assert (3, 16) == found.place(("list", 0, "id"))
    assert (3, 5) == found.place(("list", 0, "gone", "deeper"))


def test_numbers_keep_what_was_written_beside_what_they_mean() -> None:
    """As a word of a prompt, 1.10 is not 1.1."""
    found = read(b"a: 1.10\nb: '1.10'\n", "m.yaml")

    assert {"a": 1.1, "b": "1.10"} == found.data
    assert {("a",): "1.10"} == found.written


def test_all_that_is_refused_is_told_at_once() -> None:
    """Several traps in one file are one look."""
    with pytest.raises(ManifestError) as caught:
        read(b"a: 012\nb: &x 1\nc: *x\nd: .inf\na: !!str 2\n", "m.yaml")

    assert [(1, 4), (2, 4), (3, 4), (4, 4), (5, 1), (5, 4)] == [
        (problem.line, problem.column) for problem in caught.value.problems
    ]


def test_every_tab_and_every_control_character_is_told() -> None:
    """Not one after the other, each after the last one is mended."""
    with pytest.raises(ManifestError) as caught:
        read(b"a:\n  b: 1\n\tc: 2\nd:\n\te: 3\n", "m.yaml")
    with pytest.raises(ManifestError) as other:
        read(b"a: \a\nb: \0\n", "m.yaml")

    assert [(3, 1), (5, 1)] == [(problem.line, problem.column) for problem in caught.value.problems]
    assert [(1, 4), (2, 4)] == [(problem.line, problem.column) for problem in other.value.problems]


def test_what_is_refused_is_read_past() -> None:
    """So that the rest can be checked; of a key that is there twice, the first value stands."""
    found = read_on(b"a: 012\nb: 1\nb: 2\nc: [.inf, 3]\n", "m.yaml")

    assert [1, 3, 4] == [problem.line for problem in found.problems]
    assert {"a": 12, "b": 1, "c": [GONE, 3]} == found.doubts.sound(found.data)
    assert (2, 4) == found.place(("b",))


def test_an_alias_bomb_unfolds_nothing() -> None:
    """It is refused at its first anchor, in no time."""
    rows = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    with pytest.raises(ManifestError, match="anchors"):
        read("\n".join(["a0: &a0 [lol]", *rows]).encode(), "m.yaml")


@pytest.mark.parametrize("line", ["- &a x\n", "- *a\n", "a: 012\n", "- !!python/none x\n"])
def test_no_more_than_a_hundred_problems_are_told(line: str) -> None:
    """Nobody reads a million; to make them would take the memory that the limits save."""
    with pytest.raises(ManifestError) as caught:
        read(line.encode() * 100_000, "m.yaml")

    assert PROBLEMS_MAX == len(caught.value.problems)


def test_the_quick_parser_is_there() -> None:
    """Without it the slow one is used, which says the same in ten times the time."""
    assert hasattr(yaml, "CSafeLoader")


def test_texts_that_lack_quotes_are_told_and_read_on() -> None:
    """Each once; what stands behind them keeps its place."""
    text = """\
prompts:
  - 'It's dawn'
  - @{subject} walks
  - {text: Camera: slow, vars: {a: "b"}}
"""
    document = read_on(text.encode(), "m.yaml")

    assert document.data == {
        "prompts": ["It's dawn", "@{subject} walks", {"text": "Camera: slow", "vars": {"a": "b"}}]
    }
    assert [(2, 5), (3, 5), (4, 12)] == [(one.line, one.column) for one in document.problems]
    column = text.splitlines()[3].index('"b"') + 1
    assert (4, column) == document.place(("prompts", 2, "vars", "a"))


def test_a_file_full_of_texts_without_quotes_is_read_past_twenty() -> None:
    """Each costs a reading; the first that is too many is the last one told."""
    with pytest.raises(ManifestError) as caught:
        read_on(b"".join(b"- @a\n" for _ in range(1_000)), "m.yaml")

    assert 21 == len(caught.value.problems)
