"""Lines of text in the columns of a terminal."""

from __future__ import annotations

import os
import re
import sys
from typing import TextIO

import click

from mctc.cli.terminal import WIDTH

COLOUR = re.compile(r"\x1b\[[\d;]*m")
UNBROKEN = re.compile(r"\s*(\d*\s*\||-->)")  # a line of a source, the marks under it, and where it stands
HANGING = 4  # columns that the rest of a line is indented by


def tell(text: str) -> None:
    """Prints to standard error, in the columns of its terminal."""
    click.echo(fitted(text, sys.stderr), err=True)


def fitted(text: str, stream: TextIO) -> str:
    """A text with lines no wider than the terminal that a stream is, broken between words; as it is for a pipe or a
    file. Words stay whole, so that names and paths can be copied."""
    if not stream.isatty():
        return text
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        width = 0
    return in_columns(text, width or WIDTH)


def in_columns(text: str, width: int) -> str:
    return "\n".join(_broken(line, width) for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    shown = COLOUR.sub("", line)
    if len(shown) <= width or UNBROKEN.match(shown):
        return line
    indent = " " * (len(shown) - len(shown.lstrip()) + HANGING)
    lines, last = [], ""
    for word in re.findall(r"\s*\S+", line):
        if last and len(COLOUR.sub("", last + word)) > width:
            lines.append(last)
            last = indent + word.lstrip()
        else:
            last += word
    return "\n".join([*lines, last])
