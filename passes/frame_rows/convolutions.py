"""Convolutions over frames that lie first, [1, T, 1, C]."""

from __future__ import annotations

import numpy as np

from mctc.ir.build import Builder
from mctc.ir.op import Array
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Add, Mul
from mctc.ir.ops.linear import MatMul
from mctc.ir.ops.quantize import FakeQuantize
from mctc.ir.ops.shape import Concat, Reshape, Transpose
from mctc.ir.program import Value
from mctc.passes.frame_rows.layout import turned_type

TALLEST = 14
"""Frames of a kernel along them, so that with its bias it is no taller than the 15 that every engine takes."""


def is_pointwise(op: Conv2d) -> bool:
    """Whether it is a matrix for each frame alone, over numbers that are held in no 8 bits."""
    moves = (*op.stride, *op.dilation, *op.pad, *op.pad_feature, op.groups) != (1, 1, 1, 1, 0, 0, 0, 0, 1)
    return op.weight.type.shape[2:] == (1, 1) and not moves and not isinstance(op.x.owner, FakeQuantize)


def is_along_frames(op: Conv2d) -> bool:
    """Whether each channel has a kernel of its own along the frames."""
    channels, into, rows, frames = op.weight.type.shape
    return op.groups == channels and into == rows == 1 and frames <= TALLEST and op.pad_feature == (0, 0)


def pointwise(b: Builder, x: Value, weight: Value, bias: Value | None) -> Value:
    """A product with the weights [O, I, 1, 1], in each row; and the bias."""
    kernel = weight.type
    y = b.op(MatMul, x, b.reshaped(weight, kernel.with_axes(kernel.axes[:2])), transpose_right=True)
    return y if bias is None else b.op(Add, y, _row(b, bias))


def along_frames(b: Builder, op: Conv2d, longer: Value, weight: Value, bias: Value | None) -> Value:
    """The product of every frame with every tap of its channel, then one sum of a constant 0/1 matrix for all frames.

    longer: x with one more frame of ones, whose product with the bias is added to every frame.
    """
    channels, _, _, taps = weight.type.shape
    kernel = b.op(Transpose, b.op(Reshape, weight, axes=(("plain", channels), ("plain", taps))), order=(1, 0))
    if bias is not None:
        kernel = b.op(Concat, kernel, b.op(Reshape, bias, axes=(("plain", 1), ("plain", channels))), axis=0)
    rows = taps + (bias is not None)
    kernel = b.op(Reshape, kernel, axes=(("unit", 1), ("unit", 1), ("feature", rows), ("channel", channels)))
    products = b.op(Mul, longer, kernel)
    frames = longer.type.shape[1]
    stacked = b.op(Reshape, products, axes=(("batch", 1), ("channel", frames), ("feature", rows), ("time", channels)))
    y = b.op(Conv2d, stacked, b.constant(_sums(op, bias is not None)[..., None]))
    return b.reshaped(y, turned_type(op.result.type))


def with_ones(b: Builder, parts: list[Value]) -> Value:
    """Frames one after the other, and one of ones behind them."""
    type_ = parts[-1].type.with_extent(1, 1)
    ones = b.constant(np.ones(type_.shape, np.float32), [axis.role.value for axis in type_.axes])
    return b.op(Concat, *parts, ones, axis=1)


def _sums(op: Conv2d, biased: bool) -> Array:
    """[frames of the result, frames of x and of ones, taps and bias]: 1 for each product that a frame is the sum of."""
    taps, given, made = op.weight.type.shape[3], op.x.type.shape[3], op.result.type.shape[3]
    matrix = np.zeros((made, given + biased, taps + biased), np.float32)
    for frame in range(made):
        for tap in range(taps):
            at = frame * op.stride[1] - op.pad[0] + tap * op.dilation[1]
            if 0 <= at < given:
                matrix[frame, at, tap] = 1
    if biased:
        matrix[:, -1, -1] = 1
    return matrix


def _row(b: Builder, bias: Value) -> Value:
    axes = (("unit", 1), ("unit", 1), ("unit", 1), ("channel", bias.type.shape[0]))
    return b.op(Reshape, bias, axes=axes)
