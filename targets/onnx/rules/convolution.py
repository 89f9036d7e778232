"""Convolutions: ONNX's run over (batch, channel, ...spatial axes)."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.emit.rules import Rules
from mctc.ir.dims import Extent
from mctc.ir.ops.convolution import Conv1d, Conv2d, height_axis, width_axis
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.shape import product
from mctc.targets.onnx.graph import GraphEmitter, Result
from mctc.targets.onnx.rules.axes import arranged, inverse, order_to

RULES = Rules[GraphEmitter, Result]()


@RULES.of(Conv1d)
def _conv1d(op: Conv1d, e: GraphEmitter) -> str:
    x = op.x.type
    assert x.sequence is not None
    return _convolved(op, e, [channel_axis(x), x.sequence], op.pad, [op.stride], [op.dilation])


@RULES.of(Conv2d)
def _conv2d(op: Conv2d, e: GraphEmitter) -> str:
    x, (top, bottom), (left, right) = op.x.type, op.pad_feature, op.pad
    axes = [channel_axis(x), height_axis(x), width_axis(x)]
    return _convolved(op, e, axes, (top, left, bottom, right), op.stride, op.dilation)


def _convolved(
    op: Conv1d | Conv2d,
    e: GraphEmitter,
    axes: Sequence[int],
    pads: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> str:
    """Conv along `axes` (channel first); all others are its batch."""
    x, weight, bias = op.x, op.weight, op.bias
    order = order_to(x.type.rank, axes, range(-len(axes), 0))
    name, have = e.transposed(e.ref(x), order), arranged(x.type.extents, order)
    lead, spatial = have[: -len(axes)], have[-len(axes) :]
    name = e.reshaped(name, have, [product(lead), *spatial])
    inputs = [name, e.ref(weight), *([] if bias is None else [e.ref(bias)])]
    y = e.node("Conv", *inputs, group=op.groups, pads=pads, strides=strides, dilations=dilations)
    out: list[Extent] = arranged(op.result.type.extents, order)
    return e.transposed(e.reshaped(y, [product(lead), *out[-len(axes) :]], out), inverse(order))
