"""The files that a pattern finds: sorted as people sort them, shot2 before shot10, on every machine."""

from __future__ import annotations

import glob
import itertools
import os
import re
import unicodedata
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from batchrunner.manifest.nearby import HOME, HOME_HINT, folder_meant

FILES_MAX = 100_000
LOOKED_AT_MAX = 20_000  # files and folders, for a hint
KINDS_SHOWN = 5

Key: TypeAlias = tuple[tuple[tuple[int, int, str], ...], ...]


class GlobError(Exception):
    """A pattern that finds nothing, or no end of files, in words."""


def find(pattern: str, folder: Path, usual: str = "png") -> list[str]:
    """Return the files that a pattern finds, as paths from `folder` on (or absolute ones, as the pattern is).

    `*`, `?` and `[…]` stand for parts of a name, `**` for any folders; hidden files are left out. `usual`:
    the suffix that most of them would have.

    Raises:
        GlobError: there are none, or too many.
    """
    found = _files(pattern, folder)
    if len(found) > FILES_MAX:
        raise GlobError(f"finds more than {FILES_MAX:,} files")
    if not found:
        raise GlobError(f"finds no file{_where(pattern, folder)}{_hint(pattern, folder, usual)}")
    return sorted(found, key=natural)


def _files(pattern: str, folder: Path) -> list[str]:
    try:
        # Path.glob would find hidden files too, such as those that a Mac leaves behind.
        paths = glob.iglob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207
        files = (path for path in paths if not (folder / path).is_dir())
        return list(dict.fromkeys(itertools.islice(files, FILES_MAX + 1)))
    except (OSError, ValueError, re.error) as error:
        raise GlobError(f"is no pattern: {error}") from error


def _where(pattern: str, folder: Path) -> str:
    """Return in which folder nothing was found, in words; nothing where that one is missing too."""
    named = itertools.takewhile(lambda part: not glob.has_magic(part), pattern.split("/")[:-1])
    looked_in = folder / ("/".join(named) or ("/" if pattern.startswith("/") else ""))
    if not _is_folder(looked_in):
        return ""
    return " in this folder" if looked_in == Path() else f" in {looked_in}"


def _hint(pattern: str, folder: Path, usual: str) -> str:
    if "[" in pattern and (some := _files(literal := pattern.replace("[", "[[]"), folder)):
        return f": [ ] stand for one of the letters between them; for {some[0]} write {literal}"
    if pattern.startswith(HOME):
        return HOME_HINT
    if "{" in pattern:
        return ": { } means nothing in a pattern; write one entry for each"
    if "\\" in pattern:
        return ": folders are divided by /"
    if _is_folder(folder / pattern):
        kind = "pictures" if usual == "png" else "files"
        return f": {pattern} is a folder; its {kind} are {pattern.rstrip('/')}/*.{usual}"
    if not glob.has_magic(above := pattern.rpartition("/")[0]) and not _is_folder(folder / above):
        return f": there is no folder {folder / above}{folder_meant(folder / above)}"
    if "[" not in pattern:
        other = re.sub(r"[A-Za-z]", lambda one: f"[{one[0].lower()}{one[0].upper()}]", pattern)
        if some := _files(other, folder):
            return f": large and small letters count here, and there is {sorted(some, key=natural)[0]}"
    above, slash, name = pattern.rpartition("/")
    if not glob.has_magic(above) and _is_below(folder / (above or slash), name):
        return f": there are some in the folders below it: {above}{slash}**/{name}"
    if "[" in pattern:
        return ": [ ] stand for one of the letters between them; where a name has a [ itself, write [[]"
    return _kinds(pattern, folder)


def _is_below(folder: Path, name: str) -> bool:
    """Tell whether a pattern for names finds a file below a folder: for a hint no whole disk is read."""
    left = LOOKED_AT_MAX
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        left -= len(folders) + len(files)
        seen = (one for one in files if not one.startswith("."))
        if Path(where) != folder and any(fnmatchcase(one, name) for one in seen):
            return True
        if left < 0:
            break
    return False


def _kinds(pattern: str, folder: Path) -> str:
    """Return what kinds of files there are where a pattern looks, in words."""
    above = pattern.rpartition("/")[0]
    try:
        found = {
            one.suffix for one in itertools.islice((folder / above).iterdir(), FILES_MAX) if one.is_file()
        }
    except (OSError, ValueError):
        return ""
    kinds = sorted(one for one in found if one)
    shown = ", ".join(kinds[:KINDS_SHOWN]) + (", …" if len(kinds) > KINDS_SHOWN else "")
    return f": the files there end in {shown}" if kinds else ": there are no files at all"


def _is_folder(path: Path) -> bool:
    """Tell whether it is one; a name that is too long for any file is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def natural(path: str) -> tuple[Key, str]:
    """Return what a path is sorted by: folder by folder, numbers by their value, whatever the case."""
    return tuple(_key(part) for part in path.split("/")), path


def _key(name: str) -> tuple[tuple[int, int, str], ...]:
    plain = unicodedata.normalize("NFC", name).casefold()
    parts = re.findall(r"[0-9]+|[^0-9]+", plain)
    return tuple((0, int(part), "") if part[0].isdecimal() else (1, 0, part) for part in parts)
