"""Reductions along one axis, which is kept. MIL calls them as the IR does."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.ir.ops.reduce import Reduce, ReduceMax, ReduceMean, ReduceMin, ReduceSum
from mctc.targets.ane.function import FunctionEmitter

RULES = Rules[FunctionEmitter, None]()


@RULES.of(ReduceSum, ReduceMean, ReduceMax, ReduceMin)
def reduce(op: Reduce, e: FunctionEmitter) -> None:
    e.emit(op, op.name, {"x": op.x, "axes": [op.position], "keep_dims": True})
