"""Characters that nobody sees and that turn round the text after them: the page shows them by their numbers.

A prompt is sent as it is written, and what is looked at must be what was sent. Marks that belong to writing
from right to left (U+200E, U+200F, U+061C) turn nothing round, and stay.
"""

from __future__ import annotations

import re

TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # embeddings, overrides, isolates, and their ends


def visible(text: str) -> str:
    """Return a text in which whatever would turn the rest round is written out."""
    return TURNS.sub(lambda mark: f"[U+{ord(mark[0]):04X}]", text)
