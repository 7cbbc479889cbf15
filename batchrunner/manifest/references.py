"""Whether a name that nobody has may be that of a row whose own name is not known.

An id that is there twice, or a pattern that finds nothing, leaves open what a row should have been called. It
must hide no name that plainly is a slip of another one, and none that its picture does not bear.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path as FilePath
from typing import Any

from batchrunner.manifest.findings import Report
from batchrunner.manifest.slugs import slug, stem
from batchrunner.manifest.written import Row
from batchrunner.nearest import ALIKE, nearest
from batchrunner.values import Image, Prompt

SURE = 0.75  # of 1: from here on a name is a slip of another one, whatever the names that are not known
NAMES_MAX = 100  # names that are looked into: so many problems end the reading
FILES_MAX = 10_000
SHOWN_MAX = 5


def strangers(
    key: str,
    told: Iterable[Mapping[str, Any]],
    known: Mapping[str, tuple[Image | Prompt, Row]],
    rows: Sequence[tuple[Image | Prompt, Row]],
    report: Report,
    folder: FilePath,
) -> set[tuple[str, str]]:
    """Return the first names that nobody has, and that nobody can have whose own name is not known.

    `key`: `image` or `prompt`; `told`: what names them; `known`, `rows`: those that are listed.
    """
    section = f"{key}s"
    if not report.is_there(section) or not (report.doubtful or report.unfound):
        return set()
    unsure = [(part, row) for part, row in rows if report.unsure(row, ("id",))]
    if any(not part.id or known.get(part.id, (part, row))[1] is row for part, row in unsure):
        return set()  # not for the reason that another one has its id
    borne = [_borne(row.told) for _part, row in unsure]
    patterns = report.unfound.get(section, ())
    files = {name for pattern in patterns for name in _stems(pattern, folder)}
    anybody = bool(patterns) or None in borne  # a name that no picture bears, or that a file should have
    names = dict.fromkeys(one[key] for one in told if isinstance(one.get(key), str))
    return {
        (key, name)
        for name in islice((one for one in names if one not in known), NAMES_MAX)
        if name not in files
        and not any(own is not None and _alike(own, name) for own in borne)
        and not (anybody and not slip(name, known, SURE))
    }


def hint(name: str, known: Collection[str]) -> str:
    """Return the end of a sentence on a name that nobody has: the nearest one, else what there is."""
    some = [one for one in known if one]
    near = nearest(name.casefold(), some)
    if near or not some:
        return f': did you mean "{near}"?' if near else ""
    more = f" and {len(some) - SHOWN_MAX:,} more" if len(some) > SHOWN_MAX else ""
    return f": there {'are' if len(some) > 1 else 'is only'} {', '.join(some[:SHOWN_MAX])}{more}"


def slip(name: str, known: Collection[str], alike: float = ALIKE) -> bool:
    """Tell whether a name is a slip of a known one: not where they differ in a number, as rows do."""
    near = nearest(name.casefold(), known, alike)
    return near is not None and _without_numbers(near) != _without_numbers(name.casefold())


def _without_numbers(name: str) -> str:
    return re.sub("[-_.]*[0-9]+", "", name)


def _borne(told: Mapping[str, Any]) -> str | None:
    """Return the name that a row's picture bears, if it has one."""
    source = told["frames"][0] if isinstance(told.get("frames"), list) and told["frames"] else told
    picture = source.get("file") or source.get("url") if isinstance(source, dict) else None
    return slug(stem(picture.partition("?")[0])) if isinstance(picture, str) else None


def _alike(own: str, name: str) -> bool:
    return difflib.SequenceMatcher(None, own, name).ratio() >= ALIKE


def _stems(pattern: str, folder: FilePath) -> set[str]:
    """Return the names of all files where a pattern looks."""
    try:
        files = (folder / pattern).parent.iterdir()
        return {slug(stem(one.name)) for _number, one in zip(range(FILES_MAX), files, strict=False)}
    except (OSError, ValueError):
        return set()
