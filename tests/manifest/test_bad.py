"""Wrong manifests: what is said of each, and where.

The whole message is compared, for it is all that a tired person has. Most cases are files in
`tests/manifests/bad`, each with what should be said of it on top; bytes and great lengths are here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from batchrunner.errors import ManifestError, UsageError
from batchrunner.manifest import shape
from batchrunner.manifest.load import load, load_bytes
from batchrunner.manifest.yamlread import read

GOOD = """\
version: 1
campaign: night
model: pixverse-v5.6-i2v
seed: 7
takes: 2
parameters:
  duration: 5
  quality: 540p
images:
  - {id: fox, url: "https://example.com/fox.png", vars: {subject: the fox}}
prompts:
  - {id: push, text: "Push in on {subject}"}
"""
URL = 'url: "https://example.com/fox.png"'
PNG = Path(__file__).parents[2] / "manifests" / "images" / "fox.png"

BAD = Path(__file__).parents[1] / "manifests" / "bad"
NAMES = sorted(path.stem for path in BAD.glob("*.yaml"))

RAW = {
    "UTF-16": (GOOD.encode("utf-16"), "1:1: this is UTF-16: save it as UTF-8"),
    "Latin-1": (
        GOOD.replace("the fox", "füchse").encode("latin-1"),
        "10:68: not UTF-8: save the file as UTF-8",
    ),
    "a mark, two bytes a letter": (
        b"\xef\xbb\xbf# \xc3\xa9\n# \xc3\xa9\xff\n",
        "2:4: not UTF-8: save the file as UTF-8",
    ),
    "tab": (
        GOOD.replace("  quality", "\tquality").encode(),
        "8:1: a tab in the indentation: use spaces",
    ),
    "NUL": (
        GOOD.replace("night", "ni\0ght").encode(),
        "2:13: the control character U+0000 does not belong here",
    ),
    "bell": (
        GOOD.replace("night", "ni\aght").encode(),
        "2:13: the control character U+0007 does not belong here",
    ),
    "brackets 5,000 deep": (b"a: " + 5_000 * b"[", "1:36: nested deeper than 32 levels"),
    "mappings 100 deep": (
        "".join(f"{depth * ' '}a:\n" for depth in range(100)).encode(),
        "34:34: nested deeper than 32 levels",
    ),
    "empty": (b"", "1:1: there is nothing in it: a manifest begins with `version: 1`"),
    "only a comment": (b"# night\n", "1:1: there is nothing in it: a manifest begins with `version: 1`"),
    "a list": (b"- a\n", "1:1: a manifest is a mapping: `version: 1` and so on"),
    "a text": (b"hello\n", "1:1: a manifest is a mapping: `version: 1` and so on"),
    "larger than any manifest": (b"#" * ((4 << 20) + 1), "1:1: larger than 4 MiB"),
    "lines of Windows": (
        GOOD.replace("seed: 7", "seed: -7").replace("\n", "\r\n").encode(),
        "4:7: seed: must be at least 0, not -7",
    ),
    "5,000 digits": (
        GOOD.replace("seed: 7", f"seed: {5_000 * '9'}").encode(),
        f"4:7: seed: {39 * '9'}… is too large a number: put it in quotes if it is a text",
    ),
    "too many takes": (
        GOOD.replace("takes: 2", f"takes: {list(range(10_001))}").encode(),
        "5:8: takes: has 10,001 entries; at most 10,000 are allowed",
    ),
    "prompt too long with its words": (
        GOOD.replace("Push in", 2_047 * "x").encode(),
        '12:22: prompts[0].text: with the words of image "fox" it is 2,058 characters long; '
        "the model takes 2,048",
    ),
    "parameter too long": (
        GOOD.replace("quality: 540p", f"negative_prompt: {2_049 * 'x'}").encode(),
        "8:20: parameters.negative_prompt: is 2,049 characters long; at most 2,048 are allowed",
    ),
    "name of the campaign too long": (
        GOOD.replace("night", 70 * "x").encode(),
        "2:11: campaign: must begin with a lower-case letter or digit and hold only those, dots, dashes and "
        "underscores, 64 at most: it names files",
    ),
    "too many frames": (
        GOOD.replace(URL, f"frames: [{', '.join(9 * ['{' + URL + '}'])}]").encode(),
        "10:23: images[0].frames: has 9 entries; at most 8 are allowed",
    ),
    "address too long": (
        GOOD.replace("fox.png", 2_048 * "x").encode(),
        "10:20: images[0].url: must be a URL without spaces, 2048 characters at most",
    ),
    "what looks like a key, in a comment": (
        GOOD.replace("seed: 7", f"seed: 7  # eyJ{24 * 'a'}.{24 * 'b'}.{24 * 'c'}").encode(),
        "4:12: this looks like an API key: keys belong into the environment, not into a manifest",
    ),
    "what looks like a key": (
        GOOD.replace("the fox", f"eyJ{24 * 'a'}.{24 * 'b'}.{24 * 'c'}").encode(),
        "10:67: images[0].vars.subject: this looks like an API key: keys belong into the environment, "
        "not into a manifest",
    ),
}


def wrong(name: str) -> tuple[bytes, list[str]]:
    """Return a wrong manifest and what should be said of it: its first lines, which begin with `#! `."""
    raw = (BAD / f"{name}.yaml").read_bytes()
    return raw, re.findall(r"^#! (.*)$", raw.decode(), re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with pictures that nobody should pay for."""
    (tmp_path / "cut.png").write_bytes(PNG.read_bytes()[:-200])
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(90))
    (tmp_path / "fox.webp").write_bytes(b"RIFF\x10\0\0\0WEBPVP8 ")
    (tmp_path / "empty.png").touch()
    (tmp_path / "shot[1].png").write_bytes(PNG.read_bytes())
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "files").symlink_to(BAD / "files")
    (tmp_path / "made").mkdir()
    with (tmp_path / "made" / "large.csv").open("wb") as file:
        file.truncate((64 << 20) + 1)
    (tmp_path / "loop.png").symlink_to("loop.png")
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(20_000_001)
    with (tmp_path / "large.mp4").open("wb") as file:
        file.truncate(50_000_001)
    return tmp_path


