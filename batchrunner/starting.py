"""First manifests: for a folder of pictures, a table or words, with all that can be found out filled in.

The text is checked like any other manifest before anybody gets it.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batchrunner.cards import Card
from batchrunner.errors import LocalError, ManifestError, UsageError
from batchrunner.listing import JSON_SUFFIXES, imageless_models, is_table, section_of
from batchrunner.manifest.dimensions import size_of
from batchrunner.manifest.expand import expand
from batchrunner.manifest.load import load_bytes
from batchrunner.manifest.slugs import first_words, slug, words_id
from batchrunner.manifest.templates import TemplateError, names

MODEL = "pixverse-v5.6-i2v"
PICTURES = frozenset({".png", ".jpg", ".jpeg"})
OTHERS = frozenset({".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif"})
VIDEOS = frozenset({".mp4"})
OTHER_VIDEOS = frozenset({".mov", ".m4v", ".webm", ".mkv", ".avi"})
SHAPE = "aspect_ratio"  # the parameter, where a model has it
HEAD = 1 << 16  # bytes of a picture that are read for its size
LOOKED_AT = 200  # pictures whose size is looked at
WALKED_MAX = 100_000  # files below a folder that are looked at: somebody may name a whole disk
SHOWN_MAX = 60  # characters of a prompt in a message about it
SUGGESTION = "Slow push-in, soft light"
WORDS = "A harbour at dawn, slow push-in"  # the same for a model that is given nothing to look at

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
    """A manifest's text, how many jobs it makes, and what was left out of it."""

    text: str
    jobs: int
    notes: tuple[str, ...] = ()


def suffixes(card: Card) -> frozenset[str]:
    """Return how the local files that a model takes are called."""
    return VIDEOS if card.videos else PICTURES if card.image_fields else frozenset()


def others(folder: Path, card: Card) -> list[str]:
    """Return the files in or below a folder that are pictures (or videos) of kinds to be converted."""
    kinds = OTHER_VIDEOS if card.videos else OTHERS
    return [path.relative_to(folder).as_posix() for path in _in(folder, kinds) or _below(folder, kinds)]


def holds_some(folder: Path, card: Card, *, below: bool = True) -> bool:
    """Tell whether a folder (or one below it) holds files that are called like those that a model takes."""
    kinds = suffixes(card)
    return folder.is_dir() and bool(_in(folder, kinds) or (below and _below(folder, kinds)))


def _in(folder: Path, kinds: Collection[str]) -> list[Path]:
    """Return the files of a folder of some kinds, as a pattern finds them: without the hidden ones."""
    return sorted(
        one
        for one in folder.iterdir()
        if one.suffix.lower() in kinds and not one.name.startswith(".") and one.is_file()
    )


def _below(folder: Path, kinds: Collection[str]) -> list[Path]:
    """Return the same of all folders below a folder."""
    found: list[Path] = []
    looked_at = 0
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        looked_at += len(files)
        if Path(here) != folder:
            found += (
                Path(here, one)
                for one in files
                if Path(one).suffix.lower() in kinds and not one.startswith(".")
            )
        if looked_at > WALKED_MAX:
            break
    return sorted(found)


