"""Probes of contested rules: where a plan puts one op that sources disagree about."""

from __future__ import annotations

from inspect import cleandoc

from mctc.linter.coreml.rule import Rule
from mctc.linter.coreml.table import table
from mctc.probe.probe import Kind, Probe, inputs_of, packages_of

CODES = (
    "ANE-AT-001", "ANE-SM-002", "ANE-OP-020", "ANE-OP-022c", "ANE-OP-025", "ANE-ST-001", "ANE-ST-003b", "ANE-ST-004",
    "ANE-QT-002", "ANE-QT-007", "ANE-QT-009", "ANE-QT-015", "ANE-CV-010", "ANE-CV-011", "ANE-CV-013", "ANE-CV-015",
    "ANE-PD-003", "ANE-PL-001b", "ANE-PL-002", "ANE-MM-005",
)  # fmt: skip
"""Twenty contested rules that a single small program can settle; the others need a gigabyte or a range of shapes."""


def placements() -> list[Probe]:
    """A program for each of CODES: the one that its rule finds, between ballast."""
    rules = table().rules
    return [_placement(rules[code]) for code in CODES]


def _placement(rule: Rule) -> Probe:
    *lines, returned = cleandoc(rule.fires).splitlines()
    name = rule.code.lower().replace("-", "_")
    package, bare = packages_of(name, "\n".join(lines), returned.removeprefix("return").strip())
    stays, leaves = (rule.sides.stays, rule.sides.leaves) if rule.sides is not None else ("", "")
    question = f"{rule.summary}. Stays: {stays}. Leaves: {leaves}"
    return Probe(name, Kind.PLACEMENT, question, package, bare, inputs_of(package, {}), "", rule=rule.code)
