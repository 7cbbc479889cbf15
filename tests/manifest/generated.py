"""Manifests drawn from the schema, then spoilt: what tired people, other programs and cats make of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from batchrunner.cards import Card
from batchrunner.errors import ManifestError
from batchrunner.files import schema_text
from batchrunner.manifest.expand import count, expand
from batchrunner.manifest.load import load_bytes
from batchrunner.values import Job, Manifest, fingerprint

SCHEMA: dict[str, Any] = json.loads(schema_text("manifest.schema.json"))
PNG = Path(__file__).parents[2] / "manifests" / "images" / "fox.png"
LOOKED_AT = 200  # jobs of one manifest
URL = "https://example.com"

FILES = {
    "pictures.csv": f"id;url;subject;duration\nred;{URL}/red.png;the red;8\nblue;{URL}/blue.png;it;\n",
    "pictures.jsonl": f'{{"id": "tall", "url": "{URL}/tall.png", "subject": "tall", "light": "noon"}}\n',
    "words.txt": "Drift past\nOrbit {subject}\n",
    "words.csv": "id,prompt,light\nzoom,Zoom in on {subject} at {light},noon\n",
    "words.jsonl": '{"id": "tilt", "text": "Tilt up", "quality": "720p"}\n',
    "shots.csv": f"image\tprompt\ttakes\n{URL}/shot.png\tThe shot begins\t2\nfox\tpush-in\t\n",
    "shots.jsonl": f'{{"id": "s7", "image": "{URL}/s7.png", "prompt": "Words of its own", "duration": 8}}\n',
}
NO_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**9,
    "",
    " ",
    "{",
    "{x}",
    "no",
    "1:30",
    "\u202e",
    "😀",
    "../x",
    [],
    {},
]
WRONG_PLACE: list[Any] = [
    ["a"],
    {"a": "b"},
    "fox",
    "push-in",
    5,
    "540p",
    "x" * 300,
    "aux",
    f"{URL}/fox.png",
    "words.csv",
]
JUNK = st.sampled_from([*NO_VALUES, *WRONG_PLACE])
EDITS = st.sampled_from(
    ["\t", '"', "'", ": ", "- ", "}", "]", "\n", "&a ", "*a", "!!x ", "<<: ", "\0", ",", ";", "#", "{"]
)
MODELS = st.sampled_from(["pixverse-v5.6-i2v"] * 6 + ["pixverse-v6-i2v", "pixverse-v5.6-transition"])


def furnish(folder: Path) -> None:
    """Lay out the files that the schema's examples speak of."""
    for name in ("photos/harbour.png", "photos/fox 2.png", "photos/b/deep.png", "dawn.png", "dusk.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PNG, folder / name)
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")


@st.composite
def told(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a manifest as plain data: a sound one, with some parts as the schema allows them."""
    found: dict[str, Any] = {"version": 1, "campaign": "night", "model": draw(MODELS), "seed": 7}
    found |= {
        "images": [{"id": "fox", "url": f"{URL}/fox.png", "vars": {"subject": "the fox", "light": "dawn"}}],
        "prompts": [{"id": "push-in", "text": "Push in on {subject}"}],
    }
    for key in draw(st.sets(st.sampled_from(sorted(SCHEMA["properties"])), max_size=4)):
        found[key] = draw(of(SCHEMA["properties"][key]))
    return found


def of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values as a schema allows them, and now and then another."""
    if "$ref" in schema:
        schema = {**SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
    some = [st.sampled_from(schema["examples"])] * 4 + [JUNK] if "examples" in schema else [JUNK]
    if "properties" in schema:
        parts = {key: of(one) for key, one in schema["properties"].items()}
        some.append(st.fixed_dictionaries({}, optional=parts).map(lambda one: dict(islice(one.items(), 4))))
    if isinstance(schema.get("items"), dict):
        some.append(st.lists(of(schema["items"]), min_size=1, max_size=3))
    return st.one_of(some)


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[bytes, dict[str, str]]:
    """Draw a manifest's bytes, and the files beside it, with slips in both."""
    data = deepcopy(draw(told()))  # what is drawn may be shared with the next one
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        places = list(_places(data))
        at, key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.sampled_from(["junk", "drop", "twice", "misspelt"])):
            case "junk":
                at[key] = deepcopy(draw(JUNK))
            case "drop":
                del at[key]
            case "twice" if isinstance(at, list):
                at.insert(key, at[key])
            case _ if isinstance(at, dict):
                at[str(key)[:1] + str(key)[2:]] = at.pop(key)
    text = _yaml(data) if draw(st.booleans()) else json.dumps(data)
    files = dict(FILES)
    name = draw(st.sampled_from(sorted(FILES)))
    files[name] = draw(_edited(files[name]))
    return draw(_edited(text)).encode(), files


def _yaml(data: Any) -> str:
    return str(yaml.safe_dump(data, allow_unicode=True, sort_keys=False))


@st.composite
def _edited(draw: st.DrawFn, text: str) -> str:
    for _ in range(draw(st.sampled_from([0] * 8 + [1, 2]))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(EDITS) + text[at + draw(st.integers(0, 3)) :]
    return text


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container with each of its keys, however deep."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def outcome(raw: bytes, files: dict[str, str], folder: Path) -> str:
    """Load a manifest; say whether it was refused, in an orderly way, or makes jobs that can be sent.

    Whatever else happens is raised.
    """
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="")
    before = sorted(folder.rglob("*"))
    try:
        manifest, card = load_bytes(raw, folder / "night.yaml")
    except ManifestError as error:
        _orderly(error, folder)
        return "refused"
    finally:
        assert before == sorted(folder.rglob("*"))
    sound(manifest, card)
    return "plan"


def _orderly(error: ManifestError, folder: Path) -> None:
    assert error.exit_code == 2
    assert error.problems == sorted(error.problems)
    for problem in error.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message.strip()
        assert Path(problem.file).parent == folder


def sound(manifest: Manifest, card: Card) -> None:
    """See that the jobs of an accepted manifest are such as can be sent, each once."""
    some = list(islice(expand(manifest, card), LOOKED_AT))
    assert some
    assert count(manifest, card) == len(some) or len(some) == LOOKED_AT
    for unique in (
        {job.id for job in some},
        {job.name.casefold() for job in some},
        {job.fingerprint for job in some},
    ):
        assert len(some) == len(unique)
    for job in some:
        _sendable(job, card)


def _sendable(job: Job, card: Card) -> None:
    assert fingerprint(job.model, job.payload) == job.fingerprint
    assert job.payload[card.prompt_field].strip()
    assert "{subject}" not in job.payload[card.prompt_field]
    assert set(job.payload) <= {
        *card.image_fields,
        card.prompt_field,
        card.seed_field,
        *card.parameters["properties"],
    }
    assert not any(part in {"", ".", ".."} for part in job.name.split("/"))
