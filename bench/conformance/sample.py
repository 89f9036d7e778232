"""A small part of the cases that covers every op: what the test suite runs."""

from __future__ import annotations

from collections.abc import Iterable

from bench.conformance.case import Case


def cover(cases: Iterable[Case]) -> list[str]:
    """Names of passing tests that together evaluate every op that any of them does, most ops first (greedy)."""
    ops = {
        case.test: {name for program in case.programs for name in program.ops}
        for case in cases
        if case.outcome == "passed"
    }
    missing = set[str]().union(*ops.values())
    chosen: list[str] = []
    while missing:
        best = max(ops, key=lambda test: len(ops[test] & missing))
        chosen.append(best)
        missing -= ops[best]
    return chosen
