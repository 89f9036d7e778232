"""Normalisation and softmax."""

from __future__ import annotations

from mctc.ir.ops.linear import channel_axis
from mctc.ir.program import Op
from mctc.targets.ane.function import FunctionEmitter, Operand, Rule


def _layer_norm(op: Op, e: FunctionEmitter) -> None:
    x, weight, bias = op.operands
    assert x is not None
    inputs: dict[str, Operand] = {"x": x, "axes": [channel_axis(op.signature, "x")]}
    if weight is not None:
        inputs["gamma"] = weight
    if bias is not None:
        inputs["beta"] = bias
    inputs["epsilon"] = op.signature.float("epsilon")
    e.emit(op, "layer_norm", inputs)


def _softmax(op: Op, e: FunctionEmitter) -> None:
    x = op.operands[0]
    assert x is not None
    e.emit(op, "softmax", {"x": x, "axis": op.signature.axis("x")})


RULES: dict[str, Rule] = {"layer_norm": _layer_norm, "softmax": _softmax}
