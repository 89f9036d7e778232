"""Text of files that somebody else made, without what could drive a terminal or hide itself."""

from __future__ import annotations

import unicodedata

UNSEEN = "\N{REPLACEMENT CHARACTER}"
"""Stands for a character that can't be seen."""


def clean(text: str | None, kept: str = "") -> str:
    """Text on one line: control characters, marks of direction and the like are replaced, spaces of every width stay.

    kept: control characters that stay, such as the end of a line.
    """
    text = text or ""
    return text if text.isprintable() else "".join(ch if _seen(ch) or ch in kept else UNSEEN for ch in text)


def _seen(ch: str) -> bool:
    return ch.isprintable() or unicodedata.category(ch) == "Zs"
