"""The table of ops in docs/evaluator.md, made from their declarations."""

from __future__ import annotations

import mctc.evaluate.coreml.ops  # noqa: F401  (declares the ops)
from mctc.evaluate.coreml.declaration import REGISTRY
from mctc.evaluate.coreml.structural import STRUCTURAL

_NOTES = {
    "const": ("iOS15", "read from the weight file when needed"),
    "read_state": ("iOS18", "the value at the time of the read"),
    "write_state": ("iOS18", "replaces the state"),
    "coreml_update_state": ("iOS18", "write_state followed by read_state; the exporter writes those two"),
    "cond": ("iOS15", "runs one branch"),
    "while_loop": ("iOS15", "given up as endless after a million iterations"),
}


def op_names() -> list[str]:
    """Every op that the evaluator executes."""
    return sorted({*REGISTRY, *STRUCTURAL, "const"})


def op_table() -> str:
    """The ops as Markdown: a table for each family, with the opset that introduced each op."""
    families: dict[str, list[tuple[str, str, str]]] = {"states and control flow": []}
    for name, (since, note) in _NOTES.items():
        families["states and control flow"].append((name, since, note))
    for declaration in REGISTRY.values():
        rows = families.setdefault(declaration.family.replace("_", " "), [])
        rows.append((declaration.name, declaration.since, declaration.note))
    parts = []
    for family, rows in sorted(families.items()):
        lines = [f"### {family}", "", "| op | since | |", "|---|---|---|"]
        lines += [f"| `{name}` | {since.replace('iOS', 'iOS ')} | {note} |" for name, since, note in sorted(rows)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
