"""What the cases say about each op."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bench.conformance.case import Case
from bench.conformance.known import why

OPSETS = {"CoreML5": "iOS 15", "CoreML6": "iOS 16", "CoreML7": "iOS 17", "CoreML8": "iOS 18"}
"""A program's name of an op set, and the system that it came with."""
Ops = Mapping[str, Mapping[str, str]]
"""Every op: its op sets, and the definition that each uses."""
INTERNAL = frozenset({"_const_symbolic"})
"""In coremltools' registry, but never in a package."""


@dataclass
class Tally:
    """Cases of an op: how many passed in each op set, how many failed, and of these how many it isn't to blame for."""

    passed: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    explained: int = 0


def registered() -> dict[str, dict[str, str]]:
    """Every core op in coremltools' registry: the op sets that have it, and the definition that each uses.

    Most op sets take over the definition of the one before: what its cases show holds for all that use it.
    """
    from mctc.targets.ane.coremltools_import import import_coremltools

    target = import_coremltools(hide=True).target
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    targets = {opset: getattr(target, system.replace(" ", "")) for opset, system in OPSETS.items()}
    return {
        name: {opset: versions[system].__module__ for opset, system in targets.items() if system in versions}
        for name, versions in sorted(SSAOpRegistry.core_ops.items())
        if name not in INTERNAL
    }


def tally(cases: Iterable[Case]) -> dict[str, Tally]:
    """By op. A case counts for every op of the programs that it evaluated."""
    found: dict[str, Tally] = {}
    for case in cases:
        for opset, name in {(program.opset, name) for program in case.programs for name in program.ops}:
            each = found.setdefault(name, Tally())
            if case.outcome == "passed":
                each.passed[opset] += 1
            elif case.outcome == "failed" and why(case) is None:
                each.failed[opset] += 1
            elif case.outcome == "failed":
                each.explained += 1
    return found


def correct(each: Tally, sets: Mapping[str, str], opset: str) -> bool:
    """Whether cases of the definition that this op set uses passed, and none failed without an explanation."""
    alike = [other for other, definition in sets.items() if definition == sets[opset]]
    return any(each.passed[other] for other in alike) and not any(each.failed[other] for other in alike)


def shares(tallies: Mapping[str, Tally], ops: Ops) -> dict[str, tuple[int, int]]:
    """How many ops are evaluated correctly, of how many: by op set, and under "" in every op set that has the op."""
    left = {name: open_in(tallies.get(name, Tally()), sets) for name, sets in ops.items()}
    counts = {"": (sum(not found for found in left.values()), len(ops))}
    for opset in OPSETS:
        inside = [name for name, sets in ops.items() if opset in sets]
        counts[opset] = sum(opset not in left[name] for name in inside), len(inside)
    return counts


def open_in(each: Tally, sets: Mapping[str, str]) -> list[str]:
    """The op sets in which the op isn't evaluated correctly."""
    return [opset for opset in sets if not correct(each, sets, opset)]
