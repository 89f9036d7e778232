"""Which op of a report is which operation of a compute plan.

An op goes by its name, which is that of its first output unless the output is one of several or was renamed. What is
left is paired by type, in order, between the nearest ops before it that were found; where the two sides have not as
many of a type there, in the whole function; and not at all where even then they don't.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from mctc.linter.coreml.plan import Measured, MeasuredPlan
from mctc.linter.coreml.report import FunctionReport, OpRow, Report
from mctc.records import dataclass


@dataclass(frozen=True)
class Pair:
    """An op of a report (`index` in its function) and what was measured of it."""

    function: str
    index: int
    op: OpRow
    measured: Measured


@dataclass(frozen=True)
class Pairs:
    """pairs in the order of the report. unmeasured: ops that only the report has. unknown: those of the plan that Core
    ML places somewhere and the report doesn't have. Each with its function."""

    pairs: tuple[Pair, ...]
    unmeasured: tuple[tuple[str, OpRow], ...]
    unknown: tuple[tuple[str, Measured], ...]


def pair(report: Report, plan: MeasuredPlan) -> Pairs:
    """Pairs all functions; the only one of each side even where the names differ."""
    pairs: list[Pair] = []
    unmeasured: list[tuple[str, OpRow]] = []
    unknown: list[tuple[str, Measured]] = []
    left = dict(plan.functions)
    for function in report.functions:
        alone = len(report.functions) == len(plan.functions) == 1
        operations = left.pop(next(iter(left)) if alone else function.name, ())
        found = _paired(function, operations)
        taken = set(found.values())
        for index, op in enumerate(function.ops):
            if index in found:
                pairs.append(Pair(function.name, index, op, operations[found[index]]))
            else:
                unmeasured.append((function.name, op))
        unknown += [(function.name, each) for place, each in enumerate(operations) if place not in taken]
    unknown += [(name, each) for name, operations in left.items() for each in operations]
    return Pairs(tuple(pairs), tuple(unmeasured), tuple(each for each in unknown if each[1].preferred is not None))


def _paired(function: FunctionReport, operations: Sequence[Measured]) -> dict[int, int]:
    """The position in `operations` of ops of the function, by theirs."""
    named = {(each.type, name): place for place, each in enumerate(operations) for name in each.outputs}
    found: dict[int, int] = {}
    names: dict[int, int] = {}  # the other way round
    for index, op in enumerate(function.ops):
        names_of = (op.name, *op.outputs)
        place = next((named[op.type, name] for name in names_of if (op.type, name) in named), None)
        if place is not None and place not in names:
            found[index], names[place] = place, index
    types = [op.type for op in function.ops], [each.type for each in operations]
    _fill(found, *types, _last({each: each for each in found}, len(types[0])), _last(names, len(types[1])))
    _fill(found, *types, {}, {})
    return found


def _last(named: Mapping[int, int], length: int) -> dict[int, int | None]:
    """For every position, the op of the report that the nearest named one at or before it is."""
    nearest: dict[int, int | None] = {}
    last = None
    for place in range(length):
        last = nearest[place] = named.get(place, last)
    return nearest


def _fill(
    found: dict[int, int],
    rows: Sequence[str],
    measured: Sequence[str],
    after: Mapping[int, int | None],
    measured_after: Mapping[int, int | None],
) -> None:
    """Pairs what is left in order, where both sides have as many of a type in the same place."""
    here, there = defaultdict[Hashable, list[int]](list), defaultdict[Hashable, list[int]](list)
    taken = set(found.values())
    for index, type_ in enumerate(rows):
        if index not in found:
            here[type_, after.get(index)].append(index)
    for place, type_ in enumerate(measured):
        if place not in taken:
            there[type_, measured_after.get(place)].append(place)
    for key, indices in here.items():
        if len(indices) == len(there[key]):
            found.update(zip(indices, there[key], strict=True))
