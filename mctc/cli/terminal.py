"""What an output may be sent: colours and moving lines are for terminals that want them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 80  # columns that a table is laid out for; a narrower terminal gets a narrower one


def color_wanted(stream: TextIO) -> bool:
    """Whether text for `stream` may carry ANSI colours."""
    return not os.environ.get("NO_COLOR") and _moves(stream)


def lines_may_move(stream: TextIO) -> bool:
    """Whether a line on `stream` may be drawn over: on a terminal that can, and not in a log of CI."""
    return _moves(stream) and not os.environ.get("CI")


def _moves(stream: TextIO) -> bool:
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def table_console(width: int | None = WIDTH) -> Console:
    """Where a table for standard output is laid out: at most `width` columns, as wide as the terminal if None."""
    from rich.console import Console

    color = color_wanted(sys.stdout)
    console = Console(file=sys.stdout, no_color=not color, force_terminal=color, highlight=False)
    if width is not None:
        console.width = min(width, console.width)
    return console
