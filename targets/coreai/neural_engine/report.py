"""What the rules say of an asset: neural_engine.json, and a line for every error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mctc.driver.manifest import write_json
from mctc.targets.coreai.graphs import ReadGraph, read_graphs
from mctc.targets.coreai.neural_engine.rule import Rule, Severity
from mctc.targets.coreai.neural_engine.rules import RULES
from mctc.targets.coreai.neural_engine.undecided import UNDECIDED

DATA = "neural_engine.json"
SCHEMA = 1


def write_report(asset: Path, folder: Path) -> Sequence[str]:
    """Holds all functions of an asset, as read back, to the rules; returns errors as lines."""
    graphs = read_graphs(asset)
    entries = [entry for graph in graphs.values() for rule in RULES for entry in _entries(rule, graph)]
    write_json(folder / DATA, {"schema": SCHEMA, "asset": asset.name, "rules": _rules(), "findings": entries})
    errors = [entry for entry in entries if entry["severity"] == Severity.ERROR.value]
    return [f"{e['rule']} {e['text']}: {e['count']} in {e['function']}, first {e['first']}" for e in errors]


def _entries(rule: Rule, graph: ReadGraph) -> list[dict[str, Any]]:
    """At most one: how often a function breaks a rule, and where first."""
    found = list(rule.check(graph))
    if not found:
        return []
    entry = {"rule": rule.code, "severity": rule.severity.value, "function": graph.name, "text": rule.text}
    return [{**entry, "count": len(found), "first": found[0]}]


def _rules() -> list[dict[str, str]]:
    return [
        {"rule": r.code, "text": r.text, "threshold": r.threshold, "severity": r.severity.value, "source": r.source}
        for r in RULES
    ]


def page() -> str:
    """The rules as docs/coreai.md shows them, in Markdown."""
    head = "| rule | what it asks | threshold | severity |\n| --- | --- | --- | --- |\n"
    table = "".join(f"| {r.code} | {r.text} | {r.threshold} | {r.severity.value} |\n" for r in RULES)
    rest = "".join(f"* {code} {why}\n" for code, why in UNDECIDED.items())
    return f"{head}{table}\nNot decided by a graph:\n\n{rest}"


if __name__ == "__main__":
    print(page(), end="")
