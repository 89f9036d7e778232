"""Findings as workflow commands, which GitHub shows beside the lines of a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.diagnostics.diagnostic import Diagnostic
from mctc.linter.github import workflow_command
from mctc.linter.mps.formats.text import message_of


def render_github(found: Sequence[Diagnostic]) -> str:
    """One annotation a line."""
    return "\n".join(_annotation(each) for each in found)


def _annotation(diagnostic: Diagnostic) -> str:
    properties = {"title": diagnostic.code, "file": diagnostic.file or ""}
    if diagnostic.span is not None:
        at = diagnostic.span.location
        properties |= {"file": at.file, "line": str(at.line), "col": str(at.column)}
        properties |= {"endLine": str(at.end_line), "endColumn": str(at.end_column)}
    message = "; ".join(filter(None, (message_of(diagnostic), diagnostic.hint)))
    return workflow_command(diagnostic.severity.value, message, properties)
