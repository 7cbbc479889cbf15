"""Whether a name that nobody has may be that of a row whose own name is not known.

An id that is there twice, or a pattern that finds nothing, leaves open what a row should have been called. It
must hide no name that plainly is a slip of another one, and none that its picture does not bear.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from batchrunner.manifest.slugs import slug, stem
from batchrunner.manifest.written import Report, Row
from batchrunner.values import Image, Prompt

ALIKE = 0.6  # of 1: from here on a name may be a slip of another one,
SURE = 0.75  # and from here on it is, whatever the names that are not known
KNOWN_MAX = 2_000  # names that one is held against
FILES_MAX = 10_000
SHOWN_MAX = 5


def may_be(name: str, told: Mapping[str, Any], known: Collection[str]) -> bool:
    """Tell whether a name may be that of a row that bears another one's by mistake."""
    source = told["frames"][0] if isinstance(told.get("frames"), list) and told["frames"] else told
    picture = source.get("file") or source.get("url") if isinstance(source, dict) else None
    if not isinstance(picture, str):
        return not slip(name, known, SURE)
    own = slug(stem(picture.partition("?")[0]))
    return difflib.SequenceMatcher(None, own, name).ratio() >= ALIKE


def may_find(name: str, pattern: str, folder: FilePath, known: Collection[str]) -> bool:
    """Tell whether a name may be that of a file that a pattern was meant to find."""
    return not slip(name, known, SURE) or name in _stems(pattern, folder)


def strangers(
    key: str,
    told: Iterable[Mapping[str, Any]],
    known: Mapping[str, tuple[Image | Prompt, Row]],
    rows: Sequence[tuple[Image | Prompt, Row]],
    report: Report,
    folder: FilePath,
) -> set[tuple[str, str]]:
    """Return the names that nobody has, and that nobody can have whose own name is not known.

    `key`: `image` or `prompt`; `told`: what names them; `known`, `rows`: those that are listed.
    """
    section = f"{key}s"
    if not report.is_there(section) or not (report.doubtful or report.unfound):
        return set()
    unsure = [(part, row) for part, row in rows if report.unsure(row, ("id",))]
    if any(not part.id or known.get(part.id, (part, row))[1] is row for part, row in unsure):
        return set()  # not for the reason that another one has its id
    patterns = report.unfound.get(section, ())
    names = {one[key] for one in told if isinstance(one.get(key), str)}
    return {
        (key, name)
        for name in names - known.keys()
        if not any(may_be(name, row.told, known) for _part, row in unsure)
        and not any(may_find(name, one, folder, known) for one in patterns)
    }


def hint(name: str, known: Collection[str]) -> str:
    """Return the end of a sentence on a name that nobody has: the nearest one, else what there is."""
    some = [one for one in known if one]
    near = difflib.get_close_matches(name.casefold(), some[:KNOWN_MAX], n=1)
    if near or not some:
        return f': did you mean "{near[0]}"?' if near else ""
    more = f" and {len(some) - SHOWN_MAX:,} more" if len(some) > SHOWN_MAX else ""
    return f": there {'are' if len(some) > 1 else 'is only'} {', '.join(some[:SHOWN_MAX])}{more}"


def slip(name: str, known: Collection[str], alike: float = ALIKE) -> bool:
    """Tell whether a name is a slip of a known one: not where they differ in a number, as rows do."""
    near = difflib.get_close_matches(name.casefold(), list(known)[:KNOWN_MAX], n=1, cutoff=alike)
    return bool(near) and _bare(near[0]) != _bare(name.casefold())


def _bare(name: str) -> str:
    return re.sub("[-_.]*[0-9]+", "", name)


def _stems(pattern: str, folder: FilePath) -> set[str]:
    """Return the names of all files where a pattern looks."""
    try:
        files = (folder / pattern).parent.iterdir()
        return {slug(stem(one.name)) for _number, one in zip(range(FILES_MAX), files, strict=False)}
    except (OSError, ValueError):
        return set()
