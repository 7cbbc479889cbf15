"""Nothing moves: neither the order of anything, nor what else there is, changes an id or a seed."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.manifest.expand import expand
from batchrunner.manifest.load import load_bytes
from tests.manifest.build import HEAD
from tests.manifest.test_bad import PNG

URL = "https://example.com"
steady = settings(derandomize=True, max_examples=60, deadline=None)
NAMES = ["ant", "bee", "cat", "dog", "elk"]
WORDS = ["Pan over {it}", "Zoom to {it}", "Orbit {it}, slowly", "Hold still"]

# What a manifest may be made of: rows by the source that they stand in.
IMAGES = ["inline", "csv", "jsonl", "glob"]
PROMPTS = ["inline", "csv", "jsonl", "lines"]
SHOTS = ["inline", "csv", "jsonl"]

Rows = dict[str, list[tuple[str, str]]]  # by section: the source and the row's name, in the order written


def image_row(name: str) -> dict[str, Any]:
    """Return an image's row."""
    return {"id": name, "url": f"{URL}/{name}.png", "it": f"the {name}", "duration": 5 + 3 * (name < "c")}


def prompt_row(words: str) -> dict[str, Any]:
    """Return a prompt's row."""
    return {"id": words.split(maxsplit=1)[0].lower(), "text": words}


def shot_row(name: str) -> dict[str, Any]:
    """Return a shot's row."""
    return {"image": f"{URL}/shots/s-{name}.png", "prompt": f"The {name} looks up", "quality": "720p"}


def jobs(rows: Rows, keys: list[str], folder: Path) -> dict[str, tuple[int | None, str]]:
    """Write rows to where they stand; return seed and fingerprint of each job by its id."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "p").mkdir(parents=True)
    told: dict[str, Any] = {**HEAD, "takes": 2, "images": [], "prompts": [], "shots": []}
    made = {"images": image_row, "prompts": prompt_row, "shots": shot_row}
    for section, some in rows.items():
        for source in dict.fromkeys(source for source, _name in some):
            names = [name for one, name in some if one == source]
            told[section] += _entries(folder, section, source, [made[section](name) for name in names], keys)
    told = {key: told[key] for key in (*keys, *told) if told.get(key)}
    found = expand(*load_bytes(json.dumps(told).encode(), folder / "night.yaml"))
    return {job.id: (job.seed, job.fingerprint) for job in found}


def _entries(
    folder: Path, section: str, source: str, rows: list[dict[str, Any]], keys: list[str]
) -> list[dict[str, Any]]:
    file = folder / f"{section}.{source}"
    match source:
        case "inline":
            return [_inline(row) for row in rows]
        case "glob":
            for row in rows:
                (folder / "p" / f"g-{row['id']}.png").write_bytes(PNG.read_bytes() + row["id"].encode())
            return [{"glob": "p/*.png", "vars": {"it": "it"}}]
        case "lines":
            file.write_text("\n".join(f"Line of {row['text']}" for row in rows))
        case "jsonl":
            file.write_text("\n".join(json.dumps(_renamed(row, "j")) for row in rows))
        case "csv":
            columns = sorted(rows[0], key=lambda column: (column not in keys, column), reverse=bool(keys))
            lines = [columns, *([str(_renamed(row, "c")[column]) for column in columns] for row in rows)]
            file.write_text("\n".join(";".join(line) for line in lines))
    return [{source: file.name}]


def _renamed(row: dict[str, Any], mark: str) -> dict[str, Any]:
    """Return a row that is no other source's."""
    own = {"id": f"{mark}-{row['id']}"} if "id" in row else {"prompt": f"{row['prompt']}, {mark}"}
    return {**row, **own, **({"text": f"{row['text']} {mark}"} if "text" in row else {})}


def _inline(row: dict[str, Any]) -> dict[str, Any]:
    row = dict(row)
    known = {key: row.pop(key) for key in ("id", "url", "text", "image", "prompt") if key in row}
    if "image" in known:
        return known | row
    words = {"vars": {"it": row.pop("it")}} if "it" in row else {}
    return known | words | ({"parameters": row} if row else {})


def listed(sources: list[str], names: list[str], least: int = 0) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Return rows of a section."""
    one = st.tuples(st.sampled_from(sources), st.sampled_from(names))
    return st.lists(one, min_size=least, max_size=5, unique=True)


sections = st.fixed_dictionaries(
    {"images": listed(IMAGES, NAMES, 1), "prompts": listed(PROMPTS, WORDS, 1), "shots": listed(SHOTS, NAMES)}
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that each example fills anew."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "shoot"


@steady
@given(rows=sections, data=st.data())
def test_no_order_changes_an_id_or_a_seed(rows: Rows, data: st.DataObject, folder: Path) -> None:
    """Of images, prompts, shots, sources, rows, columns, files and keys."""
    before = jobs(rows, [], folder)
    turned = {key: data.draw(st.permutations(some)) for key, some in rows.items()}
    keys = data.draw(st.permutations([*HEAD, "id", "url", "text", "prompt"]))

    assert before == jobs(turned, keys, folder)


@steady
@given(rows=sections, more=sections)
def test_what_is_added_moves_nothing(rows: Rows, more: Rows, folder: Path) -> None:
    """More rows in any source leave every job that there was, seed and payload included."""
    both = {key: list(dict.fromkeys([*more[key], *rows[key]])) for key in rows}

    assert jobs(rows, [], folder).items() <= jobs(both, [], folder).items()
