"""All codes in one table."""

from __future__ import annotations

from mctc.diagnostics.catalogue import calls, declarations, files, sections, streaming, syntax, values
from mctc.diagnostics.catalogue.entry import Entry
from mctc.diagnostics.errors import UsageError
from mctc.diagnostics.near import did_you_mean

STAGES = (files, syntax, declarations, values, calls, sections, streaming)
CATALOGUE: dict[str, Entry] = {entry.code: entry for stage in STAGES for entry in stage.ENTRIES}


def explain(code: str) -> str:
    """The long explanation of a code as text. Raises UsageError for a code that does not exist."""
    entry = CATALOGUE.get(code.strip().upper())
    if entry is None:
        hint = did_you_mean(code.upper(), CATALOGUE) or "codes look like MCT0051; docs/diagnostics.md lists them"
        raise UsageError(f"there is no diagnostic {code!r}", hint=hint)
    return _text(entry)


def _text(entry: Entry) -> str:
    parts = [f"{entry.code}: {entry.title}", entry.explanation]
    if entry.example:
        parts.append("For example:\n\n" + "".join(f"    {line}\n" for line in entry.example.splitlines()).rstrip())
    return "\n\n".join(parts)
