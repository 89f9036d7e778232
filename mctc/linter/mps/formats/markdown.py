"""Findings as Markdown, to be posted as a comment on a pull request: by rule, the most severe and frequent first.

GitHub takes comments of 65,536 characters. What does not fit is counted at the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mctc.diagnostics.clean import clean
from mctc.diagnostics.diagnostic import Diagnostic
from mctc.linter.coreml.formats.artifacts import relative
from mctc.linter.coreml.formats.words import shortened
from mctc.linter.mps.formats.text import counted, file_of, summary
from mctc.linter.mps.table import RULES

LIMIT = 60_000
SHOWN = 20  # places of one rule
LONGEST = 300  # characters of a name or a message
SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&$@]")


def render_markdown(found: Sequence[Diagnostic]) -> str:
    """All findings, without a closing newline, in at most LIMIT characters."""
    parts = [f"## Training code on MPS: {summary(found) if found else 'nothing found'}"]
    groups = sorted(_by_rule(found).items(), key=lambda each: (not each[1][0].is_error, -len(each[1]), each[0]))
    room, left = LIMIT - len(parts[0]) - LONGEST, 0
    for code, group in groups:
        section = _section(code, group)
        if len(section) < room:
            parts.append(section)
            room -= len(section) + 2
        else:
            left += len(group)
    return "\n\n".join([*parts, f"and {counted(left, 'finding')} more, which do not fit here"] if left else parts)


def _by_rule(found: Sequence[Diagnostic]) -> dict[str, list[Diagnostic]]:
    groups: dict[str, list[Diagnostic]] = {}
    for each in found:
        groups.setdefault(each.code, []).append(each)
    return groups


def _section(code: str, group: Sequence[Diagnostic]) -> str:
    rule = RULES[code]
    times = f", {len(group)} times" if len(group) > 1 else ""
    lines = [f"**{group[0].severity.value}** `{code}` {_prose(rule.summary)}{times}", ""]
    lines += [f"- {_place(each)}: {_prose(each.message)}{_notes(each)}" for each in group[:SHOWN]]
    if len(group) > SHOWN:
        lines.append(f"- and {counted(len(group) - SHOWN, 'place')} more of this rule")
    return "\n".join([*lines, f"- Fix: {_prose(rule.fix)}"])


def _place(found: Diagnostic) -> str:
    line = f":{found.span.location.line}" if found.span is not None else ""
    path = clean(shortened(relative(file_of(found)), LONGEST)).replace("`", "'")
    return f"`{path}{line}`"


def _notes(found: Diagnostic) -> str:
    return "".join(f" ({_prose(note.message)})" for note in found.notes)


def _prose(text: str) -> str:
    """Text in which nothing is Markdown but what stands between backquotes already."""
    parts = clean(shortened(text, LONGEST * 3)).split("`")
    if len(parts) % 2 == 0:
        return SPECIAL.sub(r"\\\g<0>", "`".join(parts))
    return "".join(f"`{part}`" if index % 2 else SPECIAL.sub(r"\\\g<0>", part) for index, part in enumerate(parts))
