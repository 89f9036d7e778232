"""Convolutions: over the sequence (conv1d) and over feature and sequence (conv2d)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.example import FEATURES, Example, X
from mctc.ir.fields import count, operand, optional_operand, pair
from mctc.ir.op import FLOATS, Array, InferenceError, Op, declare, sliding
from mctc.ir.ops.linear import channel_axis, check_bias, out_axis
from mctc.ir.time import POINTWISE, TimeBehaviour, Whole, Window
from mctc.ir.types import Role, TensorType


def strided_extent(extent: Extent, kernel: int, stride: int, dilation: int, left: int, right: int) -> Extent:
    """Frames that a convolution gives: floor((extent + left + right - span) / stride) + 1, exact for symbolic extents.

    For a symbolic extent T the result must be T/stride (T is then a multiple of the stride).
    """
    span = dilation * (kernel - 1) + 1
    slack = left + right - span + stride
    if extent.is_static:
        frames = (extent.value + slack) // stride
        if frames < 1:
            room = f"{extent} + {left + right} of padding"
            raise InferenceError(f"a kernel that spans {span} does not fit {room}", "x")
        return Extent.of(frames)
    if not 0 <= slack < stride:
        told = f"padding {left} + {right} with kernel span {span} and stride {stride}"
        hint = f"left + right must lie between {span - stride} and {span - 1}"
        raise InferenceError(f"{told} does not give {extent / stride} frames", "x", hint)
    return extent / stride


def convolve(x: Array, weight: Array, groups: int, stride: Sequence[int], dilation: Sequence[int]) -> Array:
    """Cross-correlation of padded x [N, C, H, W] with weight [O, C/groups, kh, kw]: [N, O, H', W']."""
    out, _, kh, kw = weight.shape
    if kh == kw == groups == 1 and tuple(stride) == (1, 1):  # each frame alone: nothing is copied
        n, c, h, w = x.shape
        flat: Array = np.matmul(weight.reshape(1, out, c), x.reshape(n, c, h * w))
        return flat.reshape(n, out, h, w)
    windows = sliding(sliding(x, 2, kh, stride[0], dilation[0]), 3, kw, stride[1], dilation[1])  # N C H' W' kh kw
    n, c, h, w = windows.shape[:4]
    columns = np.moveaxis(windows, (4, 5), (2, 3)).reshape(n, groups, c // groups * kh * kw, h * w)
    kernels = weight.reshape(groups, out // groups, c // groups * kh * kw)
    y: Array = np.matmul(kernels, columns)
    return y.reshape(n, out, h, w)


def _padded(x: Array, rows: Sequence[int], frames: Sequence[int]) -> Array:
    """x [N, C, H, W] with zeros around it, or itself where there are none to add."""
    return np.pad(x, ((0, 0), (0, 0), rows, frames)) if any((*rows, *frames)) else x


def _with_bias(y: Array, bias: Array | None) -> Array:
    """y [N, O, H, W], an array of nobody else's, and a number for each of its channels; in place where that can be."""
    if bias is None:
        return y
    column = bias[:, None, None]
    return np.add(y, column, out=y) if y.dtype == np.result_type(y, column) else y + column


def _window(kernel: int, stride: int, dilation: int, pad: Sequence[int]) -> TimeBehaviour:
    if kernel == 1 and stride == 1:
        return POINTWISE
    right = dilation * (kernel - 1) - pad[0]
    return Window(pad[0], right, stride, ("x",), (("pad", (0, 0)),))


def _channels(x: TensorType, weight: TensorType, axis: int, groups: int) -> None:
    into, out, have = weight.extents[1], weight.extents[0], x.extents[axis]
    if into * groups != have:
        raise InferenceError(f"the weight takes {groups} x {into} channels, but x has {have}", "weight")
    if out.value % groups:
        raise InferenceError(f"{out} outputs do not divide into {groups} groups", "weight")


@declare
class Conv1d(Op):
    """Convolution along the sequence axis; weight [out, in/groups, kernel]; `pad` = zero frames (left, right)."""

    name = "conv1d"
    example = Example(
        {"x": X, "w": "f32[16, 8, 3]"}, ("conv1d(%x, %w, pad = [2, 0])", "conv1d(%x, %w, stride = 2, pad = [1, 1])")
    )
    x = operand()
    weight = operand()
    bias = optional_operand()
    takes = FLOATS
    matrices = {"weight": 0}
    stride = count(1)
    dilation = count(1)
    groups = count(1)
    pad = pair(0, (0, 0))

    def infer(self) -> Sequence[TensorType]:
        x, weight = self.x.type, self.weight.type
        channel, time = channel_axis(self.x.type), x.sequence
        if time is None:
            raise InferenceError(f"{x} has no time or label axis to convolve along", "x")
        if weight.rank != 3:
            raise InferenceError(f"the weight must be [out, in/groups, kernel], not {weight}", "weight")
        _channels(x, weight, channel, self.groups)
        check_bias(self.bias, weight.axes[0])
        left, right = self.pad
        frames = strided_extent(x.extents[time], weight.extents[2].value, self.stride, self.dilation, left, right)
        return (x.with_extent(time, frames).with_axis(channel, out_axis(weight.axes[0])),)

    def macs(self) -> int:
        """Every entry of the result is a sum over all but the weight's first axis."""
        return self.result.type.size * prod(self.weight.type.shape[1:])

    def reference(self, x: Array, weight: Array, bias: Array | None) -> Sequence[Array]:
        channel, time = channel_axis(self.x.type), self.x.type.sequence
        assert time is not None
        moved = np.moveaxis(x, (channel, time), (-2, -1))
        flat: Array = moved.reshape(-1, moved.shape[-2], 1, moved.shape[-1])
        flat = _padded(flat, (0, 0), self.pad)
        y = convolve(flat, weight[:, :, None], self.groups, (1, self.stride), (1, self.dilation))
        y = _with_bias(y, bias)[:, :, 0]
        y = y.reshape(*moved.shape[:-2], y.shape[-2], y.shape[-1])
        return (np.moveaxis(y, (-2, -1), (channel, time)),)

    def behaviour(self) -> TimeBehaviour:
        return _window(self.weight.type.extents[2].value, self.stride, self.dilation, self.pad)


