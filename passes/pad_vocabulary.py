"""Vocabularies padded to a multiple of 64 entries, none of which can win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mctc.diagnostics.diagnostic import Diagnostic, Severity, diagnostic_at
from mctc.ir.location import Location
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Cast, Scale
from mctc.ir.ops.linear import Embedding, Linear, channel_axis
from mctc.ir.ops.norm import LogSoftmax, Softmax
from mctc.ir.ops.shape import Pad
from mctc.ir.program import Function, Op, Program, Value, VocabularyMap
from mctc.ir.types import Role
from mctc.records import dataclass
from mctc.rewrite.base import Context, Pass, Reshapes
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Pattern, Rule, first_of
from mctc.rewrite.rewriter import Rewriter, drop_dead

MULTIPLE = 64
NEVER = -1e4
"""The logit of a padded entry: finite in fp16, and exp of its distance to any real logit is 0."""

FP16_MAX = 65504.0


CODE = "MCT0204"
HINT = (
    "let a linear layer make the classes, with at most softmax or log_softmax behind it, and return them without "
    "further arithmetic; or declare an axis of no classes by a plain number"
)


class PadVocabulary(Pass):
    """Pads output classes and embedding tables to a multiple of 64 (64 bytes and more: ANE-LY-002, ANE-LY-007).

    The layer that makes the classes gets zero rows and a bias of -1e4 for the padded entries, so they can never win;
    tables get zero rows that no token id reaches. Classes that something else reads, or that no linear layer makes,
    stay as many as they are: a warning.
    """

    name = "pad-vocabulary"
    promise = Reshapes()
    after = ("fold-constants",)

    def run(self, program: Program, context: Context) -> Program:
        new = replace(program, functions={}, parameters=dict(program.parameters))
        maps = list(program.vocabularies)
        for name, function in program.functions.items():
            plan = _Plan(function)
            for why in plan.refused:
                context.warn(why)
            new.functions[name] = Rewriter(new, function, self.name).rebuild(plan.rule())
            maps += plan.maps
            for each in plan.maps:
                context.explain(
                    self.name, f"{name}.{each.result}", f"{each.valid} classes padded to {each.padded}; entries from "
                    f"{each.valid} on have logit {NEVER:g}"
                )  # fmt: skip
        new.vocabularies = tuple(maps)
        return fold_parameters(drop_dead(new), self.name)


@dataclass(frozen=True)
class _Classes:
    """The classes of a result: the values from the result back to that of the layer that makes them."""

    result: str
    valid: int
    values: tuple[Value, ...]

    @property
    def layer(self) -> Op:
        owner = self.values[-1].owner
        assert owner is not None, "a layer makes them"
        return owner


class _Plan:
    """Which layers of one function to pad, found by walking back from its results."""

    def __init__(self, function: Function) -> None:
        self.function, self.refused = function, list[Diagnostic]()
        found = [classes for name, value in function.results if (classes := self._classes(name, value)) is not None]
        while (at_fault := self._read_elsewhere(found)) is not None:
            found = [classes for classes in found if at_fault not in classes.values]
        self.maps = [VocabularyMap(function.name, each.result, each.valid, _padded(each.valid)) for each in found]
        self.producers = {each.layer: _padded(each.valid) for each in found}

    def _classes(self, name: str, value: Value) -> _Classes | None:
        """The classes of a result to pad; None where it has none, or can't be."""
        at = value.type.find(Role.VOCABULARY)
        if at is None or value.type.roles[at] is not Role.VOCABULARY:
            return None
        valid, values = value.type.extents[at].value, [value]
        if valid in (1, _padded(valid)):  # an axis of 1 is a vocabulary that was reduced
            return None
        while True:
            op = values[-1].owner
            if isinstance(op, Linear) or (isinstance(op, Conv2d) and op.groups == 1):
                return _Classes(name, valid, tuple(values))
            through = None if op is None else _through(op)
            if op is None or through is None:
                what = f"is made by {op.name} at {_place(op, self.function)}" if op else "is an input"
                told = f"the classes of result {name} of {self.function.name} are not padded: the value {what}"
                self._refuse(told, (op or self.function).origin.location)
                return None
            values.append(through)

    def _read_elsewhere(self, found: Sequence[_Classes]) -> Value | None:
        """A value that would be padded and that an op reads whose result would not be."""
        padded = {value for classes in found for value in classes.values}
        for value, users in self.function.uses().items():
            for user in users:
                if value in padded and user.result not in padded:
                    told = f"the classes of {self.function.name} are not padded: {user.name} at "
                    told += f"{_place(user, self.function)} reads them too"
                    self._refuse(told, user.origin.location)
                    return value
        return None

    def _refuse(self, told: str, place: Location | None) -> None:
        self.refused.append(diagnostic_at(place, CODE, told, hint=HINT, severity=Severity.WARNING))

    def rule(self) -> Rule:
        return first_of(Pattern(Conv2d, self._layer), Pattern(Linear, self._layer), Pattern(Embedding, _padded_table))

    def _layer(self, op: Conv2d | Linear, to: Rewriter) -> Value | None:
        return _padded_layer(op, to, self.producers[op]) if op in self.producers else None


def _padded(valid: int) -> int:
    return -(-valid // MULTIPLE) * MULTIPLE


def _place(op: Op, function: Function) -> str:
    return str(op.origin.location or op.origin.path or function.name)


def _through(op: Op) -> Value | None:
    """The operand of an op that classes can be padded behind."""
    match op:
        case Softmax() | LogSoftmax():
            return op.x if op.position == channel_axis(op.x.type) else None
        case Scale():
            return op.x if _still_last(op) else None
        case Cast():
            return op.x
    return None


def _still_last(op: Scale) -> bool:
    """Whether `scale` keeps the padded entries below all others, and finite in fp16."""
    return op.factor >= 1e-2 and abs(NEVER * op.factor + op.offset) <= FP16_MAX


def _padded_layer(op: Conv2d | Linear, to: Rewriter, padded: int) -> Value:
    weight, bias = to[op.weight], to.maybe(op.bias)
    valid = weight.type.shape[0]
    rows = to.op(Pad, weight, axis=0, after=padded - valid)
    if bias is None:
        values = np.concatenate([np.zeros(valid), np.full(padded - valid, NEVER)])
        wide = to.constant(values.astype(np.float32))
    else:
        wide = to.op(Pad, bias, axis=0, after=padded - valid, value=NEVER)
    to.note(f"{valid} classes padded to {padded}")
    return to.op(type(op), to[op.x], rows, wide, **op.attributes)


def _padded_table(op: Embedding, to: Rewriter) -> Value | None:
    table = to[op.table]
    entries = table.type.shape[0]
    if entries % MULTIPLE == 0:
        return None
    to.note(f"a table of {entries} rows padded to {-(-entries // MULTIPLE) * MULTIPLE}")
    rows = to.op(Pad, table, axis=0, after=-entries % MULTIPLE)
    return to.op(Embedding, to[op.token], rows, **op.attributes)