def for_folder(folder: Path, prompts: Sequence[str], path: Path, card: Card) -> Started:
    """Return a manifest, to be written to `path`, for the pictures (or videos) of a folder.

    Where it holds none itself, for those in the folders below it.

    Raises:
        UsageError: a picture or a prompt is not right (every problem is in it); or the model takes
            more than one file, and nobody can tell which of them belong together.
        LocalError: the folder cannot be read.
    """
    _check(prompts)
    if len(card.image_fields) > 1:
        what = f"{card.id} takes {card.takes_files}, and a folder does not tell which belong together"
        raise UsageError(f"{what}: put them into a table, and name it with --from")
    try:
        own, further = _in(folder, suffixes(card)), _below(folder, suffixes(card))
        pictures = own or further
        left = len((_in if own else _below)(folder, OTHER_VIDEOS if card.videos else OTHERS))
        shape = None if card.videos else _shape(pictures, card)
    except OSError as error:
        raise LocalError(f"cannot read {error.filename}: {error.strerror}") from error
    below = glob.escape(Path(os.path.relpath(folder, path.parent)).as_posix())
    deep = f"{below}/**"
    usual = below if own else deep
    patterns = [f"  - {{glob: {_text(f'{usual}/*{suffix}')}}}" for suffix in _suffixes(pictures)]
    notes = []
    if own and further:
        what = f"{len(further)} more in folders below are left out"
        notes.append(f"{what}: {_text(f'{deep}/*{further[0].suffix}')} takes them in too")
    if left:
        kind = "MP4" if card.videos else "PNG or JPEG"
        notes.append(f"{left} more left out: convert them to {kind}")
    patterns += [f"  # {note}" for note in notes]
    word = "video" if card.videos else "picture"
    sources = "\n".join(["images:", *patterns, *_prompts(prompts, SUGGESTION, f"more clips of each {word}")])
    takes = f"takes: 2                  # seeds for each {word} and prompt\n"
    try:
        made = _checked(path, folder.resolve().name, sources, takes, card, shape)
        return replace(made, notes=tuple(notes))
    except ManifestError as error:
        raise _about_options(error, prompts, str(folder)) from error


def for_words(name: str, prompts: Sequence[str], path: Path, card: Card) -> Started:
    """Return a manifest, to be written to `path`, of prompts alone, or with files that are still to be named.

    Raises:
        UsageError: a prompt is not right; every problem is in it.
    """
    _check(prompts)
    suggestion = SUGGESTION if card.image_fields else WORDS
    sources = "\n".join([*_first_image(card), *_prompts(prompts, suggestion, "more clips")])
    takes = "takes: 2                  # seeds for each prompt\n"
    try:
        return _checked(path, name, sources, takes, card, None)
    except ManifestError as error:
        raise _about_options(error, prompts, name) from error


def for_table(table: Path, path: Path, card: Card) -> Started:
    """Return a manifest, to be written to `path`, for the rows of a csv or jsonl, or for the lines of a text.

    Raises:
        UsageError: the table is not there, its columns are not what the model needs, or something in it is
            not right; every problem is in it.
    """
    suffix = table.suffix.lower()
    kind = "jsonl" if suffix in JSON_SUFFIXES else "lines" if suffix == ".txt" else "csv"
    if kind == "lines" and is_table(table):
        kind = "csv"
    section = "prompts" if kind == "lines" else section_of(table, card)
    source = f"{{{kind}: {_text(Path(os.path.relpath(table, path.parent)).as_posix())}}}"
    if kind == "lines" and card.image_fields:
        raise UsageError(
            f"{table} has only words, and {card.id} takes {card.takes_files}: batchrunner init FOLDER, "
            f"and name the words there as `prompts: {source}`; or take --model {imageless_models()}"
        )
    if section == "shots":
        sources, takes = f"shots: {source}", "takes: 1                  # seeds for each row\n"
    elif section == "images":
        sources = f"images: {source}\nprompts:\n  - {_text(SUGGESTION)}"
        takes = "takes: 2                  # seeds for each picture and prompt\n"
    else:
        sources, takes = f"prompts: {source}", "takes: 2                  # seeds for each prompt\n"
    try:
        return _checked(path, table.stem, sources, takes, card, None)
    except ManifestError as error:
        raise _about_table(error, table, path) from error


def default_path(source: Path) -> Path:
    """Return where the manifest of a folder or a table goes, in the working folder."""
    return Path(f"{slug(source.resolve().stem if source.suffix else source.resolve().name)}.yaml")


# --- the parts ----------------------------------------------------------------------------------------


def _first_image(card: Card) -> list[str]:
    """Return an image that is to be replaced; nothing where the model takes none."""
    if not card.image_fields:
        return []
    urls = [
        f"https://example.com/{name}.{'mp4' if field in card.videos else 'png'}"
        for name, field in zip(("first", "second", "third", "next"), card.image_fields, strict=False)
    ]
    frames = ", ".join(f"{{url: {_text(url)}}}" for url in urls)
    told = f"url: {_text(urls[0])}" if len(urls) == 1 else f"frames: [{frames}]"
    return ["images:", f"  - {{id: first, {told}}}"]


