"""Texts with `{names}`: strict, so that an unknown or empty word never ends up in a paid prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from batchrunner.values import JSON

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_LIKELY = re.compile(r"\{\s*([A-Za-z_][A-Za-z0-9_-]*)")
HOLE = re.compile(r"\{\s*[^\W\d][\w-]*\s*\}")
_DOUBLED = re.compile(r"\{(" + HOLE.pattern + r")\}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MEANT = re.compile(r"\s*[^\W\d]\w*(?:[ -]\w+){0,2}\s*")  # letters of any language, and a blank or two
_DRESSED = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_-]*)\s*([:!.\[].*)?", re.DOTALL)  # {name:5}, {name.part}


class TemplateError(Exception):
    """A text with braces that do not fit together, or no name between them.

    `faults`: where each of them stands in the text, and what is wrong; `names`: those that are right.
    """

    def __init__(self, faults: Sequence[tuple[int, str]], names: Sequence[str]) -> None:
        super().__init__(faults[0][1])
        self.faults = faults
        self.names = tuple(dict.fromkeys(names))


def is_plain(text: str) -> bool:
    """Tell whether a text has no braces at all: most prompts of a large table have none."""
    return "{" not in text and "}" not in text


def parts(text: str) -> tuple[tuple[str, str], ...]:
    """Split a text into (literal, name) pairs; the last name is empty. `{{` and `}}` are braces.

    Raises:
        TemplateError: with all that is wrong.
    """
    return ((text, ""),) if is_plain(text) else _parts(text)


@lru_cache(maxsize=4096)
def _parts(text: str) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    faults: list[tuple[int, str]] = []
    literal, end = "", 0
    for match in _TOKEN.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        token, name = match.group(0), match.group(1)
        if token in {"{{", "}}"}:
            literal += token[0]
        elif name is None:
            said = f"a single {token} does not belong here: write {token}{token} for a brace"
            faults.append((match.start(), said))
        elif not NAME.fullmatch(name):
            faults.append((match.start(), _no_name(name)))
        else:
            found.append((literal, name))
            literal = ""
    if faults:
        raise TemplateError(faults, [name for _literal, name in found])
    found.append((literal + text[end:], ""))
    return tuple(found)


def _no_name(inside: str) -> str:
    """Return what is wrong between two braces; a name with more around it was meant as in a program."""
    braces = f"{{{{{inside}}}}} for the braces themselves"
    if (meant := _DRESSED.fullmatch(inside)) is not None:
        return f"{{{inside}}}: a name stands alone in its braces: write {{{meant[1]}}}, or {braces}"
    what = f"{{{inside}}} is not a name" if inside.strip() else f"there is no name in {{{inside}}}"
    other = "give the word another one, or " if _MEANT.fullmatch(inside) else ""
    return f"{what} (letters a-z, digits, - and _): {other}write {braces}"


def names(text: str) -> tuple[str, ...]:
    """Return the names in a text, each once, in order.

    Raises:
        TemplateError: the text is not a template.
    """
    if is_plain(text):
        return ()
    return tuple(dict.fromkeys(name for _literal, name in parts(text) if name))


def literal(value: JSON) -> JSON:
    """Return a parameter as it is sent: `{{name}}` stands for {name} there too, and nothing is filled in."""
    return _DOUBLED.sub(r"\1", value) if isinstance(value, str) and "{{" in value else value


def doubled(value: JSON) -> JSON:
    """Return a parameter as it is written so that just this is sent."""
    return HOLE.sub(r"{\g<0>}", value) if isinstance(value, str) and "{" in value else value


def hole(value: JSON) -> str | None:
    """Return the first {name} in a parameter that is not written as `{{name}}`, if there is one."""
    found = HOLE.search(_DOUBLED.sub("", value)) if isinstance(value, str) and "{" in value else None
    return found and found[0]


def likely_names(text: str) -> tuple[str, ...]:
    """Return the names that a text with wrong braces most likely has."""
    return tuple(match.group(1) for match in _LIKELY.finditer(text))


def index(text: str, name: str) -> int:
    """Return where a text has a name first."""
    return next(match.start() for match in _TOKEN.finditer(text) if match.group(1) == name)


def fill(text: str, words: Mapping[str, object]) -> str:
    """Fill every name; all of them must be in `words`."""
    if is_plain(text):
        return text
    return "".join(f"{literal}{words[name]}" if name else literal for literal, name in parts(text))