def said(raw: bytes, folder: Path) -> list[str]:
    """Return what is said of a manifest, without the file's name."""
    path = folder / "night.yaml"
    with pytest.raises(ManifestError) as caught:
        load_bytes(raw, path)
    whole = [str(problem) for problem in caught.value.problems]
    assert str(caught.value) == "\n".join(whole)
    return [one.removeprefix(f"{path}:").replace(str(folder), "FOLDER") for one in whole]


def test_the_manifest_behind_the_cases_is_good(tmp_path: Path) -> None:
    """Else every case would be wrong for a second reason."""
    manifest, card = load_bytes(GOOD.encode(), tmp_path / "night.yaml")

    assert ("night", "pixverse-v5.6-i2v") == (manifest.campaign, card.id)


@pytest.mark.parametrize("case", NAMES)
def test_every_mistake_is_told_where_it_was_made(case: str, folder: Path) -> None:
    """Line, column, path and words; all of them, in the order of the file."""
    raw, expected = wrong(case)

    assert expected
    assert expected == said(raw, folder)


@pytest.mark.parametrize("case", RAW)
def test_bytes_and_lengths_that_no_table_shows_are_told_as_well(case: str, tmp_path: Path) -> None:
    """Bytes that are no text, depths and lengths without end."""
    raw, expected = RAW[case]

    assert [expected] == said(raw, tmp_path)


