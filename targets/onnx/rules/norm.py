"""Normalisation and softmax."""

from __future__ import annotations

import numpy as np

from mctc.emit.rules import Rules
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.norm import BatchNorm, ChannelNorm, LayerNorm, LogSoftmax, RmsNorm, Softmax
from mctc.ir.program import Value
from mctc.targets.onnx.graph import GraphEmitter, Result
from mctc.targets.onnx.rules.axes import inverse, order_to

RULES = Rules[GraphEmitter, Result]()


def _vector(op: ChannelNorm, e: GraphEmitter, value: Value | None, otherwise: float) -> str:
    """A vector over the channels; one of a constant where there is none."""
    if value is not None:
        return e.ref(value)
    return e.constant(np.full(op.result.type.extents[channel_axis(op.x.type)].value, otherwise, np.float32))


@RULES.of(LayerNorm)
def _layer_norm(op: LayerNorm, e: GraphEmitter) -> str:
    return _last(op, e, "LayerNormalization", [_vector(op, e, op.weight, 1), e.optional(op.bias)])


@RULES.of(RmsNorm)
def _rms_norm(op: RmsNorm, e: GraphEmitter) -> str:
    return _last(op, e, "RMSNormalization", [_vector(op, e, op.weight, 1)])


def _last(op: ChannelNorm, e: GraphEmitter, kind: str, vectors: list[str]) -> str:
    """A normalisation over the last axis, which the channels are moved to."""
    order = order_to(op.result.type.rank, [channel_axis(op.x.type)], [-1])
    inputs = [e.transposed(e.ref(op.x), order), *(name for name in vectors if name)]
    return e.transposed(e.node(kind, *inputs, axis=-1, epsilon=op.epsilon), inverse(order))


@RULES.of(BatchNorm)
def _batch_norm(op: BatchNorm, e: GraphEmitter) -> str:
    rank = op.result.type.rank
    order = order_to(rank, [channel_axis(op.x.type)], [min(1, rank - 1)])
    name = e.transposed(e.ref(op.x), order)
    name = e.node("Unsqueeze", name, e.ints([0])) if rank == 1 else name
    inputs = [name, _vector(op, e, op.weight, 1), _vector(op, e, op.bias, 0), e.ref(op.mean), e.ref(op.variance)]
    y = e.node("BatchNormalization", *inputs, epsilon=op.epsilon)
    y = e.node("Squeeze", y, e.ints([0])) if rank == 1 else y
    return e.transposed(y, inverse(order))


@RULES.of(Softmax)
def _softmax(op: Softmax, e: GraphEmitter) -> str:
    return e.node("Softmax", e.ref(op.x), axis=op.position)


@RULES.of(LogSoftmax)
def _log_softmax(op: LogSoftmax, e: GraphEmitter) -> str:
    return e.node("LogSoftmax", e.ref(op.x), axis=op.position)
