"""What a diagnostic says."""

from __future__ import annotations

from enum import Enum

from mctc.diagnostics.source import Span
from mctc.records import dataclass


class Severity(str, Enum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Note:
    """A remark beside the message; `span` shows a second place."""

    message: str
    span: Span | None = None


@dataclass(frozen=True)
class Diagnostic:
    """`code` is stable (MCT0001 ...) and explained in the catalogue; `hint` says how to mend it."""

    code: str
    message: str
    span: Span | None = None
    hint: str | None = None
    notes: tuple[Note, ...] = ()
    severity: Severity = Severity.ERROR
    file: str | None = None  # for a file that could not be read: it has no span

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR
