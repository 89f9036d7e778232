"""A function judged at one size: what every rule says of it, its placement, and its figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from mctc.linter.coreml.graph import FunctionGraph, Op, as_tensor
from mctc.linter.coreml.memory import measure
from mctc.linter.coreml.operations import multiply_accumulates
from mctc.linter.coreml.placement import Placement, Predicted, place
from mctc.linter.coreml.report import SizeRow
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, MisfitRule, OpRule, PlacementRule, Rule
from mctc.linter.coreml.sized import AtSize
from mctc.linter.coreml.target import Target
from mctc.records import dataclass


@dataclass(frozen=True)
class Seen:
    """What a rule says at one size. index: that of the operation it is about; also: of others that it is about.
    covered: whether another rule names the cause already."""

    rule: Rule
    message: str
    function: str | None
    index: int | None
    also: tuple[int, ...] = ()
    covered: bool = False

    @classmethod
    def of(cls, rule: Rule, hit: Hit, function: str | None = None) -> Seen:
        if hit.op is not None:
            also = tuple(op.operation.index for op in hit.also)
            return cls(rule, hit.message, hit.op.function.name, hit.op.operation.index, also)
        return cls(rule, hit.message, function or hit.function, None)

    @property
    def ops(self) -> tuple[int, ...]:
        """The indices of all operations that it is about."""
        return () if self.index is None else (self.index, *self.also)


@dataclass(frozen=True)
class Judgement:
    """seen: what the rules of ops, functions and placement say. placement: None once it isn't needed any more."""

    seen: Sequence[Seen]
    placement: Placement | None
    row: SizeRow | None


class Judge:
    """Asks the rules about functions for one target. general: what was said of the whole package already."""

    def __init__(self, rules: Iterable[Rule], target: Target) -> None:
        self.rules = [rule for rule in rules if not rule.declared]
        self.target = target
        self.general: list[Seen] = []

    def judge(self, graph: FunctionGraph, at: AtSize) -> Judgement:
        """What is said of a function at a size."""
        seen = list(self.ask(MisfitRule, graph, graph.name)) if graph.misfit is not None else []
        if graph.misfit is None or at.size is None or graph.package.functions[graph.name] is graph:
            seen += self._of_ops(graph)
            seen += self.ask(FunctionRule, graph, graph.name)
            seen = _marked(seen)
        placement = place(graph, self._effects(graph, seen), doubt=self.target.device.doubt)
        if graph.misfit is None:
            seen += self.ask(PlacementRule, placement, graph.name)
        return Judgement(seen, placement, _row(placement, at))

    def ask(self, kind: type[Rule], subject: object, function: str | None = None) -> Iterator[Seen]:
        """What the rules of a kind say."""
        return asked((rule for rule in self.rules if isinstance(rule, kind)), subject, self.target, function)

    def _of_ops(self, graph: FunctionGraph) -> Iterator[Seen]:
        rules = [rule for rule in self.rules if isinstance(rule, OpRule)]
        general = [(rule, rule.find) for rule in rules if not rule.ops]
        of_type = {
            type_: [*((rule, rule.find) for rule in rules if type_ in rule.ops), *general]
            for type_ in {op.type for op in graph.ops}
        }
        for op in graph.ops:
            for rule, find in of_type[op.type]:
                message = find(op, self.target)
                if message is not None:
                    yield Seen(rule, message, graph.name, op.operation.index)

    def _effects(self, graph: FunctionGraph, seen: Sequence[Seen]) -> dict[Op, Effect]:
        """The worst effect on every op of a function; a finding about no op is about all of them."""
        worst: dict[Op, Effect] = {}
        for each in (*self.general, *seen):
            if each.rule.effect is Effect.STAYS or each.function not in (None, graph.name):
                continue
            for op in [graph.by_index[index] for index in each.ops] if each.ops else graph.ops:
                if worst.get(op) is not Effect.OFF:
                    worst[op] = each.rule.effect
        return worst


def _marked(seen: Sequence[Seen]) -> list[Seen]:
    """What names a cause that another rule names already, for all ops that it is about, is marked so."""
    covering: dict[int, list[Rule]] = {}
    for each in seen:
        for index in each.ops if each.rule.covers else ():
            covering.setdefault(index, []).append(each.rule)
    return [replace(each, covered=True) if _is_covered(each, covering) else each for each in seen]


def _is_covered(seen: Seen, covering: Mapping[int, Sequence[Rule]]) -> bool:
    """Whether other rules cover all ops that it is about."""
    return bool(seen.ops) and all(
        any(rule is not seen.rule and seen.rule.code.startswith(rule.covers) for rule in covering.get(index, ()))
        for index in seen.ops
    )


def asked(rules: Iterable[Rule], subject: object, target: Target, function: str | None) -> Iterator[Seen]:
    """What rules say of a subject of theirs; `function` is the one they speak of where they name none."""
    for rule in rules:
        for hit in rule.find(subject, target):  # type: ignore[attr-defined]
            yield Seen.of(rule, hit, function)


def _row(placement: Placement, at: AtSize) -> SizeRow | None:
    """The figures of a size; None for a function that has one size only."""
    graph = placement.function
    if at.size is None:
        return None
    memory = measure(graph)
    return SizeRow(
        shapes=dict(at.size.shapes),
        roles=at.size.roles,
        outputs=tuple(map(str, graph.outputs)),
        shares=shares_of(placement),
        counts=counts_of(placement),
        time=placement.time,
        cpu_time=placement.cpu_time,
        macs=multiply_accumulates(graph.ops),
        memory=memory.bytes,
        padded=memory.padded,
        peak=memory.peak,
        open=open_ops(graph),
        misfit=None if graph.misfit is None else f"{graph.misfit.op}: {graph.misfit.reason}",
    )


def shares_of(placement: Placement) -> Mapping[Predicted, float]:
    return {where: placement.share(where) for where in Predicted}


def counts_of(placement: Placement) -> Mapping[Predicted, int]:
    return {where: sum(each is where for each in placement.predicted) for where in Predicted}


def open_ops(graph: FunctionGraph) -> int:
    """How many ops have a result with an extent that isn't known: it counts as one."""
    types = (as_tensor(op.results[0].type) if op.results else None for op in graph.ops)
    return sum(type_ is not None and (type_.shape is None or None in type_.shape) for type_ in types)
