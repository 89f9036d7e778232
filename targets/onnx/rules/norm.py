"""Normalisation and softmax."""

from __future__ import annotations

import numpy as np

from mctc.ir.ops.linear import channel_axis
from mctc.ir.program import Op, Value
from mctc.targets.onnx.graph import GraphEmitter, Rule
from mctc.targets.onnx.rules.axes import inverse, order_to


def _vector(op: Op, e: GraphEmitter, value: Value | None, otherwise: float) -> str:
    """A vector over the channels; one of a constant where there is none."""
    if value is not None:
        return e.ref(value)
    return e.constant(np.full(op.result.type.extents[channel_axis(op.signature, "x")].value, otherwise, np.float32))


def _layer_norm(op: Op, e: GraphEmitter) -> str:
    return _last(op, e, "LayerNormalization", [_vector(op, e, op.operands[1], 1), e.ref(op.operands[2])])


def _rms_norm(op: Op, e: GraphEmitter) -> str:
    return _last(op, e, "RMSNormalization", [_vector(op, e, op.operands[1], 1)])


def _last(op: Op, e: GraphEmitter, kind: str, vectors: list[str]) -> str:
    """A normalisation over the last axis, which the channels are moved to."""
    order = order_to(op.result.type.rank, [channel_axis(op.signature, "x")], [-1])
    inputs = [e.transposed(e.ref(op.operands[0]), order), *(name for name in vectors if name)]
    return e.transposed(e.node(kind, *inputs, axis=-1, epsilon=op.signature.float("epsilon")), inverse(order))


def _batch_norm(op: Op, e: GraphEmitter) -> str:
    x, mean, variance, weight, bias = op.operands
    rank = op.result.type.rank
    order = order_to(rank, [channel_axis(op.signature, "x")], [min(1, rank - 1)])
    name = e.transposed(e.ref(x), order)
    name = e.node("Unsqueeze", name, e.ints([0])) if rank == 1 else name
    inputs = [name, _vector(op, e, weight, 1), _vector(op, e, bias, 0), e.ref(mean), e.ref(variance)]
    y = e.node("BatchNormalization", *inputs, epsilon=op.signature.float("epsilon"))
    y = e.node("Squeeze", y, e.ints([0])) if rank == 1 else y
    return e.transposed(y, inverse(order))


def _softmax(kind: str) -> Rule:
    return lambda op, e: e.node(kind, e.ref(op.operands[0]), axis=op.signature.axis("x"))


RULES: dict[str, Rule] = {
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "batch_norm": _batch_norm,
    "softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
}
