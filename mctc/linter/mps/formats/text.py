"""Findings as text: with their lines for a terminal, or counted by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mctc.diagnostics.diagnostic import Diagnostic
from mctc.diagnostics.render import render
from mctc.linter.mps.table import RULES


def render_text(found: Sequence[Diagnostic], files: int, *, color: bool = False) -> str:
    """Every finding with its line, and a summary; without a closing newline."""
    if not found:
        return f"{counted(files, 'file')} checked, nothing found"
    return "\n\n".join([*(render(each, color=color) for each in found), f"{summary(found)}; {more(found)}"])


def more(found: Sequence[Diagnostic]) -> str:
    return f"`mctc explain {found[0].code}` says more"


def summary(found: Sequence[Diagnostic]) -> str:
    """'3 errors and 1 warning in 2 files'."""
    errors = sum(each.is_error for each in found)
    text = " and ".join(filter(None, [counted(errors, "error"), counted(len(found) - errors, "warning")]))
    return f"{text} in {counted(len({file_of(each) for each in found}), 'file')}"


def statistics(found: Sequence[Diagnostic]) -> str:
    """A line for each rule with its count, the most frequent first."""
    counts = sorted(Counter(each.code for each in found).items(), key=lambda each: (-each[1], each[0]))
    return "\n".join(f"{count:6}  {code}  {RULES[code].summary}" for code, count in counts)


def counted(number: int, noun: str) -> str:
    """'1 file', '3 files'; nothing for none."""
    return f"{number} {noun}{'s' * (number != 1)}" if number else ""


def file_of(diagnostic: Diagnostic) -> str:
    return diagnostic.span.source.name if diagnostic.span is not None else diagnostic.file or ""


def message_of(diagnostic: Diagnostic) -> str:
    """The message on one line, with why a function runs at every step."""
    notes = "".join(f" ({note.message})" for note in diagnostic.notes)
    return f"{diagnostic.message}{notes}"
