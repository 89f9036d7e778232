"""Where in a program something stands."""

from __future__ import annotations

from mctc.diagnostics.clean import clean
from mctc.records import dataclass


@dataclass(frozen=True)
class Place:
    """An operation, or a function as a whole; the text is composed when a message needs it.

    Every operation has one, shared by its constants; most are never shown.
    """

    function: str
    index: int | None = None
    type: str = ""
    line: int | None = None

    def __str__(self) -> str:
        text = f"function '{clean(self.function)}'"
        if self.index is not None:
            text += f", operation {self.index}, {clean(self.type)}"
        return text if self.line is None else f"line {self.line}, {text}"
