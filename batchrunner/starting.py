"""First manifests: for a folder of pictures or for a table, with all that can be found out filled in.

The text is checked like any other manifest before anybody gets it.
"""

from __future__ import annotations

import csv
import glob
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrunner.cards import Card, load_card
from batchrunner.errors import LocalError, UsageError
from batchrunner.manifest.dimensions import size_of
from batchrunner.manifest.expand import expand
from batchrunner.manifest.load import load_bytes
from batchrunner.manifest.slugs import slug

MODEL = "pixverse-v5.6-i2v"
PICTURES = frozenset({".png", ".jpg", ".jpeg"})
OTHERS = frozenset({".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif"})
HEAD = 1 << 16  # bytes of a picture that are read for its size
LOOKED_AT = 200  # pictures whose size is looked at
SUGGESTION = "Slow push-in, soft light"

TEXT = """\
# yaml-language-server: $schema={schema}
# {about}
#
#   batchrunner plan {name}     what would be made and cost; nothing is sent
#   batchrunner run {name}      make it; run it again to go on
version: 1
campaign: {campaign}
provider: emulator        # renders small clips on this machine, free; `gmi` is the paid queue
model: {model}
seed: 1                   # every job's seed derives from it
{takes}parameters:
{parameters}
{sources}
limits:
  in_flight: 4
  # budget: 5.00          # dollars, at most
"""


@dataclass(frozen=True, slots=True)
class Started:
    """A manifest's text, and how many jobs it makes."""

    text: str
    jobs: int


def holds_pictures(folder: Path) -> bool:
    """Tell whether a folder holds files that are called like pictures."""
    return folder.is_dir() and any(path.suffix.lower() in PICTURES for path in folder.iterdir())


def for_folder(folder: Path, prompts: Sequence[str], path: Path) -> Started:
    """Return a manifest, to be written to `path`, for the pictures of a folder.

    Raises:
        ManifestError: a picture or a prompt is not right; every problem is in it.
        LocalError: the folder cannot be read.
    """
    try:
        files = sorted(one for one in folder.iterdir() if one.is_file())
        pictures = [one for one in files if one.suffix.lower() in PICTURES]
        shape = _shape(pictures, load_card(MODEL))
    except OSError as error:
        raise LocalError(f"cannot read {error.filename}: {error.strerror}") from error
    below = glob.escape(Path(os.path.relpath(folder, path.parent)).as_posix())
    patterns = [f"  - {{glob: {_text(f'{below}/*{suffix}')}}}" for suffix in _suffixes(pictures)]
    left = sum(one.suffix.lower() in OTHERS for one in files)
    if left:
        patterns.append(f"  # {left} more left out: convert them to PNG or JPEG")
    told = prompts or (SUGGESTION,)
    words = [f"  - {_text(one)}" for one in told]
    if not prompts:
        words.append("  # your own words; more lines make more clips of each picture")
    sources = "\n".join(["images:", *patterns, "prompts:", *words])
    takes = "takes: 2                  # seeds for each picture and prompt\n"
    return _checked(path, folder.resolve().name, sources, takes, shape)


def for_table(table: Path, path: Path) -> Started:
    """Return a manifest, to be written to `path`, for the rows of a csv or jsonl.

    Raises:
        UsageError: the table is not there, or none of its columns is a picture or a prompt.
        ManifestError: something in it is not right; every problem is in it.
    """
    columns = {name.strip().casefold() for name in _columns(table)}
    has_picture = bool(columns & {"image", "url", "file"})
    has_words = bool(columns & {"prompt", "text"})
    if not has_picture and not has_words:
        named = ", ".join(sorted(columns)) or "none"
        raise UsageError(
            f"{table} has no column for a picture (image, url or file) or for words (prompt or text); "
            f"its columns: {named}"
        )
    kind = "jsonl" if table.suffix.lower() == ".jsonl" else "csv"
    source = f"{{{kind}: {_text(Path(os.path.relpath(table, path.parent)).as_posix())}}}"
    if has_picture and has_words:
        sources, takes = f"shots: {source}", "takes: 1                  # seeds for each row\n"
    elif has_picture:
        sources = f"images: {source}\nprompts:\n  - {_text(SUGGESTION)}"
        takes = "takes: 2                  # seeds for each picture and prompt\n"
    else:
        sources = f'images:\n  - {{id: first, url: "https://example.com/first.png"}}\nprompts: {source}'
        takes = "takes: 2                  # seeds for each picture and prompt\n"
    return _checked(path, table.stem, sources, takes, None)


def default_path(source: Path) -> Path:
    """Return where the manifest of a folder or a table goes, in the working folder."""
    return Path(f"{slug(source.resolve().stem if source.suffix else source.resolve().name)}.yaml")


# --- the parts ----------------------------------------------------------------------------------------


def _checked(path: Path, name: str, sources: str, takes: str, shape: str | None) -> Started:
    parameters = ["  duration: 5", "  quality: 360p"]
    if shape is not None:
        parameters.insert(1, f'  aspect_ratio: "{shape}"    # nearest to the pictures')
    schema = Path(os.path.relpath("schemas/manifest.schema.json", path.parent)).as_posix()
    fill = {
        "schema": schema,
        "name": path.as_posix(),
        "campaign": slug(name),
        "model": MODEL,
        "takes": takes,
        "parameters": "\n".join(parameters),
        "sources": sources,
    }
    draft = TEXT.format(about="", **fill)
    manifest, card = load_bytes(draft.encode(), path)
    costs = [job.cost_micros for job in expand(manifest, card)]
    price = f", at most ${sum(filter(None, costs)) / 1e6:,.2f} on the paid queue" if all(costs) else ""
    about = f"Written by `batchrunner init`: {len(costs):,} job{'' if len(costs) == 1 else 's'}{price}."
    return Started(TEXT.format(about=about, **fill), len(costs))


def _shape(pictures: Sequence[Path], card: Card) -> str | None:
    """Return the model's aspect ratio that most pictures are nearest to; None where nobody can say."""
    ratios = {one: _ratio(one) for one in card.parameters["properties"]["aspect_ratio"]["enum"]}
    found: Counter[str] = Counter()
    for picture in pictures[:LOOKED_AT]:
        with picture.open("rb") as file:
            size = size_of(file.read(HEAD))
        if size is not None and all(size):
            found[min(ratios, key=lambda one: abs(ratios[one] - size[0] / size[1]))] += 1
    return found.most_common(1)[0][0] if found else None


def _ratio(text: str) -> float:
    width, height = text.split(":")
    return int(width) / int(height)


def _suffixes(pictures: Sequence[Path]) -> list[str]:
    return sorted({one.suffix for one in pictures})


def _columns(table: Path) -> list[str]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(HEAD)
            if first.lower().startswith("sep="):
                first = file.readline(HEAD)
    except OSError as error:
        raise UsageError(f"cannot read {table}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{table} is not UTF-8: in Excel, Save as, CSV UTF-8") from error
    if table.suffix.lower() == ".jsonl":
        try:
            told = json.loads(first)
        except ValueError:
            told = {}
        return list(told) if isinstance(told, dict) else []
    divider = next((one for one in "\t;" if one in first), ",")
    return next(csv.reader([first], delimiter=divider), [])


def _text(value: str) -> str:
    """Return a text as YAML takes it on one line, in quotes: JSON's are YAML's."""
    return json.dumps(value, ensure_ascii=False)
