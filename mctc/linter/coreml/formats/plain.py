"""Lines for a terminal without rich: wrapped, painted, and in columns that long and wide names can't push apart."""

from __future__ import annotations

from textwrap import wrap
from unicodedata import east_asian_width

from mctc.diagnostics.clean import clean
from mctc.linter.coreml.formats.words import shortened

WIDTH = 80
BOLD, DIM, RED, GREEN, YELLOW, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"


def paint(text: str, style: str, color: bool) -> str:
    return f"{style}{text}{PLAIN}" if color and text else text


def wrapped(text: str, indent: int = 0, hanging: int = 2, width: int = WIDTH) -> list[str]:
    """A paragraph in lines of at most `width`, the second and later ones further in."""
    return wrap(clean(text), width, initial_indent=" " * indent, subsequent_indent=" " * (indent + hanging))


def cell(text: str, width: int, *, right: bool = False) -> str:
    """Text in a column of this width, the middle left out where it is longer. Wide characters take two columns."""
    text = clean(text)
    limit = width
    shown = shortened(text, limit)
    while columns(shown) > width:
        limit -= 1
        shown = shortened(text, limit)
    padding = " " * (width - columns(shown))
    return padding + shown if right else shown + padding


def columns(text: str) -> int:
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text)
