"""Diagnostics as text for a terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from mctc.diagnostics.clean import clean
from mctc.diagnostics.record import Diagnostic, Severity
from mctc.diagnostics.source import Span

SHOWN = 20  # diagnostics per run; the rest is counted
WIDEST = 160  # characters of a source line that are shown
COLOURS = {Severity.ERROR: "\x1b[1;31m", Severity.WARNING: "\x1b[1;33m"}
BLUE, BOLD, CYAN, PLAIN = "\x1b[1;34m", "\x1b[1m", "\x1b[36m", "\x1b[0m"


def render(diagnostic: Diagnostic, *, color: bool = False) -> str:
    """The whole text of one diagnostic: message, place, source line with carets, notes and help."""

    def paint(text: str, ansi: str) -> str:
        return f"{ansi}{text}{PLAIN}" if color else text

    head = paint(f"{diagnostic.severity.value}[{diagnostic.code}]", COLOURS[diagnostic.severity])
    lines = [f"{head}{paint(': ' + _clean(diagnostic.message), BOLD)}"]
    margin = " " * _margin(diagnostic)
    if diagnostic.span is not None:
        lines += _snippet(diagnostic.span, margin, "^", paint)
    elif diagnostic.file is not None:
        lines.append(f"{margin}{paint('-->', BLUE)} {_clean(diagnostic.file)}")
    for note in diagnostic.notes:
        lines.append(f"{margin} {paint('=', BLUE)} {paint('note', BOLD)}: {_clean(note.message)}")
        if note.span is not None:
            lines += _snippet(note.span, margin, "-", paint)
    if diagnostic.hint:
        lines.append(f"{margin} {paint('=', BLUE)} {paint('help', CYAN)}: {_clean(diagnostic.hint)}")
    return "\n".join(lines)


def render_all(diagnostics: Sequence[Diagnostic], *, color: bool = False) -> str:
    """All diagnostics, at most SHOWN of them, and a count at the end."""
    parts = [render(diagnostic, color=color) for diagnostic in diagnostics[:SHOWN]]
    return "\n\n".join([*parts, summary(diagnostics)])


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """'2 errors and 1 warning; `mctc explain MCT0051` says more', and how many were not shown."""
    errors = sum(diagnostic.is_error for diagnostic in diagnostics)
    counted = [_count(errors, "error"), _count(len(diagnostics) - errors, "warning")]
    text = " and ".join(part for part in counted if part)
    if len(diagnostics) > SHOWN:
        text += f", the first {SHOWN} shown"
    return f"{text}; `mctc explain {diagnostics[0].code}` says more" if diagnostics else "no errors"


def as_json(diagnostics: Iterable[Diagnostic]) -> str:
    """A JSON list: code, severity, message, file, line, column, end_line, end_column, hint and notes of each."""
    return json.dumps([_record(diagnostic) for diagnostic in diagnostics], indent=2)


def _record(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        **_place(diagnostic.span, diagnostic.file),
        "hint": diagnostic.hint,
        "notes": [{"message": note.message, **_place(note.span, None)} for note in diagnostic.notes],
    }


def _place(span: Span | None, file: str | None) -> dict[str, Any]:
    if span is None:
        return {"file": file}
    at = span.location
    return {
        "file": at.file,
        "line": at.line,
        "column": at.column,
        "end_line": at.end_line,
        "end_column": at.end_column,
    }


def _snippet(span: Span, margin: str, mark: str, paint: Any) -> list[str]:
    at = span.location
    text, column = span.source.line(at.line), at.column
    last = at.end_column if at.end_line == at.line else len(text) + 1
    cut = max(0, column - WIDEST // 2) if len(text) > WIDEST else 0
    shown = _clean(text[cut : cut + WIDEST])
    width = max(1, min(last - column, WIDEST - (column - 1 - cut)))
    pad = "".join("\t" if ch == "\t" else " " for ch in text[cut : column - 1])
    marks = paint(mark * width, COLOURS[Severity.ERROR] if mark == "^" else BLUE)
    bar = paint("|", BLUE)
    number = paint(str(at.line).rjust(len(margin)), BLUE)
    return [
        f"{margin}{paint('-->', BLUE)} {_clean(at.file)}:{at.line}:{at.column}",
        f"{margin} {bar}",
        f"{number} {bar} {shown}",
        f"{margin} {bar} {pad}{marks}",
    ]


def _margin(diagnostic: Diagnostic) -> int:
    spans = [diagnostic.span, *(note.span for note in diagnostic.notes)]
    return max((len(str(span.location.line)) for span in spans if span is not None), default=1)


def _clean(text: str) -> str:
    return clean(text, kept="\t")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}" if number else ""
