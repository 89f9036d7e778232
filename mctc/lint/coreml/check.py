"""The rules over a package: findings, placement, memory, in one report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from mctc.lint.coreml.graph import FunctionGraph, Op, PackageGraph, tensor_bytes
from mctc.lint.coreml.memory import measure, padded_bytes
from mctc.lint.coreml.placement import Placement, Predicted, place
from mctc.lint.coreml.report import Finding, FunctionReport, OpRow, Place, Report, SegmentRow
from mctc.lint.coreml.rule import Effect, FunctionRule, Hit, OpRule, PackageRule, PlacementRule, Rule, Severity
from mctc.lint.coreml.target import Target, resolve
from mctc.package import AbsentFile, Package

Places = Mapping[str, Mapping[str, Place]]
"""For every function, where its ops come from, by their names."""


@dataclass(frozen=True)
class Choice:
    """What is reported: codes (None: all), and severities that the user changed. Placement heeds every rule."""

    codes: frozenset[str] | None = None
    severities: Mapping[str, Severity] = field(default_factory=dict)

    def shows(self, rule: Rule) -> bool:
        return self.codes is None or rule.code in self.codes

    def severity(self, rule: Rule) -> Severity:
        return self.severities.get(rule.code, rule.severity)


def check_package(
    package: Package,
    rules: Iterable[Rule],
    *,
    device: str | None = None,
    system: str | None = None,
    choice: Choice | None = None,
    places: Places | None = None,
    components: Mapping[str, str] | None = None,
) -> Report:
    """Checks a package as read. Raises UsageError for a target that doesn't exist.

    components: what the report calls functions that the package calls otherwise: a function alone is its `main`.
    """
    if components:
        package = _called(package, components)
        places = {components.get(name, name): of_ops for name, of_ops in (places or {}).items()}
    target = resolve(device, system, package.functions[package.default_function].opset)
    return _Check(package, rules, target, choice or Choice(), places or {}).report()


def _called(package: Package, components: Mapping[str, str]) -> Package:
    """The package with its functions under other names."""

    def named(name: str) -> str:
        return components.get(name, name)

    return replace(
        package,
        functions={named(name): replace(each, name=named(name)) for name, each in package.functions.items()},
        default_function=named(package.default_function),
        descriptions={named(name): each for name, each in package.descriptions.items()},
    )


class _Check:
    """One package, one target."""

    def __init__(self, package: Package, rules: Iterable[Rule], target: Target, choice: Choice, places: Places) -> None:
        rules = list(rules)
        self.graph = PackageGraph(package)
        self.rules = [rule for rule in rules if rule.scope.covers(target)]
        self.skipped = [
            (rule.code, rule.scope.missing(target) or "") for rule in rules if not rule.scope.covers(target)
        ]
        self.target, self.choice, self.places = target, choice, places
        self.hidden = 0
        self.found: list[tuple[Rule, Hit]] = []

    def report(self) -> Report:
        for function in self.graph.functions.values():
            self.found += self._op_hits(function)
            self.found += self._hits(FunctionRule, function)
        self.found += self._hits(PackageRule, self.graph)
        placements = {
            name: place(function, self._effects(function), family=self.target.family)
            for name, function in self.graph.functions.items()
        }
        for placement in placements.values():
            self.found += self._hits(PlacementRule, placement)
        package = self.graph.package
        findings = self._findings()
        by_op: dict[tuple[str | None, int | None], list[str]] = defaultdict(list)
        for finding in findings:
            by_op[finding.function, finding.index].append(finding.rule.code)
        return Report(
            path=str(package.path),
            container=package.container,
            spec_version=package.spec_version,
            opset=package.functions[package.default_function].opset,
            target=str(self.target),
            stated=self.target.stated,
            weight_bytes=self.graph.weight_bytes,
            findings=tuple(findings),
            functions=tuple(self._function(placement, by_op) for placement in placements.values()),
            skipped=tuple(self.skipped),
            hidden=self.hidden,
            made_by=dict(package.metadata.user),
            member=package.member,
            notes=tuple(_without(package, each) for each in package.absent),
        )

    def _op_hits(self, function: FunctionGraph) -> Iterator[tuple[Rule, Hit]]:
        rules = [rule for rule in self.rules if isinstance(rule, OpRule)]
        general = [(rule, rule.find) for rule in rules if not rule.ops]
        of_type = {
            type_: [*((rule, rule.find) for rule in rules if type_ in rule.ops), *general]
            for type_ in {op.type for op in function.ops}
        }
        for op in function.ops:
            for rule, find in of_type[op.type]:
                message = find(op, self.target)
                if message is not None:
                    yield rule, Hit(message, op)

    def _hits(self, kind: type[Rule], subject: object) -> Iterator[tuple[Rule, Hit]]:
        for rule in self.rules:
            if isinstance(rule, kind):
                for hit in rule.find(subject, self.target):  # type: ignore[attr-defined]
                    function = subject if isinstance(subject, FunctionGraph) else getattr(subject, "function", None)
                    named = function.name if isinstance(function, FunctionGraph) else hit.function
                    yield rule, Hit(hit.message, hit.op, named)

    def _effects(self, function: FunctionGraph) -> dict[Op, Effect]:
        """The worst effect on every op of a function; a finding about no op is about all of them."""
        worst: dict[Op, Effect] = {}
        for rule, hit in self.found:
            if rule.effect is Effect.STAYS or not _is_about(hit, function):
                continue
            for op in [hit.op] if hit.op is not None else function.ops:
                if worst.get(op) is not Effect.OFF:
                    worst[op] = rule.effect
        return worst

    def _findings(self) -> list[Finding]:
        findings = [self._finding(rule, hit) for rule, hit in self.found if self.choice.shows(rule)]
        self.hidden = len(self.found) - len(findings)
        return sorted(
            findings, key=lambda each: (each.severity.rank, each.rule.code, each.function or "", each.index or 0)
        )

    def _finding(self, rule: Rule, hit: Hit) -> Finding:
        severity = self.choice.severity(rule)
        if hit.op is None:
            return Finding(rule, severity, hit.message, hit.function)
        function, op = hit.op.function.name, hit.op
        where = self.places.get(function, {}).get(op.name)
        return Finding(rule, severity, hit.message, function, op.name, op.type, op.position, where)

    def _function(
        self, placement: Placement, codes: Mapping[tuple[str | None, int | None], list[str]]
    ) -> FunctionReport:
        function = placement.function
        segment_of = [index for index, segment in enumerate(placement.segments) for _ in range(segment.size)]
        places = self.places.get(function.name, {})
        rows = []
        for op, eligible, cost, predicted in zip(
            function.ops, placement.eligible, placement.costs, placement.predicted, strict=True
        ):
            index = op.position
            found = tuple(dict.fromkeys(codes.get((function.name, index), ())))
            made_by = tuple(dict.fromkeys(each.position for each in op.producers()))
            rows.append(
                OpRow(
                    op.name, op.type, str(op.result or ""), eligible, predicted, segment_of[index],
                    cost.ane, cost.cpu, cost.flops, made_by, found,
                    tuple(each.name for each in op.results),
                    sum(tensor_bytes(each.type) for each in op.results),
                    sum(padded_bytes(each.type) for each in op.results),
                    places.get(op.name),
                )
            )  # fmt: skip
        segments = tuple(
            SegmentRow(s.backend.value, s.first, s.last, s.ane, s.cpu, s.doubtful) for s in placement.segments
        )
        return FunctionReport(
            function.name,
            tuple(rows),
            segments,
            {where: placement.share(where) for where in Predicted},
            placement.time,
            placement.cpu_time,
            measure(function),
            len(function.constants) + len(function.constexprs),
            tuple(map(str, function.inputs)),
            tuple(map(str, function.outputs)),
            tuple(map(str, function.states)),
        )


def _without(package: Package, absent: AbsentFile) -> str:
    """What a report says of a weight file that isn't there."""
    name = absent.path.relative_to(package.path) if absent.path.is_relative_to(package.path) else absent.path
    return (
        f"weight file {name}: {absent.what}. Sizes are from shapes alone, and no rule has looked at its values; "
        f"{absent.hint}"
    )


def _is_about(hit: Hit, function: FunctionGraph) -> bool:
    if hit.op is not None:
        return hit.op.function is function
    return hit.function in (None, function.name)
