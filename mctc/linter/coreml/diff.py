"""Two reports compared: findings that are gone and new, and what each function's numbers did.

Findings are the same where their fingerprints are. Conversions name ops anew, so what is left over is matched once more
by rule, function and type of op: only how many there are counts then, not which.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from enum import Enum
from math import isfinite

from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.placement import Predicted
from mctc.linter.coreml.report import Finding, FunctionReport, NetworkReport, Report
from mctc.linter.coreml.rule import Severity
from mctc.records import dataclass

RELATIVE = 0.01
"""Times and bytes that change by less are taken to be the same."""
SHARE = 0.005


class Unit(str, Enum):
    """What a number counts."""

    TIME = "us"
    BYTES = "bytes"
    SHARE = "share"
    COUNT = "count"


class Verdict(str, Enum):
    """What a change means. Numbers that are neither good nor bad are the same or changed."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    CHANGED = "changed"


@dataclass(frozen=True)
class Measure:
    """A number before and after. severity: how bad it is that it got worse."""

    name: str
    unit: Unit
    before: float
    after: float
    verdict: Verdict
    severity: Severity


@dataclass(frozen=True)
class FunctionChange:
    """A function of both packages. old_name: of the one before, which may be called otherwise."""

    name: str
    old_name: str
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Difference:
    """What changed from one package to another.

    kept: how many findings both have. package: numbers of the whole. placed: whether anything of this is about
    placement, which a neural network has no prediction of. added, removed: functions.
    """

    old_path: str
    new_path: str
    old_target: str
    new_target: str
    gone: tuple[Finding, ...]
    new: tuple[Finding, ...]
    kept: int
    package: tuple[Measure, ...]
    functions: tuple[FunctionChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    placed: bool = True

    def measures(self, verdict: Verdict) -> Iterator[tuple[str, Measure]]:
        """What got better, or worse, with the function's name ("" for the package)."""
        every = [
            *(("", one) for one in self.package),
            *((each.name, one) for each in self.functions for one in each.measures),
        ]
        return ((name, measure) for name, measure in every if measure.verdict is verdict)

    @property
    def worst(self) -> Severity | None:
        """The worst of what is new and of what got worse; None where nothing did."""
        found = [finding.severity for finding in self.new]
        found += [measure.severity for _, measure in self.measures(Verdict.WORSE)]
        return min(found, key=lambda each: each.rank, default=None)

    def fails(self, fail_on: Severity | None) -> bool:
        """Whether something as bad as `fail_on` got worse (None: never)."""
        return fail_on is not None and self.worst is not None and self.worst.rank <= fail_on.rank


@dataclass(frozen=True)
class _Kind:
    """A number of a function. wanted: 1 for more, -1 for less, 0 for either."""

    name: str
    unit: Unit
    read: Callable[[FunctionReport], float]
    wanted: int = -1
    severity: Severity = Severity.PERFORMANCE


KINDS = (
    _Kind("estimated time", Unit.TIME, lambda each: each.time),
    _Kind("on the Neural Engine", Unit.SHARE, lambda each: _share(each, Predicted.ANE), 1, Severity.WARNING),
    _Kind("doubtful", Unit.SHARE, lambda each: _share(each, Predicted.DOUBTFUL), 0),
    _Kind("on the CPU", Unit.SHARE, lambda each: _share(each, Predicted.CPU), -1, Severity.WARNING),
    _Kind("segments", Unit.COUNT, lambda each: len(each.segments), 0),
    _Kind("switches", Unit.COUNT, lambda each: each.switches),
    _Kind("tensors, padded", Unit.BYTES, lambda each: each.memory.padded),
    _Kind("most at once", Unit.BYTES, lambda each: each.memory.peak),
    _Kind("ops", Unit.COUNT, lambda each: len(each.ops), 0),
    _Kind("states", Unit.COUNT, lambda each: len(each.states), 0),
)

OF_NETWORKS: tuple[tuple[str, Callable[[NetworkReport], float], int], ...] = (
    ("layers", lambda network: len(network.layers), 0),
    ("parameters", lambda network: network.parameters, 0),
    ("multiply-accumulates", lambda network: network.macs, -1),
)
"""Name, reader, and 1 for more, -1 for less, 0 for either."""


def pairs(reports: Sequence[Report]) -> list[tuple[Report, Report]]:
    """Which reports of two packages are compared: those of two programs or networks, or of the members of two pipelines
    by their names. Raises UsageError where a member has no counterpart."""
    sides: dict[str, dict[str, Report]] = {}
    for report in reports:
        sides.setdefault(report.path, {})[report.member] = report
    first, *others = sides.values()
    if [each.keys() for each in others] == [first.keys()]:
        return [(each, others[0][name]) for name, each in first.items()]
    told = (f"{path} has {', '.join(name or 'one model' for name in members)}" for path, members in sides.items())
    raise UsageError(f"--diff compares model with model: {'; '.join(told)}", hint="mctc lint --diff OLD NEW")


def compare(old: Report, new: Report) -> Difference:
    """What changed from one report to another, whatever the packages are called."""
    names = _renamed(old, new)
    before = {names.get(each.name, each.name): each for each in old.functions}
    after = {each.name: each for each in new.functions}
    gone, found = _unmatched(old.findings, new.findings, names)
    return Difference(
        old_path=old.label,
        new_path=new.label,
        old_target=old.target,
        new_target=new.target,
        gone=gone,
        new=found,
        kept=len(new.findings) - len(found),
        package=tuple(_of_package(old, new)),
        functions=tuple(_change(before[name], each) for name, each in after.items() if name in before),
        added=tuple(name for name in after if name not in before),
        removed=tuple(each.name for name, each in before.items() if name not in after),
        placed=old.network is None or new.network is None,
    )


def _of_package(old: Report, new: Report) -> Iterator[Measure]:
    """The weights, and of two networks what they have in all."""
    yield _measure("weights", Unit.BYTES, old.weight_bytes, new.weight_bytes, -1, Severity.PERFORMANCE)
    if old.network is not None and new.network is not None:
        for name, read, wanted in OF_NETWORKS:
            yield _measure(name, Unit.COUNT, read(old.network), read(new.network), wanted, Severity.PERFORMANCE)


def _renamed(old: Report, new: Report) -> dict[str, str]:
    """The new name of the only function of a package whose only function was called otherwise."""
    if len(old.functions) == len(new.functions) == 1:
        return {old.functions[0].name: new.functions[0].name}
    return {}


def _change(old: FunctionReport, new: FunctionReport) -> FunctionChange:
    measures = (
        _measure(kind.name, kind.unit, kind.read(old), kind.read(new), kind.wanted, kind.severity) for kind in KINDS
    )
    return FunctionChange(new.name, old.name, tuple(measures))


def _measure(name: str, unit: Unit, before: float, after: float, wanted: int, severity: Severity) -> Measure:
    change = after - before
    relative = RELATIVE * abs(before) if isfinite(before) else 0.0
    least = {Unit.SHARE: SHARE, Unit.COUNT: 0.0}.get(unit, relative)
    if abs(change) <= least:
        verdict = Verdict.SAME
    elif wanted:
        verdict = Verdict.BETTER if change * wanted > 0 else Verdict.WORSE
    else:
        verdict = Verdict.CHANGED
    return Measure(name, unit, before, after, verdict, severity)


def _share(function: FunctionReport, where: Predicted) -> float:
    return function.shares.get(where, 0.0)


def _unmatched(
    old: Sequence[Finding], new: Sequence[Finding], names: dict[str, str]
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """The findings of either side that the other doesn't have."""

    def alike(finding: Finding) -> tuple[Hashable, ...]:
        return finding.rule.code, names.get(finding.function or "", finding.function), finding.op_type

    def same(finding: Finding) -> tuple[Hashable, ...]:
        return *alike(finding), finding.op

    for key in (same, alike):
        waiting: dict[Hashable, list[Finding]] = defaultdict(list)
        for finding in reversed(old):
            waiting[key(finding)].append(finding)
        new = [finding for finding in new if not _taken(waiting[key(finding)])]
        left = {id(finding) for findings in waiting.values() for finding in findings}
        old = [finding for finding in old if id(finding) in left]
    return tuple(old), tuple(new)


def _taken(waiting: list[Finding]) -> bool:
    """Takes one away; whether there was one."""
    return bool(waiting) and waiting.pop() is not None
