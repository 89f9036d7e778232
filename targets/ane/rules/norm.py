"""Normalisation and softmax."""

from __future__ import annotations

from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.norm import LayerNorm, Softmax
from mctc.targets.ane.function import FunctionEmitter, Operand, Rule


def _layer_norm(op: LayerNorm, e: FunctionEmitter) -> None:
    weight, bias = op.weight, op.bias
    inputs: dict[str, Operand] = {"x": op.x, "axes": [channel_axis(op.x.type)]}
    if weight is not None:
        inputs["gamma"] = weight
    if bias is not None:
        inputs["beta"] = bias
    inputs["epsilon"] = op.epsilon
    e.emit(op, "layer_norm", inputs)


def _softmax(op: Softmax, e: FunctionEmitter) -> None:
    e.emit(op, "softmax", {"x": op.x, "axis": op.position})


RULES: dict[str, Rule] = {"layer_norm": _layer_norm, "softmax": _softmax}
