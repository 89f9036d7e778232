"""The rules over a package: findings, placement, memory, in one report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import chain

from mctc.linter.coreml.compile_cost import compile_cost
from mctc.linter.coreml.engine_numbers import engine_numbers
from mctc.linter.coreml.graph import tensor_bytes
from mctc.linter.coreml.judge import Judge, Judgement, Seen, asked, open_ops, shares_of
from mctc.linter.coreml.memory import measure, padded_bytes
from mctc.linter.coreml.merged import HeldAt, merge
from mctc.linter.coreml.placement import Placement
from mctc.linter.coreml.report import Finding, FunctionReport, OpRow, Place, Report
from mctc.linter.coreml.rule import FunctionRule, PackageRule, Rule, Severity
from mctc.linter.coreml.sized import SizedPackage
from mctc.linter.coreml.sizes import Size, WantedShape
from mctc.linter.coreml.target import Target, resolve
from mctc.package import AbsentFile, Package
from mctc.records import dataclass

IN_FP32 = ("ANE-DT-001", "ANE-DT-002", "ANE-DT-003")  # what a spec may ask for, which is no mistake then
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
    shapes: Sequence[WantedShape] = (),
) -> Report:
    """Checks a package as read. Raises UsageError for a target that doesn't exist, or a shape that an input can't have.

    components: what the report calls functions that the package calls otherwise: a function alone is its `main`.
    shapes: chosen for inputs that can have several; else each such function is judged at its default, the bounds and
    every listed shape.
    """
    if components:
        package = _called(package, components)
        places = {components.get(name, name): of_ops for name, of_ops in (places or {}).items()}
    target = resolve(device, system, package.functions[package.default_function].opset)
    return _Check(SizedPackage(package, shapes), rules, target, choice or Choice(), places or {}).report()


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

    def __init__(
        self, package: SizedPackage, rules: Iterable[Rule], target: Target, choice: Choice, places: Places
    ) -> None:
        rules = list(rules)
        self.sized, self.graph = package, package.main
        self.rules = [rule for rule in rules if rule.scope.covers(target)]
        self.skipped = [
            (rule.code, rule.scope.missing(target) or "") for rule in rules if not rule.scope.covers(target)
        ]
        self.target, self.choice, self.places = target, choice, places
        self.judge = Judge(self.rules, target)
        self.hidden = 0

    def report(self) -> Report:
        declared = self._of_declared()
        general = [*self.judge.ask(PackageRule, self.graph), *declared]
        self.judge.general = general
        judged = {name: self._judged(name) for name in self.graph.functions}
        held = [HeldAt(each) for each in general]
        for at_sizes in judged.values():
            held += merge([(size, judgement.seen) for size, judgement in at_sizes])
        findings = self._findings(held)
        by_op = self._codes(held)
        package = self.graph.package
        return Report(
            path=str(package.path),
            container=package.container,
            spec_version=package.spec_version,
            opset=package.functions[package.default_function].opset,
            target=str(self.target),
            stated=self.target.stated,
            weight_bytes=self.graph.weight_bytes,
            findings=tuple(findings),
            functions=tuple(self._function([each for _, each in of], by_op) for of in judged.values()),
            skipped=tuple(self.skipped),
            hidden=self.hidden,
            made_by=dict(package.metadata.user),
            member=package.member,
            notes=tuple(_without(package, each) for each in package.absent),
        )

    def _judged(self, name: str) -> list[tuple[Size | None, Judgement]]:
        """A function at its main size, then at the others."""
        judged: list[tuple[Size | None, Judgement]] = []
        for at in chain([self.sized.first(name)], self.sized.others(name)):
            judgement = self.judge.judge(self.sized.graph(at), at)
            # Of other sizes than the main one only what is said is kept, not the graph.
            judged.append((at.size, judgement if not judged else replace(judgement, placement=None)))
        return judged

    def _of_declared(self) -> list[Seen]:
        """What rules say that look at shapes as they are declared."""
        rules = [rule for rule in self.rules if rule.declared]
        package = self.sized.declared
        found = list(asked((rule for rule in rules if isinstance(rule, PackageRule)), package, self.target, None))
        for name, function in package.functions.items():
            of_functions = (rule for rule in rules if isinstance(rule, FunctionRule))
            found += asked(of_functions, function, self.target, name)
        return found

    def _findings(self, held: Sequence[HeldAt]) -> list[Finding]:
        findings = [self._finding(each) for each in held if self.choice.shows(each.seen.rule)]
        self.hidden = len(held) - len(findings)
        return sorted(
            findings, key=lambda each: (each.severity.rank, each.rule.code, each.function or "", each.index or 0)
        )

    def _codes(self, held: Sequence[HeldAt]) -> Mapping[tuple[str | None, int | None], list[str]]:
        """The codes of the findings that are shown, by function and position of the ops that they are about."""
        codes: dict[tuple[str | None, int | None], list[str]] = defaultdict(list)
        shown = [each.seen for each in held if self.choice.shows(each.seen.rule)]
        for seen in sorted(shown, key=lambda each: (self.choice.severity(each.rule).rank, each.rule.code)):
            for index in seen.ops if seen.function is not None else ():
                op = self.graph.functions[seen.function or ""].by_index[index]
                codes[seen.function, op.position].append(seen.rule.code)
        return codes

    def _finding(self, held: HeldAt) -> Finding:
        rule, message, function, index = held.seen.rule, held.seen.message, held.seen.function, held.seen.index
        severity = self.choice.severity(rule)
        if index is None or function is None:
            return Finding(rule, severity, message, function, sizes=held.sizes)
        op = self.graph.functions[function].by_index[index]
        where = self.places.get(function, {}).get(op.name)
        if where is not None and where.fp32 and rule.code in IN_FP32 and rule.code not in self.choice.severities:
            severity = max(severity, Severity.WARNING, key=lambda each: each.rank)
            message = f"{message}, as `quantize` of the spec asks"
        return Finding(rule, severity, message, function, op.name, op.type, op.position, where, held.sizes)

    def _function(
        self, judged: Sequence[Judgement], codes: Mapping[tuple[str | None, int | None], list[str]]
    ) -> FunctionReport:
        placement = judged[0].placement
        assert placement is not None
        function = placement.function
        sizes = tuple(each.row for each in judged if each.row is not None)
        return FunctionReport(
            function.name,
            tuple(self._rows(placement, codes)),
            tuple(placement.segments),
            shares_of(placement),
            placement.time,
            placement.cpu_time,
            measure(function),
            len(function.constants) + len(function.constexprs),
            tuple(map(str, function.inputs)),
            tuple(map(str, function.outputs)),
            tuple(map(str, function.states)),
            sizes,
            len(self.sized.sizes[function.name]) - len(sizes),
            open_ops(function),
            engine_numbers(placement, self.target),
            compile_cost(placement, self.target),
            placement.int8_time if self.target.family.int8_compute else None,
        )

    def _rows(self, placement: Placement, codes: Mapping[tuple[str | None, int | None], list[str]]) -> Iterator[OpRow]:
        function = placement.function
        segment_of = [index for index, segment in enumerate(placement.segments) for _ in range(segment.size)]
        places = self.places.get(function.name, {})
        for op, eligible, cost, predicted in zip(
            function.ops, placement.eligible, placement.costs, placement.predicted, strict=True
        ):
            index = op.position
            found = tuple(dict.fromkeys(codes.get((function.name, index), ())))
            made_by = tuple(dict.fromkeys(each.position for each in op.producers()))
            yield OpRow(
                op.name, op.type, str(op.result or ""), eligible, predicted, segment_of[index],
                cost.ane, cost.cpu, cost.flops, made_by, found,
                tuple(each.name for each in op.results),
                sum(tensor_bytes(each.type) for each in op.results),
                sum(padded_bytes(each.type) for each in op.results),
                places.get(op.name),
            )  # fmt: skip


def _without(package: Package, absent: AbsentFile) -> str:
    """What a report says of a weight file that isn't there."""
    name = absent.path.relative_to(package.path) if absent.path.is_relative_to(package.path) else absent.path
    return (
        f"weight file {name}: {absent.what}. Sizes are from shapes alone, and no rule has looked at its values; "
        f"{absent.hint}"
    )