def width_axis(x: TensorType) -> int:
    """The axis that a 2-d convolution runs along as time: the sequence, or the last axis of a laid-out type without."""
    if x.sequence is not None:
        return x.sequence
    if x.rank == 4 and x.roles[0] is Role.BATCH and x.roles[1].is_channel and x.roles[3] is Role.UNIT:
        return 3
    raise InferenceError(f"{x} has no time or label axis to convolve along", "x")


def height_axis(x: TensorType) -> int:
    """The axis that a 2-d convolution runs along besides the sequence: feature, else a unit or label axis."""
    used = {channel_axis(x), width_axis(x), x.find(Role.BATCH)}
    rest = [i for i in range(x.rank) if i not in used]
    if len(rest) != 1:
        raise InferenceError(f"{x} must have one axis besides batch, channel and time for a 2-d convolution", "x")
    return rest[0]


@declare
class Conv2d(Op):
    """Convolution along feature and sequence; weight [out, in/groups, kernel over feature, kernel over frames].

    `stride`, `dilation` = (feature, frames); `pad` = zero frames (left, right); `pad_feature` = (low, high).
    """

    name = "conv2d"
    example = Example(
        {"x": FEATURES, "w": "f32[16, 8, 3, 3]"},
        ("conv2d(%x, %w, stride = [2, 2], pad = [2, 0], pad_feature = [1, 1])",),
    )
    x = operand()
    weight = operand()
    bias = optional_operand()
    takes = FLOATS
    matrices = {"weight": 0}
    stride = pair(1, (1, 1))
    dilation = pair(1, (1, 1))
    groups = count(1)
    pad = pair(0, (0, 0))
    pad_feature = pair(0, (0, 0))

    def infer(self) -> Sequence[TensorType]:
        x, weight = self.x.type, self.weight.type
        channel, time, height = channel_axis(self.x.type), width_axis(self.x.type), height_axis(self.x.type)
        if weight.rank != 4:
            raise InferenceError(
                f"the weight must be [out, in/groups, feature kernel, frame kernel], not {weight}", "weight"
            )
        _channels(x, weight, channel, self.groups)
        check_bias(self.bias, weight.axes[0])
        (sh, st), (dh, dt) = self.stride, self.dilation
        rows = strided_extent(x.extents[height], weight.extents[2].value, sh, dh, *self.pad_feature)
        frames = strided_extent(x.extents[time], weight.extents[3].value, st, dt, *self.pad)
        y = x.with_extent(height, rows).with_extent(time, frames)
        return (y.with_axis(channel, out_axis(weight.axes[0])),)

    def macs(self) -> int:
        """Every entry of the result is a sum over all but the weight's first axis."""
        return self.result.type.size * prod(self.weight.type.shape[1:])

    def reference(self, x: Array, weight: Array, bias: Array | None) -> Sequence[Array]:
        order = (channel_axis(self.x.type), height_axis(self.x.type), width_axis(self.x.type))
        moved = np.moveaxis(x, order, (-3, -2, -1))
        flat = moved.reshape(-1, *moved.shape[-3:])
        flat = _padded(flat, self.pad_feature, self.pad)
        y = _with_bias(convolve(flat, weight, self.groups, self.stride, self.dilation), bias)
        y = y.reshape(*moved.shape[:-3], *y.shape[1:])
        return (np.moveaxis(y, (-3, -2, -1), order),)

    def behaviour(self) -> TimeBehaviour:
        return _window(self.weight.type.extents[3].value, self.stride[1], self.dilation[1], self.pad)

    def behaviour_along(self, role: Role) -> TimeBehaviour:
        """Labels beside time may stand where features do: then the kernel's rows run along them."""
        rows = self.x.type.axes[height_axis(self.x.type)]
        if rows.role is role and (self.weight.type.extents[2], self.stride[0]) != (Extent.of(1), 1):
            return Whole("a kernel runs along them")
        return POINTWISE if rows.role is role else super().behaviour_along(role)
