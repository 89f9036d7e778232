"""Vocabularies padded to a multiple of 64 entries, none of which can win."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mctc.diagnostics.diagnostic import LocatedError
from mctc.ir.location import Location
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Cast, Scale
from mctc.ir.ops.linear import Embedding, Linear, channel_axis
from mctc.ir.ops.norm import LogSoftmax, Softmax
from mctc.ir.ops.shape import Pad
from mctc.ir.program import Function, Op, Program, Value, VocabularyMap
from mctc.ir.types import Role
from mctc.rewrite.base import Context, Pass, Reshapes
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Pattern, Rule, first_of
from mctc.rewrite.rewriter import Rewriter, drop_dead

MULTIPLE = 64
NEVER = -1e4
"""The logit of a padded entry: finite in fp16, and exp of its distance to any real logit is 0."""

FP16_MAX = 65504.0


class VocabularyError(LocatedError):
    """A vocabulary that cannot be padded; names the op in the way."""

    def __init__(self, message: str, location: Location | None, *, hint: str) -> None:
        super().__init__("MCT0204", message, location, hint=hint)


class PadVocabulary(Pass):
    """Pads output classes and embedding tables to a multiple of 64 (64 bytes and more: ANE-LY-002, ANE-LY-007).

    The layer that makes the classes gets zero rows and a bias of -1e4 for the padded entries, so they can never win;
    tables get zero rows that no token id reaches.
    """

    name = "pad-vocabulary"
    promise = Reshapes()
    after = ("fold-constants",)

    def run(self, program: Program, context: Context) -> Program:
        new = replace(program, functions={}, parameters=dict(program.parameters))
        maps = list(program.vocabularies)
        for name, function in program.functions.items():
            plan = _Plan(function)
            new.functions[name] = Rewriter(new, function, self.name).rebuild(plan.rule())
            maps += plan.maps
            for each in plan.maps:
                context.explain(
                    self.name, f"{name}.{each.result}", f"{each.valid} classes padded to {each.padded}; entries from "
                    f"{each.valid} on have logit {NEVER:g}"
                )  # fmt: skip
        new.vocabularies = tuple(maps)
        return fold_parameters(drop_dead(new), self.name)


class _Plan:
    """Which layers of one function to pad, found by walking back from its results."""

    def __init__(self, function: Function) -> None:
        self.function, self.uses = function, function.uses()
        self.producers: dict[Op, int] = {}
        self.padded: set[Value] = set()
        self.maps: list[VocabularyMap] = []
        for name, value in function.results:
            at = value.type.find(Role.VOCABULARY)
            if at is not None and value.type.roles[at] is Role.VOCABULARY:
                self._result(name, value, value.type.extents[at].value)
        for value in self.padded:
            self._check(value)

    def _result(self, name: str, value: Value, valid: int) -> None:
        padded = -(-valid // MULTIPLE) * MULTIPLE
        if valid in (1, padded):  # an axis of 1 is a vocabulary that was reduced
            return
        self.maps.append(VocabularyMap(self.function.name, name, valid, padded))
        while True:
            self.padded.add(value)
            op = value.owner
            if isinstance(op, Linear) or (isinstance(op, Conv2d) and op.groups == 1):
                self.producers[op] = padded
                return
            through = None if op is None else _through(op)
            if op is None or through is None:
                what = f"is made by {op.name} at {_place(op, self.function)}" if op else "is an input"
                raise VocabularyError(
                    f"the classes of result {name} of {self.function.name} cannot be padded: the value {what}",
                    (op or self.function).origin.location,
                    hint="let a linear layer make the classes, with at most softmax or log_softmax after it; "
                    "or declare an axis of no classes by a plain number",
                )
            value = through

    def _check(self, value: Value) -> None:
        for user in self.uses.get(value, ()):
            if user.result not in self.padded:
                raise VocabularyError(
                    f"the classes of {self.function.name} cannot be padded: {user.name} at "
                    f"{_place(user, self.function)} reads them too",
                    user.origin.location,
                    hint="return them from the component without further arithmetic, or declare their axis by a plain "
                    "number: it is no vocabulary then",
                )

    def rule(self) -> Rule:
        return first_of(Pattern(Conv2d, self._layer), Pattern(Linear, self._layer), Pattern(Embedding, _padded_table))

    def _layer(self, op: Conv2d | Linear, to: Rewriter) -> Value | None:
        return _padded_layer(op, to, self.producers[op]) if op in self.producers else None


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
