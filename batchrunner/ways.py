"""What a person can do about a job: each way in words, with a command that works when it is pasted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TypeAlias

from batchrunner.values import HeldJob

Way: TypeAlias = dict[str, str]  # {"what": words, "run": command}
COMMAND = re.compile(
    r"\bbatchrunner (run|plan|status|jobs|retry|resolve|audit|verify|why|report|export)\b"
    r"[^\n;|]*?(?=$|\n|;| \||  | &&)"
)
WITH_OUTPUT = frozenset({"run", "plan", "audit", "verify", "report"})


def held_ways(campaign: str, held: HeldJob, run: str) -> list[Way]:
    """Return how a held job can be settled; `run` is the command that goes on."""
    resolve = f"batchrunner resolve {campaign} {held.job}"
    if not held.sent:
        return [_way("Mend it, or let it try all the same", f"batchrunner retry {campaign} {held.job}")]
    if held.request_id:
        return [
            _way("Ask for it again, free", run),
            _way("Give it up: what was paid is lost", f"{resolve} --abandon"),
        ]
    return [
        _way("You found it in the provider's console: take it over, free", f"{resolve} --adopt REQUEST_ID"),
        _way("It is not there: submit it again, which may pay twice", f"{resolve} --resubmit"),
        _way("Give it up: counts as spent", f"{resolve} --abandon"),
    ]


def failed_ways(campaign: str, job: str, run: str) -> list[Way]:
    """Return how a failed job can be tried again."""
    return [_way("Mend what the reason names, then", f"batchrunner retry {campaign} {job} && {run}")]


def way_line(way: Way) -> str:
    """Return a way as a line of a shell: the command first, the words as its comment."""
    return f"{way['run']}  # {way['what'][0].lower()}{way['what'][1:]}"


def _way(what: str, run: str) -> Way:
    return {"what": what, "run": run}


def placed(text: str, state: Path, output: Path | None = None) -> str:
    """Return a text whose commands name the folders of this call, where they are not the usual ones.

    Pasted without them, a command would look into another state table; a `run` would pay again.
    """
    words = [] if state == Path("state") else ["--state", shlex.quote(str(state))]
    more = [] if output is None else ["--output", shlex.quote(str(output))]

    def told(match: re.Match[str]) -> str:
        return " ".join([match[0], *words, *(more if match[1] in WITH_OUTPUT else [])])

    return COMMAND.sub(told, text) if words or more else text
