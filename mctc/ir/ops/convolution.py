"""Convolutions: over the sequence (conv1d) and over feature and sequence (conv2d)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.op import FLOATS, Array, InferenceError, OpDef, Signature, declare, sliding
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
    windows = sliding(sliding(x, 2, kh, stride[0], dilation[0]), 3, kw, stride[1], dilation[1])  # N C H' W' kh kw
    n, c, h, w = windows.shape[:4]
    columns = np.moveaxis(windows, (4, 5), (2, 3)).reshape(n, groups, c // groups * kh * kw, h * w)
    kernels = weight.reshape(groups, out // groups, c // groups * kh * kw)
    y: Array = np.matmul(kernels, columns)
    return y.reshape(n, out, h, w)


def _window(s: Signature, kernel: int, stride: int, dilation: int, pad: Sequence[int]) -> TimeBehaviour:
    if kernel == 1 and stride == 1:
        return POINTWISE
    right = dilation * (kernel - 1) - pad[0]
    return Window(pad[0], right, stride, ("x",), (("pad", (0, 0)),))


def _channels(s: Signature, axis: int, groups: int) -> None:
    into, out, have = s["weight"].extents[1], s["weight"].extents[0], s["x"].extents[axis]
    if into * groups != have:
        raise InferenceError(f"the weight takes {groups} x {into} channels, but x has {have}", "weight")
    if out.value % groups:
        raise InferenceError(f"{out} outputs do not divide into {groups} groups", "weight")


def _pair(s: Signature, name: str, least: int) -> tuple[int, int]:
    values = s.ints(name)
    if len(values) != 2 or min(values) < least:
        raise InferenceError(f"{name} must be two numbers, each at least {least}, not {list(values)}")
    return values[0], values[1]


@declare
class Conv1d(OpDef):
    """Convolution along the sequence axis; weight [out, in/groups, kernel]; `pad` = zero frames (left, right)."""

    name = "conv1d"
    operands = "x weight bias?"
    takes = FLOATS
    attributes = {"stride": 1, "dilation": 1, "groups": 1, "pad": (0, 0)}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        x, weight = s["x"], s["weight"]
        channel, time = channel_axis(s, "x"), x.sequence
        if time is None:
            raise InferenceError(f"{x} has no time or label axis to convolve along", "x")
        if weight.rank != 3:
            raise InferenceError(f"the weight must be [out, in/groups, kernel], not {weight}", "weight")
        _channels(s, channel, s.count("groups"))
        check_bias(s, weight.axes[0])
        left, right = _pair(s, "pad", 0)
        frames = strided_extent(
            x.extents[time], weight.extents[2].value, s.count("stride"), s.count("dilation"), left, right
        )
        return (x.with_extent(time, frames).with_axis(channel, out_axis(weight.axes[0])),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        x, weight, bias = operands
        channel, time = channel_axis(s, "x"), s["x"].sequence
        moved = np.moveaxis(x, (channel, time), (-2, -1))  # type: ignore[arg-type]
        flat: Array = moved.reshape(-1, moved.shape[-2], 1, moved.shape[-1])
        flat = np.pad(flat, ((0, 0), (0, 0), (0, 0), s.ints("pad")))
        y = convolve(flat, weight[:, :, None], s.int("groups"), (1, s.int("stride")), (1, s.int("dilation")))[:, :, 0]
        y = (y if bias is None else y + bias[:, None]).reshape(*moved.shape[:-2], y.shape[-2], y.shape[-1])
        return (np.moveaxis(y, (-2, -1), (channel, time)),)  # type: ignore[arg-type]

    @classmethod
    def time(cls, s: Signature) -> TimeBehaviour:
        return _window(s, s["weight"].extents[2].value, s.int("stride"), s.int("dilation"), s.ints("pad"))


def width_axis(s: Signature) -> int:
    """The axis that a 2-d convolution runs along as time: the sequence, or the last axis of a laid-out type without."""
    x = s["x"]
    if x.sequence is not None:
        return x.sequence
    if x.rank == 4 and x.roles[0] is Role.BATCH and x.roles[1].is_channel and x.roles[3] is Role.UNIT:
        return 3
    raise InferenceError(f"{x} has no time or label axis to convolve along", "x")


def height_axis(s: Signature) -> int:
    """The axis that a 2-d convolution runs along besides the sequence: feature, else a unit or label axis."""
    x = s["x"]
    used = {channel_axis(s, "x"), width_axis(s), x.find(Role.BATCH)}
    rest = [i for i in range(x.rank) if i not in used]
    if len(rest) != 1:
        raise InferenceError(f"{x} must have one axis besides batch, channel and time for a 2-d convolution", "x")
    return rest[0]


@declare
class Conv2d(OpDef):
    """Convolution along feature and sequence; weight [out, in/groups, kernel over feature, kernel over frames].

    `stride`, `dilation` = (feature, frames); `pad` = zero frames (left, right); `pad_feature` = (low, high).
    """

    name = "conv2d"
    operands = "x weight bias?"
    takes = FLOATS
    attributes = {"stride": (1, 1), "dilation": (1, 1), "groups": 1, "pad": (0, 0), "pad_feature": (0, 0)}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        x, weight = s["x"], s["weight"]
        channel, time, height = channel_axis(s, "x"), width_axis(s), height_axis(s)
        if weight.rank != 4:
            raise InferenceError(
                f"the weight must be [out, in/groups, feature kernel, frame kernel], not {weight}", "weight"
            )
        _channels(s, channel, s.count("groups"))
        check_bias(s, weight.axes[0])
        (sh, st), (dh, dt) = _pair(s, "stride", 1), _pair(s, "dilation", 1)
        rows = strided_extent(x.extents[height], weight.extents[2].value, sh, dh, *_pair(s, "pad_feature", 0))
        frames = strided_extent(x.extents[time], weight.extents[3].value, st, dt, *_pair(s, "pad", 0))
        y = x.with_extent(height, rows).with_extent(time, frames)
        return (y.with_axis(channel, out_axis(weight.axes[0])),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        x, weight, bias = operands
        order = (channel_axis(s, "x"), height_axis(s), width_axis(s))
        moved = np.moveaxis(x, order, (-3, -2, -1))
        flat = moved.reshape(-1, *moved.shape[-3:])
        flat = np.pad(flat, ((0, 0), (0, 0), s.ints("pad_feature"), s.ints("pad")))
        y = convolve(flat, weight, s.int("groups"), s.ints("stride"), s.ints("dilation"))
        y = (y if bias is None else y + bias[:, None, None]).reshape(*moved.shape[:-3], *y.shape[1:])
        return (np.moveaxis(y, (-3, -2, -1), order),)

    @classmethod
    def time(cls, s: Signature) -> TimeBehaviour:
        return _window(s, s["weight"].extents[3].value, s.ints("stride")[1], s.ints("dilation")[1], s.ints("pad"))

    @classmethod
    def along(cls, s: Signature, role: Role) -> TimeBehaviour:
        """Labels beside time may stand where features do: then the kernel's rows run along them."""
        rows = s["x"].axes[height_axis(s)]
        if rows.role is role and (s["weight"].extents[2], s.ints("stride")[0]) != (Extent.of(1), 1):
            return Whole("a kernel runs along them")
        return POINTWISE if rows.role is role else super().along(s, role)
