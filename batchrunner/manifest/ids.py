"""Ids that stay apart: in job ids, in file names, and on file systems that know no case."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import TypeVar

from batchrunner.manifest.findings import Report
from batchrunner.manifest.slugs import is_made_up
from batchrunner.manifest.sources import FileRow, LineRow, also
from batchrunner.manifest.tables import TableRow
from batchrunner.manifest.written import Row

T = TypeVar("T")

BLANKS = "has the same words but for blanks"


def unique(rows: Iterable[tuple[str, Row]], report: Report) -> dict[str, Row]:
    """Return the first row of each id; a second one is reported, with both places.

    Ids hold small plain letters only, so two that differ in case or in the form of an accent are one here.
    """
    seen: dict[str, tuple[str, Row]] = {}
    for told in rows:
        name, row = told
        if not name:
            continue  # it is not known
        known = seen.setdefault(name.rstrip("-."), told)
        if known[1] is not row:
            report.add(row.problem((), _twice(name, row, *known)))
            report.doubt(row, ("id",))
    return dict(seen.values())


def same_words(rows: Iterable[tuple[T, str, Row]], mark: Callable[[T], Hashable], report: Report) -> None:
    """Report rows whose words are those of an earlier one but for blanks: nobody means to pay for them twice.

    `rows`: a part, its words, its row; `mark` tells what else parts differ in. Words that are wholly the
    same are told elsewhere.
    """
    told = list(rows)
    plain = [" ".join(text.split()) for _part, text, _row in told]
    if all(one == text for one, (_part, text, _row) in zip(plain, told, strict=True)):
        return
    seen: dict[tuple[Hashable, str], tuple[str, Row]] = {}
    for one, (part, text, row) in zip(plain, told, strict=True):
        first, at = seen.setdefault((mark(part), one), (text, row))
        if first != text:
            report.add(row.problem((), f"{BLANKS} (also {also(at, row)})"))


def _twice(name: str, row: Row, first: str, at: Row) -> str:
    there = f"(also {also(at, row)})"
    if name != first:
        return f'the ids "{name}" and "{first}" {there} are one in a file name: change one'
    if isinstance(row, LineRow) and isinstance(at, LineRow):
        return f"the same words are there twice {there}"
    alike = all(row.told.get(key) == at.told.get(key) for key in ("id", "vars", "parameters"))
    if alike and "id" not in row.told and _plain(row) == _plain(at) is not None:
        same = row.told["text"] == at.told["text"]
        return f"the same words are there twice {there}" if same else f"{BLANKS} {there}"
    if is_made_up(name) and "url" in row.told and "id" not in {**row.told, **at.told}:
        what = f"this picture, and the one {also(at, row)}, have no name to make an id of"
        return f"{what}: give each an `id`"
    hint = ": change one" if "id" in row.told else "; give one of them an `id`"
    if isinstance(row, FileRow):
        hint = "; rename a file, or list them in a csv with a column `id`"
    elif isinstance(row, TableRow) and "text" in row.told and "id" not in row.told:
        return f"the same words are there twice {there}"
    return f'the id "{name}" is there twice {there}{hint}'


def _plain(row: Row) -> str | None:
    return " ".join(row.told["text"].split()) if "text" in row.told else None


def running_together(
    images: Collection[str], prompts: Collection[str], between: str
) -> tuple[tuple[str, str], tuple[str, str]] | None:
    """Return two pairs of ids that make one text when joined by `between`, if there are any.

    Of two images that begin alike, the longer one's rest must be what the other one's prompt begins with:
    so only images that are another one's beginning are looked at, not every pair.
    """
    longs = [one for one in images if between[:1] in one]  # what is left of others could not begin with that
    if not longs:
        return None
    known_images, known_prompts = set(images), set(prompts)
    rests: dict[str, tuple[str, str]] = {}
    for long in longs:
        for end in range(1, len(long)):
            if (short := long[:end]) in known_images and (long[end:] + between).startswith(between):
                rests.setdefault((long[end:] + between)[len(between) :], (short, long))
    for rest, (short, long) in rests.items():
        for prompt in prompts:
            if rest + prompt in known_prompts:
                return (short, rest + prompt), (long, prompt)
    return None
