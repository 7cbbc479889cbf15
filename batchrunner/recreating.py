"""From the file beside a clip to a manifest that makes that clip again, from that file alone.

What was sent stands there byte for byte. But local pictures were uploaded, and an address of the provider's
storage does not stay. The sidecar keeps which files they were; where one is found by its content, it is named
and uploaded anew. Sidecars of earlier versions say nothing of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from batchrunner.cards import Card, load_card, parse_card
from batchrunner.errors import UsageError
from batchrunner.locating import hash_of, locate
from batchrunner.manifest.slugs import ID
from batchrunner.sidecars import Sidecar
from batchrunner.writing import Exported, Sent, Writer, flow, head, proved

BELOW_MAX = 1_000  # folders in which a manifest may have been
JOB_ID = re.compile(r"(?P<pair>.+)\.t(?P<take>[0-9]+)-[0-9a-f]{8}")


def recreate(sidecar: Sidecar, target: Path, folders: Sequence[Path] = ()) -> Exported:
    """Return a manifest of the one job that made a clip.

    `target` is the file that it is for; `folders`: where its local files may be, beside the sidecar's own.

    Raises:
        UsageError: there is no card of its model, or a manifest cannot say all of it.
    """
    card, card_path, warnings = _card_of(sidecar, folders)
    _check_fields(sidecar, card)
    local, lost = _local(sidecar, folders)
    image, prompt, take = _place(sidecar.job, imageless=not card.image_fields)
    anew = {name: sidecar.pictures[name].wire for name in local}
    job = Sent(image, prompt, take, {**sidecar.payload, **anew})
    files = {sidecar.pictures[name].sha256: path for name, path in local.items()}
    writer = Writer(card, files, target)
    told = {"id": prompt, "text": writer.words(job), "parameters": writer.parameters(job)}
    own = [f"card: {flow(os.path.relpath(card_path, target.absolute().parent))}"] if card_path else []
    lines = [
        *_remarks(sidecar, card, local),
        *head(_again(sidecar.campaign), sidecar.model, _provider(sidecar, card), sidecar.seed),
        *own,
        f"takes: [{writer.seed(job)}]",
        *writer.images([job]),
        "prompts:",
        f"  - {flow(told)}",
    ]
    text = "\n".join(lines) + "\n"
    proved(text, target, [job], sidecar.model)
    return Exported(text, writer.told, (), warnings=(*warnings, *lost))


def _check_fields(sidecar: Sidecar, card: Card) -> None:
    """See that the payload has what the model's card names, of the types that were sent."""
    texts = (*card.image_fields, card.prompt_field)
    lacking = [name for name in texts if name not in sidecar.payload]
    if lacking:
        raise UsageError(
            f"{sidecar.path}: its payload has no {', '.join(lacking)}, which the model's card names"
        )
    kinds: list[tuple[str, type, str]] = [(name, str, "text") for name in texts]
    if card.seed_field is not None and card.seed_field in sidecar.payload:
        kinds.append((card.seed_field, int, "number"))
    for name, kind, word in kinds:
        if type(sidecar.payload[name]) is not kind:
            raise UsageError(f"{sidecar.path}: {name} of its payload is no {word}: the file was edited")


def _remarks(sidecar: Sidecar, card: Card, local: Mapping[str, Path]) -> list[str]:
    same = "and the local file that it had, to be uploaded anew" if local else "byte for byte"
    told = "" if local or not card.image_fields else " Pictures are where they were when it was made."
    return [
        f"# The clip of job {sidecar.job} of {sidecar.campaign}: the same payload, {same}.",
        f"# It is a new job, which is paid for.{told}",
    ]


def _provider(sidecar: Sidecar, card: Card) -> str:
    # Only an emulator has its pictures at http: the paid queue cannot fetch them.
    if any(str(sidecar.payload[name]).startswith("http:") for name in card.image_fields):
        return "emulator"
    return sidecar.provider or "gmi"


def _local(sidecar: Sidecar, folders: Sequence[Path]) -> tuple[dict[str, Path], list[str]]:
    """Return where the local files are now, by fields of the payload, and what to say of the others."""
    found = dict[str, Path]()
    lost = []
    for name, one in sidecar.pictures.items():
        likely = list(_likely(sidecar.path, one.file, folders))
        there = locate({one.sha256: one.extension}, likely, [sidecar.path.parent])
        if there:
            found[name] = there[one.sha256]
            continue
        other = next((path for path in likely if hash_of(path)), None)
        what = f"{one.file or 'a local file'} with sha256 {one.sha256}"
        also = f" ({other} has other bytes)" if other else ""
        lost.append(
            f"{name} was {what}{also}; only the address that it was uploaded to is known, which may be gone: "
            f"put the file beside {sidecar.path} and ask again"
        )
    return found, lost


def _likely(sidecar: Path, file: str | None, folders: Sequence[Path]) -> Iterator[Path]:
    """Yield where a file may be that the manifest named: beside the sidecar, or from some folder on.

    From each above the sidecar, for the output folder usually lies in the manifest's; or beside it, where
    manifests have a folder of their own.
    """
    if file is None:
        return
    yield sidecar.parent / Path(file).name
    for folder in (*folders, *sidecar.absolute().parents):
        yield folder / file
        yield folder / Path(file).name
    for folder in folders:
        yield from (below / file for below in islice(sorted(folder.glob("*/")), BELOW_MAX))


def _card_of(sidecar: Sidecar, folders: Sequence[Path]) -> tuple[Card, Path | None, list[str]]:
    """Return the model's card: the one that ships, or where it was another one, that file, if it is near."""
    try:
        ships = load_card(sidecar.model)
    except UsageError:
        ships = None
    wanted = sidecar.card_sha256
    if ships is not None and wanted in {None, ships.sha256}:
        return ships, None, []
    near = locate({wanted: "json"}, (), [sidecar.path.parent, *folders]) if wanted else {}
    for path in near.values():
        return parse_card(path.read_text(encoding="utf-8")), path, []
    if ships is None:
        put = f": put it (sha256 {wanted}) beside {sidecar.path} and ask again" if wanted else ""
        raise UsageError(f"{sidecar.path}: no card of {sidecar.model} ships, and its own is not near{put}")
    return ships, None, [f"the model's card was another one then (sha256 {wanted}); the payload is the same"]


def _again(campaign: str) -> str:
    return f"{campaign[:57]}-again" if ID.fullmatch(campaign) else "again"


def _place(job: str, *, imageless: bool) -> tuple[str, str, int]:
    """Return image, prompt and take of a job by its id; where dots do not tell the first two, any will do.

    `imageless`: its model takes no picture, and there is no image's id in it.
    """
    found = JOB_ID.fullmatch(job)
    if found is None:
        return "" if imageless else "image", "prompt", 1
    if imageless:
        return "", found["pair"], int(found["take"])
    parts = found["pair"].split(".")
    pairs = ((".".join(parts[:n]), ".".join(parts[n:])) for n in range(1, len(parts)))
    sound = (pair for pair in pairs if all(map(ID.fullmatch, pair)))
    image, prompt = next(sound, ("image", "prompt"))
    return image, prompt, int(found["take"])
