"""What answers settle, in text of at most 80 columns and as JSON data."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from mctc.probe.findings import Findings, Verdict

WIDTH = 80


def report(found: Findings) -> str:
    """Verdict by verdict; then what differs from what mctc has."""
    answers = found.answers
    lines = [*wrap(f"{answers.chip}, {answers.system}, coremltools {answers.coremltools}", WIDTH), ""]
    for verdict in found.verdicts:
        lines += _lines(verdict)
    differing = [verdict.subject for verdict in found.differing]
    lines.append("")
    lines += wrap(_summary(differing), WIDTH, break_on_hyphens=False)
    return "\n".join(lines)


def _lines(verdict: Verdict) -> Iterator[str]:
    yield from wrap(f"{verdict.subject}: {verdict.says}", WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    for each in verdict.detail:
        yield from wrap(each, WIDTH, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False)


def _summary(differing: list[str]) -> str:
    if not differing:
        return "nothing that mctc would have to change for this chip"
    return f"settled, or other than mctc has it, for this chip: {', '.join(differing)}"


def as_record(found: Findings) -> dict[str, Any]:
    """All of it as data."""
    return {
        "chip": found.answers.chip,
        "system": found.answers.system,
        "coremltools": found.answers.coremltools,
        "verdicts": [
            {"subject": each.subject, "says": each.says, "detail": list(each.detail), "differs": each.differs}
            for each in found.verdicts
        ],
        "tables": dict(found.constants),
    }
