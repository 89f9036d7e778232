"""Inputs of true and false, and whole numbers that are cast, as numbers of the model's float type."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mctc.ir.domain import MASK, Domain
from mctc.ir.ops.elementwise import Cast
from mctc.ir.ops.leaf import Constant
from mctc.ir.program import Function, Program, Value
from mctc.ir.types import DType, TensorType
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.pattern import Pattern, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite_functions

LARGEST_EXACT = 2048  # whole numbers up to 2**11 are exact in fp16
FED_MARKS = "takes true as 1 and false as 0, in the model's float type: Core ML has no inputs of true and false"
FED_NUMBERS = "takes whole numbers in the model's float type, which holds them exactly: they are only cast to it"


class NumberInputs(Pass):
    """Takes true and false as 1 and 0, and whole numbers that are only cast, in the model's float type.

    Core ML has no bool inputs, outputs or states, and a cast from int32 leaves the Neural Engine (ANE-DT-005). What is
    bool becomes 1 and 0; an int32 input becomes a float where all that is done with it is a cast, and fp16 holds all
    that it may be. The inputs keep their names and shapes.
    """

    name = "number-inputs"
    promise = Exact()
    stage = "deploy"
    before = ("lower-embedding", "lower-rnn", "lower-attention", "lower-selective-scan", "legalise", "pack-states")

    def run(self, program: Program, context: Context) -> Program:
        return rewrite_functions(program, lambda new, function: _Numbers(new, function, self.name, context).made())


class _Numbers(Rewriter):
    """Rebuilds a function without bool tensors but between two casts."""

    def made(self) -> Function:
        function, domains = self.function, dict(self.function.domains)
        for value in function.inputs:
            told = self._told(value)
            if told is not None:
                self.context.explain(self.by, f"{function.name}.{value.name}", told)
                self.bind(value, Value(value.type.with_dtype(DType.F32), value.name))
                domains |= self._domain(value)
        rule = first_of(Pattern(Constant, self._constant), Pattern(Cast, self._cast))
        rebuilt = self.rebuild(rule, _without_bool)
        return replace(rebuilt, domains=domains)

    def _told(self, value: Value) -> str | None:
        """What is said of an input that becomes a float; None of one that stays."""
        if value.type.dtype is DType.BOOL:
            return FED_MARKS
        domain, users = self.function.domain(value), self.uses.get(value, [])
        cast = users and value not in self.kept and all(isinstance(op, Cast) and op.dtype is DType.F32 for op in users)
        exact = value.type.dtype is DType.I32 and -LARGEST_EXACT <= domain.least <= domain.greatest <= LARGEST_EXACT
        return FED_NUMBERS if cast and exact else None

    def _domain(self, value: Value) -> dict[str, Domain]:
        """What the float may be. Those with a bound are whole numbers by their type."""
        if value.type.dtype is DType.BOOL:
            return {value.name: MASK}
        stated = self.function.domains.get(value.name)
        return {} if stated is None else {value.name: replace(stated, whole=value.type.bound is not None)}

    def _constant(self, op: Constant, _: Rewriter) -> Value | None:
        if op.result.type.dtype is not DType.BOOL:
            return None
        return self.constant(np.asarray(op.value, np.float32), op.roles)

    def _cast(self, op: Cast, _: Rewriter) -> Value | None:
        x = self[op.x]
        if op.dtype is DType.BOOL and op.x.type.dtype is not DType.BOOL:
            return self.op(Cast, self.op(Cast, x, dtype=DType.BOOL.value), dtype=DType.F32.value)
        if op.dtype is DType.BOOL:
            return x
        return x if x.type.dtype.is_float and op.dtype.is_float else None


def _without_bool(type_: TensorType) -> TensorType:
    return type_.with_dtype(DType.F32) if type_.dtype is DType.BOOL else type_
