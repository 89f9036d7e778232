"""Where an op comes from: a place in the author's text, an instance path, and the passes that touched it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mctc.diagnostics.source import SourceFile


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


@dataclass(frozen=True)
class Event:
    """One change by one pass, told in one line."""

    by: str
    change: str


@dataclass(frozen=True)
class Origin:
    """`path` is the instance path, e.g. 'encoder.layers.3.mamba'; `history` lists what passes did, oldest first."""

    location: Location | None = None
    path: str = ""
    history: tuple[Event, ...] = ()

    def after(self, by: str, change: str) -> Origin:
        return Origin(self.location, self.path, (*self.history, Event(by, change)))
