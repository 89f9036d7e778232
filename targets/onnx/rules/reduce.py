"""Reductions along one axis, which is kept."""

from __future__ import annotations

from mctc.targets.onnx.graph import Rule

KINDS = {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin"}


def _reduce(kind: str) -> Rule:
    return lambda op, e: e.node(kind, e.ref(op.operands[0]), e.ints([op.signature.axis("x")]), keepdims=1)


RULES: dict[str, Rule] = {f"reduce_{name}": _reduce(kind) for name, kind in KINDS.items()}
