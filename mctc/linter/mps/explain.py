"""The rules as text: `mctc explain MPS050`, and the help of SARIF."""

from __future__ import annotations

from textwrap import fill, indent

from mctc.linter.mps.rule import CodeRule


def explain(rule: CodeRule) -> str:
    """The long explanation of a rule as text for a terminal of 80 columns."""
    head = f"{rule.code}: {rule.summary}\n({rule.name}, {rule.severity.value})"
    said = (rule.why, rule.fix, f"Source: {rule.source}")
    parts = [head, *(fill(each, 80, break_long_words=False, break_on_hyphens=False) for each in said)]
    parts += ["Found:\n\n" + indent(rule.bad.rstrip(), "    "), "Not found:\n\n" + indent(rule.good.rstrip(), "    ")]
    return "\n\n".join(parts)
