"""Texts of pieces of a recording as one: a space between two words, and none between scripts that have no spaces."""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import east_asian_width

WIDE = ("W", "F")


def joined(texts: Iterable[str]) -> str:
    """The texts, without spaces at their ends, one behind the other."""
    whole = ""
    for text in map(str.strip, texts):
        apart = whole and text and not (_wide(whole[-1]) or _wide(text[0]))
        whole += (" " if apart else "") + text
    return whole


def _wide(character: str) -> bool:
    return east_asian_width(character) in WIDE
