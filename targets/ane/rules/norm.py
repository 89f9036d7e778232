"""Normalisation and softmax."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.norm import LayerNorm, Softmax
from mctc.targets.ane.function import FunctionEmitter, Operand

RULES = Rules[FunctionEmitter, None]()


@RULES.of(LayerNorm)
def _layer_norm(op: LayerNorm, e: FunctionEmitter) -> None:
    inputs: dict[str, Operand] = {"x": op.x, "axes": [channel_axis(op.x.type)]}
    if op.weight is not None:
        inputs["gamma"] = op.weight
    if op.bias is not None:
        inputs["beta"] = op.bias
    inputs["epsilon"] = op.epsilon
    e.emit(op, "layer_norm", inputs)


@RULES.of(Softmax)
def _softmax(op: Softmax, e: FunctionEmitter) -> None:
    e.emit(op, "softmax", {"x": op.x, "axis": op.position})
