"""A manifest as plain data that knows where each of its parts stands, and what of it is in doubt."""

from __future__ import annotations

from dataclasses import dataclass, field

from batchrunner.errors import Problem
from batchrunner.manifest.characters import Place
from batchrunner.manifest.doubts import Doubts, Path
from batchrunner.values import JSON


@dataclass(slots=True)
class Document:
    """Plain data, and where each value and each key of a mapping stands (line and column from 1).

    `written` has each number as it was written: as a word of a prompt, `1.10` must not become 1.1.
    `comments` has where a comment ends an unquoted text; `twice`, how many more values a key has.
    `problems` is what is wrong with it as YAML, though it could be read on.
    """

    data: JSON
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    comments: dict[Path, Place] = field(default_factory=dict)
    twice: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    doubts: Doubts = field(init=False)

    def __post_init__(self) -> None:
        self.doubts = Doubts(self.values)

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Return where a value (or its key) stands; for what is not there, where its parent does."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (1, 1))


def path_text(path: Path) -> str:
    """Return a path as messages show it: `images[2].url`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
