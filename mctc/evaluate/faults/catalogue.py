"""The table of faults in docs/faults.md, made from their models."""

from __future__ import annotations

from mctc.evaluate.faults.table import FAULTS


def fault_table() -> str:
    """A row for each fault."""
    rows = ["| fault | what comes out | on | seen with | source | rule |", "|---|---|---|---|---|---|"]
    for fault in FAULTS.values():
        summary = fault.summary + ("" if fault.known else " *")
        rule = f"[{fault.rule}](lint-rules.md)" if fault.rule else ""
        rows.append(f"| `{fault.name}` | {summary} | {fault.where} | {fault.systems} | {fault.source} | {rule} |")
    return "\n".join(rows)
