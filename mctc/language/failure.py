"""How elaboration fails: by raising a diagnostic, caught where work can go on."""

from __future__ import annotations

from mctc.diagnostics.diagnostic import Diagnostic, Note
from mctc.diagnostics.source import Span


class FaultError(Exception):
    """One statement is at fault; the rest of the program is still looked at."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class LimitError(FaultError):
    """A limit is passed: elaboration stops."""


class SilentError(Exception):
    """A value that failed before is used: nothing new to say."""


def fail(code: str, message: str, span: Span, hint: str | None = None, *notes: Note) -> FaultError:
    """The exception to raise for a diagnostic at `span`."""
    return FaultError(Diagnostic(code, message, span, hint, notes))
