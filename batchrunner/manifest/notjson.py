"""What is wrong with a text that is nearly JSON, as people write it by hand: alike in every Python."""

from __future__ import annotations

import json
import re

_COMMA = re.compile(r",\s*([}\]])")


def fault(text: str, error: json.JSONDecodeError) -> tuple[int, str]:
    """Return where a text stops being JSON (from 0), and why, in words."""
    # Python up to 3.12 stops at the bracket behind such a comma, later ones at the comma.
    comma = len(text[: error.pos + 1].rstrip(" \t\r\n}]")) - 1
    if (found := _COMMA.match(text, comma)) is not None and comma >= 0:
        return comma, f"there is a comma too many before {found[1]}"
    at = text[error.pos : error.pos + 1]
    if at == "'":
        return error.pos, 'a text or key stands in "double quotes"'
    if at in {"/", "#"}:
        return error.pos, "JSON has no comments"
    if at == '"' and error.msg.startswith("Expecting ',' delimiter"):
        return error.pos, "a comma is missing before this"
    return error.pos, f"{error.msg[:1].lower()}{error.msg[1:]}"