def _check(prompts: Sequence[str]) -> None:
    """Refuse words of the command line that are none, are there twice, or wait for words from a picture."""
    found: list[str] = []
    for one, count in Counter(prompts).items():
        try:
            wanted = names(one)
        except TemplateError as error:
            found += dict.fromkeys(f"{_option(one)}: {what}" for _index, what in error.faults)
            wanted = error.names
        if not one.strip():
            found.append("--prompt: must not be empty")
        elif count > 1:
            found.append(f"{_option(one)}: is there {'twice' if count == 2 else f'{count} times'}")
        found += [
            f"{_option(one)}: {{{name}}} has no word here: write the word itself, or give a table "
            f'with a column "{name}" to --from'
            for name in wanted
        ]
    if found:
        raise UsageError("\n".join(found))


def _option(prompt: str) -> str:
    return f"--prompt {_text(prompt if len(prompt) <= SHOWN_MAX else f'{prompt[:SHOWN_MAX]}…')}"


def _about_options(error: ManifestError, prompts: Sequence[str], what: str) -> UsageError:
    """Return the problems of a draft by what was given for it: nobody has the lines of an unwritten file."""
    told = []
    for one in error.problems:
        place = re.match(r"prompts\[(\d+)\]", one.path)
        told.append(f"{_option(prompts[int(place[1])]) if place and prompts else what}: {one.message}")
    return UsageError("\n".join(told))


def _about_table(error: ManifestError, table: Path, path: Path) -> UsageError:
    """Return the problems of a draft at the cells of the table as it was named."""
    told = [
        f"{table}: {one.message}" if one.file == str(path) else str(replace(one, file=str(table)))
        for one in error.problems
    ]
    return UsageError("\n".join(told))


def _prompts(prompts: Sequence[str], suggestion: str, more: str) -> list[str]:
    """Return prompts; those whose ids, made of their first words, would be the same are given others."""
    heads = Counter(first_words(one) for one in prompts)
    lines = [
        f"  - {{id: {words_id(one)}, text: {_text(one)}}}"
        if heads[first_words(one)] > 1
        else f"  - {_text(one)}"
        for one in prompts or (suggestion,)
    ]
    note = [] if prompts else [f"  # your own words; more lines make {more}"]
    return ["prompts:", *lines, *note]


def _parameters(card: Card, shape: str | None) -> list[str]:
    """Return the settings that are always sent: the first, which is the cheapest, of those to choose from."""
    told = []
    for name, default in card.defaults.items():
        choices = card.parameters["properties"][name].get("enum", (default,))
        if name == SHAPE:
            told += [] if shape is None else [f'  {name}: "{shape}"    # nearest to the pictures']
        else:
            value = choices[0]
            plain = not isinstance(value, str) or value.isalnum()
            told.append(f"  {name}: {value if plain else _text(value)}")
    return told


def _checked(path: Path, name: str, sources: str, takes: str, card: Card, shape: str | None) -> Started:
    schema = Path(os.path.relpath("schemas/manifest.schema.json", path.parent)).as_posix()
    fill = {
        "schema": schema,
        "name": shlex.quote(path.as_posix()),
        "campaign": slug(name),
        "model": card.id,
        "takes": takes,
        "parameters": "\n".join(_parameters(card, shape)),
        "sources": sources,
    }
    draft = TEXT.format(about="", **fill)
    manifest, _card = load_bytes(draft.encode(), path)
    costs = [job.cost_micros for job in expand(manifest, card)]
    price = f", at most ${sum(filter(None, costs)) / 1e6:,.2f} on the paid queue" if all(costs) else ""
    about = f"Written by `batchrunner init`: {len(costs):,} job{'' if len(costs) == 1 else 's'}{price}."
    return Started(TEXT.format(about=about, **fill), len(costs))


def _shape(pictures: Sequence[Path], card: Card) -> str | None:
    """Return the model's aspect ratio that most pictures are nearest to; None where nobody can say."""
    rule = card.parameters["properties"].get(SHAPE, {})
    ratios = {one: _ratio(one) for one in rule.get("enum", ())}
    if not ratios:
        return None
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


def _text(value: str) -> str:
    """Return a text as YAML takes it on one line, in quotes: JSON's are YAML's."""
    return json.dumps(value, ensure_ascii=False)
