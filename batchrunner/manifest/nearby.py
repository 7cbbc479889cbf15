"""What was most likely meant by a path at which there is no file, in words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from batchrunner.nearest import nearest

HOME = "~"
HOME_HINT = ": ~ is a word of the shell; name the folder from the manifest's on, or wholly"
ALIKE = 0.75  # of 1: files of a folder mostly have names that are much alike
NEAR_MAX = 2_000  # files of a folder that a missing one is held against
_DRIVE = re.compile(r"[A-Za-z]:\\")


def hint(path: Path) -> str:
    """Return what to say after `there is no file …`; nothing where nobody can tell."""
    if {"https:", "http:"} & {*path.parts}:
        return ": an address goes under `url:`"
    if any(one.startswith("www.") for one in path.parts):
        return ": an address begins with https://"
    if any(one < " " for one in str(path)):
        return ': in "double quotes" a \\ begins an escape; folders are divided by /'
    if "\\" in path.name:
        return _slashed(path.name)
    if "*" in path.name:
        return ": a pattern goes under `glob:`"
    if HOME in path.parts:
        return HOME_HINT
    try:
        names = {one.name.casefold(): one.name for one in islice(path.parent.iterdir(), NEAR_MAX)}
    except OSError:
        return f": there is no folder {path.parent}{folder_meant(path.parent)}"
    for one in names.values():
        if one != path.name and _composed(one) == _composed(path.name):
            return f': the accents of "{one}" are written otherwise: rename the file, or write its name anew'
    return _near(path.name, names)


def folder_meant(folder: Path) -> str:
    """Return what to say after `there is no folder …`; nothing where nobody can tell."""
    try:
        beside = islice(folder.parent.iterdir(), NEAR_MAX)
        return _near(folder.name, {one.name.casefold(): one.name for one in beside if one.is_dir()})
    except OSError:
        return ""


def _near(name: str, names: Mapping[str, str]) -> str:
    """Return the name that is like another one; `names`: as they are, by what they are in small letters."""
    bare = name.strip("\"'\u201c\u201d\u2018\u2019").casefold()
    near = nearest(bare, sorted(names), ALIKE)
    return f': did you mean "{names[near]}"?' if near else ""


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _slashed(told: str) -> str:
    """Return what to write for a path of Windows."""
    if _DRIVE.match(told):
        return ": a path of a Windows disk leads nowhere here; name it from the manifest's folder on, with /"
    return f": folders are divided by /, not by \\: write {told.replace(chr(92), '/')}"
