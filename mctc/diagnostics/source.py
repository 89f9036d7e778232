"""Source text and places in it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import field
from functools import cached_property
from typing import NamedTuple

from mctc.records import dataclass


class SourceFile:
    """The text of one file. `name` is what diagnostics print: the path as the author gave it.

    `identity` is what artifacts call it: a path that starts at the spec's folder, the same wherever that lies and
    however it was named. `shipped`: the file belongs to the library, so what goes wrong in it is the fault of a call
    from outside.
    """

    def __init__(self, name: str, text: str, shipped: bool = False, identity: str | None = None) -> None:
        self.name, self.text, self.shipped = name, text, shipped
        self.identity = name if identity is None else identity

    @property
    def data(self) -> bytes:
        return self.text.encode()

    @cached_property
    def line_starts(self) -> list[int]:
        starts, at = [0], self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character offset, both from 1."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its line break."""
        start = self.line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")

    def offset(self, line: int, column: int) -> int:
        """The offset of a line and column, limited to the text."""
        if not 1 <= line <= len(self.line_starts):
            return len(self.text)
        return min(self.line_starts[line - 1] + column - 1, len(self.text))


@dataclass(frozen=True)
class DataFile:
    """A file of numbers that a spec reads, with the names that a source file has."""

    name: str
    data: bytes = field(repr=False)
    identity: str
    shipped: bool = False


FileRead = SourceFile | DataFile
"""What was read to make a program."""


@dataclass(frozen=True)
class Location:
    """A place in a source file; lines and columns count from 1.

    `file` is the name that the file has wherever it lies (SourceFile.identity), so that what is written from a program
    is the same whatever path named its spec. `source` is the text itself, where it was read in this process.
    """

    file: str
    line: int
    column: int
    end_line: int = 0
    end_column: int = 0
    source: SourceFile | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Span(NamedTuple):
    """Characters `start` up to `end` (exclusive) of a source file."""

    source: SourceFile
    start: int
    end: int

    def to(self, other: Span) -> Span:
        return Span(self.source, self.start, other.end)

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def location(self) -> Location:
        """The place for a reader: in the file as the author named it."""
        return self._location(self.source.name)

    @property
    def place(self) -> Location:
        """The place for a program: in the file as artifacts call it."""
        return self._location(self.source.identity)

    def _location(self, file: str) -> Location:
        line, column = self.source.position(self.start)
        end_line, end_column = self.source.position(max(self.start, self.end))
        return Location(file, line, column, end_line, end_column, self.source)


def span_at(source: SourceFile, location: Location) -> Span:
    """The span that an IR location means in `source`."""
    start = source.offset(location.line, location.column)
    end = source.offset(location.end_line, location.end_column) if location.end_line else start + 1
    return Span(source, start, max(start, end))