ZERO = {
    "campaign": GOOD.replace("night", "007"),
    "matrix": GOOD.replace("takes: 2", "takes: 2\nmatrix: 007"),
    "values of an axis": GOOD.replace("takes: 2", "takes: 2\nmatrix: {motion_mode: 007}"),
    "price": f"{GOOD}price: 007\n",
    "name": f"{GOOD}output: {{name: 007}}\n",
    "id": GOOD.replace("id: fox", "id: 007"),
    "url": GOOD.replace(URL, "url: 007"),
    "file": GOOD.replace(URL, "file: 007"),
    "csv": GOOD.replace(
        '{id: fox, url: "https://example.com/fox.png", vars: {subject: the fox}}', "csv: 007"
    ),
    "words": GOOD.replace("{subject: the fox}", "007"),
    "text": GOOD.replace('"Push in on {subject}"', "007"),
    "prompts": GOOD[: GOOD.index("  - {id: push")].replace("prompts:", "prompts: 007"),
    "shot": f"{GOOD}shots: [{{image: 007, prompt: push}}]\n",
    "exclude": f"{GOOD}exclude: [{{image: 007}}]\n",
}


@pytest.mark.parametrize("case", ZERO)
def test_a_number_with_a_zero_is_told_wherever_it_stands(case: str, tmp_path: Path) -> None:
    """It is read on as a number, also where a text, a list or a mapping is needed, and must break nothing."""
    found = said(ZERO[case].encode(), tmp_path)

    assert 1 == sum("007 begins with a zero" in one for one in found)


def test_a_manifest_that_cannot_be_read_is_a_wrong_call(tmp_path: Path) -> None:
    """The cause is the system's own word."""
    with pytest.raises(UsageError, match=r"cannot read the manifest .*: No such file or directory"):
        load(tmp_path / "gone.yaml")


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
@pytest.mark.parametrize("case", ["yaml-duplicate-key", "shots-csv"])
def test_a_wrong_manifest_costs_nothing(command: str, case: str, folder: Path) -> None:
    """Exit 2, every message and no traceback; nothing on stdout, and no file or folder made."""
    raw, expected = wrong(case)
    (folder / "night.yaml").write_bytes(raw)
    before = sorted(folder.rglob("*"))
    words = [sys.executable, "-m", "batchrunner", command, "night.yaml"]
    environment = os.environ | {"PYTHONPATH": str(BAD.parents[2])}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    told = [
        one.replace("FOLDER/", "") if one.startswith("FOLDER") else f"night.yaml:{one}" for one in expected
    ]

    assert (2, "") == (done.returncode, done.stdout)
    assert told == done.stderr.splitlines()[: len(told)]
    assert "Traceback" not in done.stderr
    assert before == sorted(folder.rglob("*"))


LENGTHS = {"minLength", "minItems", "maxItems", "minProperties", "minimum", "exclusiveMinimum", "maximum"}
RULES = {"type", "const", "enum", "pattern", "uniqueItems", "required", "oneOf", "anyOf", *LENGTHS}


def rules(schema: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every rule of a schema that can be broken, each definition's once."""
    for key in schema:
        if key in RULES or (key == "additionalProperties" and schema[key] is False):
            yield (*path, key)
    for group in ("properties", "$defs"):
        for name, below in schema.get(group, {}).items():
            yield from rules(below, (*path, group, name))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from rules(schema[key], (*path, key))


def where(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return the path of a rule as `rules` has it: from the last definition that led to it."""
    root: Any = shape.validator().schema
    schema, found = root, list[str | int]()
    for part in path:
        if "$ref" in schema and part not in schema:
            found = [*schema["$ref"].removeprefix("#/").split("/")]
            schema = root[found[0]][found[1]]
        found.append(part)
        schema = schema[part]
    return tuple(found)


def test_every_rule_of_the_schema_is_broken_by_some_case() -> None:
    """A rule that no case breaks has a message that nobody has read."""
    broken = set()
    for raw in [*(wrong(name)[0] for name in NAMES), *(raw for raw, _said in RAW.values())]:
        with suppress(ManifestError):  # those are no YAML at all
            errors = shape.validator().iter_errors(read(raw, "x").data)
            broken |= {where(tuple(error.absolute_schema_path)) for error in errors}

    assert set() == set(rules(shape.validator().schema)) - broken
