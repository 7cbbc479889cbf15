"""One tree of errors; the exit code stands on the class.

    BatchrunnerError
    ├── UsageError              2   a wrong call or manifest; nothing was sent
    │   ├── ManifestError       2   carries every problem with file, line and column
    │   └── MissingExtraError   2   an optional package is not installed
    ├── CredentialsError        5
    ├── CreditError             6   credit or budget used up
    ├── OutageError             7   the provider stayed out of reach
    ├── LocalError              8   disk, database, permissions
    ├── LockedError             9   another runner has this campaign
    └── InvariantError         70   a bug: the state table is left as it is

Whatever is in this tree is written for the user and shown without a traceback. Everything else is a
bug and ends with 70. Only `cli/` turns errors into exit codes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # what a terminal would obey


class BatchrunnerError(Exception):
    """Something the user can act on; `str()` is the sentence to show."""

    exit_code = 70


class UsageError(BatchrunnerError):
    """The call or a file it names is wrong; nothing was sent."""

    exit_code = 2


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in a file. `line` and `column` count from 1; `path` is like `images[2].url`."""

    file: str
    line: int
    column: int
    path: str
    message: str  # may quote the file, whatever that holds

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        whole = f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"
        return _CONTROL.sub(lambda one: ascii(one[0])[1:-1], whole)


class ManifestError(UsageError):
    """A manifest, or a card of its own, is wrong; `problems` holds all that is, in the order of the file."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MissingExtraError(UsageError):
    """An optional part is not installed; the text names the command that adds it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional part: pip install 'batchrunner[{extra}]'")
        self.extra = extra


class CredentialsError(BatchrunnerError):
    """The provider does not take the key."""

    exit_code = 5


class CreditError(BatchrunnerError):
    """Credit or budget is used up."""

    exit_code = 6


class OutageError(BatchrunnerError):
    """The provider stayed out of reach for longer than the limit."""

    exit_code = 7


class LocalError(BatchrunnerError):
    """Disk, database or permissions on this machine."""

    exit_code = 8


class LockedError(BatchrunnerError):
    """Another runner has this campaign."""

    exit_code = 9


class InvariantError(BatchrunnerError):
    """Something that must hold does not: a bug. Nothing more is written."""

    exit_code = 70
