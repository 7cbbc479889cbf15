"""What fills the image fields of a model: each file is read once, as what its field takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchrunner.cards import Card
from batchrunner.manifest.pictures import PictureError, from_file, from_url, video_from_file
from batchrunner.values import Picture


class Filling:
    """Makes pictures of what rows name; `read` is told each local file with its hash."""

    def __init__(self, folder: Path, card: Card | None, read: list[tuple[str, str]]) -> None:
        self._folder = folder
        self._fields = card.image_fields if card is not None else ()
        self._videos: Mapping[str, int | None] = card.videos if card is not None else {}
        self._read = read
        self._known: dict[tuple[str, str | None], Picture | str] = {}  # by path and field

    @property
    def word(self) -> str:
        """What fills the first field, in a word."""
        return "video" if self._field(0) in self._videos else "picture"

    def picture(self, number: int, told: Mapping[str, Any]) -> Picture | str:
        """Return what an image fills its field of a number with; else why it cannot, in words."""
        field = self._field(number)
        if "url" not in told:
            return self._pinned(self._local(told["file"], field), told)
        if "sha256" in told:
            return "sha256 goes with a file: what lies at an address is read by the provider alone"
        try:
            return from_url(told["url"], video=field in self._videos)
        except PictureError as error:
            return str(error)

    def _field(self, number: int) -> str | None:
        """Return the name of a field; of too many pictures, the last ones are held against the last field."""
        return self._fields[min(number, len(self._fields) - 1)] if self._fields else None

    def _pinned(self, found: Picture | str, told: Mapping[str, Any]) -> Picture | str:
        """Return a local picture where it is the one that is meant: an export names each by its content."""
        if isinstance(found, str) or told.get("sha256") in {None, found.sha256}:
            return found
        return f"{told['file']} has other bytes: its SHA-256 is {found.sha256}, not {told['sha256']}"

    def _local(self, file: str, field: str | None) -> Picture | str:
        if (file, field) not in self._known:
            path, is_video = self._folder / file, field in self._videos
            try:
                found = video_from_file(path, self._videos[str(field)]) if is_video else from_file(path)
            except PictureError as error:
                self._known[file, field] = str(error)
            else:
                self._known[file, field] = found
                self._read.append((file, found.sha256 or ""))
        return self._known[file, field]
