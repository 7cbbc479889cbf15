"""What is written and never sent: columns, vars and pictures that nobody uses, braces that nobody fills.

What costs money if it is a slip is an error: a column that nearly has a parameter's name, a table of shots
that is named as images. The rest may be meant, so it is only told: a word may be there for the next prompt.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from batchrunner.cards import Card
from batchrunner.errors import Problem
from batchrunner.manifest import templates
from batchrunner.manifest.characters import code
from batchrunner.manifest.columns import slip
from batchrunner.manifest.findings import Report
from batchrunner.manifest.slugs import ID
from batchrunner.manifest.sources import LineRow
from batchrunner.manifest.tables import Table, TableRow
from batchrunner.manifest.templates import HOLE
from batchrunner.manifest.written import Entry, Row
from batchrunner.values import JSON

UNSEEN = re.compile("[\u200b\u2060\ufeff]")

# A list's bullet or number, or quotes around all of a line: pasted from somewhere else.
_LISTED = re.compile(
    '(?:[-*+\u2022\u2013\u2014\u00b7]|[0-9]{1,3}[.)])[ \\t]+|["\u201c](?=[^"\u201c\u201d]*["\u201d]$)'
)

# Columns that only make sense beside the other half of a pair: images times prompts would be far more clips.
PAIRED: Mapping[str, frozenset[str]] = {
    "images": frozenset({"prompt", "prompts", "text"}),
    "prompts": frozenset({"image", "images", "file", "url", "picture"}),
}


def hole(value: JSON) -> str | None:
    """Return what is wrong with a text that has a {name}, which nobody fills in there, if so."""
    if not isinstance(value, str) or "{" not in value:
        return None
    found = HOLE.search(value)
    return found and _as_it_stands(found[0])


def hole_in_setting(value: JSON) -> str | None:
    """Return the same of a parameter's text, in which `{{name}}` stands for {name}."""
    found = templates.hole(value)
    return found and f"{_as_it_stands(found)}; if that is meant, write {{{found}}}"


def _as_it_stands(token: str) -> str:
    return f"{token} would be sent as it stands: words are filled into prompts only"


def holes(
    rows: Iterable[tuple[Mapping[str, str], Row]],
    used: Collection[str],
    report: Report,
) -> None:
    """Report the words of prompts in which a name stands in braces; all other braces may be meant."""
    for words, row in rows:
        for name in used:
            if (what := hole(words.get(name))) is not None:
                report.add(row.problem(("vars", name), what))


def slips(tables: Iterable[Table], used: Collection[str], texts: Sequence[str], card: Card | None) -> None:
    """Report columns that nobody uses and whose names are, or nearly are, something else.

    `texts`: where a prompt may stand that is not among those whose names are `used`.
    """
    for table in tables:
        for name, path in _columns(table, used):
            near = slip(table.section, name, card)
            if (table.lacks and (near is None or table.doubts.at((near,)))) or _is_in(name, texts):
                continue  # told with what is missing
            if name.casefold() in PAIRED.get(table.section, ()) and (card is None or card.image_fields):
                what = (
                    f"no prompt uses {{{name}}}: a table whose rows have a picture and its words goes under "
                    f"`shots:`, else each image is made with each prompt (or #{name} for a note)"
                )
                table.say_column(table.headers[path], name, what)
            elif near is not None:
                what = f'no prompt uses {{{name}}}: did you mean "{near}"? (or #{name} for a note)'
                table.say_column(table.headers[path], name, what, ("parameters", near))


def _is_in(name: str, texts: Iterable[str]) -> bool:
    """Tell whether a name stands in braces anywhere."""
    hole = re.compile(rf"\{{\s*{re.escape(name)}(?![\w-])")
    return any(hole.search(text) for text in texts)


def comments(rows: Iterable[Row]) -> Iterator[Problem]:
    """Yield the comments that end unquoted prompts: what follows ` #` may have been meant."""
    what = "the rest of the line is a comment: put the text into quotes if it belongs to it"
    for row in rows:
        if isinstance(row, Entry):
            key = "prompt" if "prompt" in row.told else "text"
            named = key == "prompt" and ID.fullmatch(row.told[key].casefold())
            if not named and (found := row.comment((key,), what)) is not None:
                yield found


def hidden(rows: Iterable[Row]) -> Iterator[Problem]:
    """Yield the prompts with a character that nobody sees, which would be sent as it is.

    Not the blanks that hold words together, nor what joins letters: many languages are written with them.
    """
    for row in rows:
        key = "prompt" if "prompt" in row.told else "text"
        found = UNSEEN.search(row.told.get(key, "")) if isinstance(row, Entry) else None
        if found is not None:
            yield row.problem(
                (key,), f"the invisible character {code(found[0])} is in the text, and would be sent"
            )


def listed_as(rows: Iterable[Row]) -> Iterator[Problem]:
    """Yield the first line of each text file that begins with a list's sign or stands in quotes."""
    found: dict[str, list[Problem]] = {}
    for row in rows:
        if isinstance(row, LineRow) and (sign := _LISTED.match(row.told["text"])) is not None:
            one = row.problem((), f"begins with {sign[0].strip()}, which would be sent with the words")
            found.setdefault(one.file, []).append(one)
    for first, *others in found.values():
        more = f"; so would the signs of {len(others):,} more lines" if others else ""
        yield replace(first, message=first.message + more)


def notes(tables: Sequence[Table], entries: Iterable[Row], used: Collection[str]) -> Iterator[Problem]:
    """Yield the columns and vars that no prompt uses: each name once a table, once in the manifest."""
    seen = set(used)
    for table in tables:
        for name, path in _columns(table, used):
            what = f"no prompt uses {{{name}}} (#{name} says that it is a note)"
            yield Problem(table.file.name, *table.headers[path], name, what)
    for row in (*entries, *(table.entry for table in tables)):
        for name in row.told.get("vars", ()):
            if name not in seen:
                seen.add(name)
                yield row.problem(("vars", name), f"no prompt uses {{{name}}}", key=True)


def unnamed(listed: Sequence[tuple[str, Row]], kind: str, named: Collection[str]) -> Iterator[Problem]:
    """Yield what only shots could make clips of, and none of them names."""
    left = [(name, row) for name, row in listed if name not in named]
    if left:
        more = f", nor {len(left) - 1:,} more" if len(left) > 1 else ""
        yield left[0][1].problem((), f'no shot names the {kind} "{left[0][0]}"{more}')


def tables(rows: Iterable[Row]) -> list[Table]:
    """Return the tables that rows come from."""
    return list({id(row.table): row.table for row in rows if isinstance(row, TableRow)}.values())


def _columns(table: Table, used: Collection[str]) -> list[tuple[str, tuple[str | int, ...]]]:
    return [
        (name, path)
        for path, name in table.columns.items()
        if path[0] == "vars" and len(path) > 1 and path[1] not in used and path in table.headers
    ]
