"""Reductions along one axis, which is kept."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.ir.ops.reduce import Reduce
from mctc.targets.onnx.graph import GraphEmitter, Result

KINDS = {
    "reduce_sum": "ReduceSum",
    "reduce_mean": "ReduceMean",
    "reduce_max": "ReduceMax",
    "reduce_min": "ReduceMin",
}


def _reduce(op: Reduce, e: GraphEmitter) -> str:
    return e.node(KINDS[op.name], e.ref(op.x), e.ints([op.position]), keepdims=1)


RULES = Rules[GraphEmitter, Result](dict.fromkeys(KINDS, _reduce))
