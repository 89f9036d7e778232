"""Normalisation and softmax over the channel axis."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from mctc.ir.example import Example, X
from mctc.ir.fields import axis_name, number, operand, optional_operand
from mctc.ir.op import FLOATS, Array, InferenceError, Op, declare
from mctc.ir.ops.axis import AxisOp
from mctc.ir.ops.linear import channel_axis
from mctc.ir.rounding import EXACT, Rounding
from mctc.ir.sign import Sign, always
from mctc.ir.time import TimeBehaviour, Whole
from mctc.ir.types import TensorType
from mctc.ir.value import Value


def along(array: Array, rank: int, axis: int) -> Array:
    """A vector shaped to broadcast along `axis` of a tensor of `rank`."""
    return array.reshape([-1 if i == axis else 1 for i in range(rank)])


class ChannelNorm(Op):
    """Base: operands beyond x are vectors over the channels."""

    x = operand()
    epsilon = number(1e-5)

    def infer(self) -> Sequence[TensorType]:
        channels = self.x.type.extents[channel_axis(self.x.type)]
        for each in self.fields[1:]:
            vector = self.operands[each.index]
            if vector is not None and vector.type.extents != (channels,):
                raise InferenceError(f"{each.name} is {vector.type}, but x has {channels} channels", each.name)
        if self.epsilon <= 0:
            raise InferenceError(f"epsilon must be above 0, not {self.epsilon}")
        return (self.x.type,)

    def affine(self, y: Array, weight: Array | None, bias: Array | None) -> Sequence[Array]:
        axis = channel_axis(self.x.type)
        y = y if weight is None else y * along(weight, y.ndim, axis)
        return (y if bias is None else y + along(bias, y.ndim, axis),)


@declare
class LayerNorm(ChannelNorm):
    """(x - mean) / sqrt(variance + epsilon) over the channels, times weight plus bias."""

    name = "layer_norm"
    example = Example({"x": X, "w": "f32[8]", "b": "f32[8]"}, ("layer_norm(%x, %w, %b)",))
    weight = optional_operand()
    bias = optional_operand()
    takes = FLOATS
    numbers = ("epsilon",)
    rounds = True

    def reference(
        self, x: Array, weight: Array | None, bias: Array | None, rounding: Rounding = EXACT
    ) -> Sequence[Array]:
        axis = channel_axis(self.x.type)
        centred = x - rounding.mean(x, axis)
        variance = np.square(centred).mean(axis, keepdims=True)
        return self.affine(centred / np.sqrt(variance + self.epsilon), weight, bias)


@declare
class RmsNorm(ChannelNorm):
    """x / sqrt(mean(x^2) + epsilon) over the channels, times weight."""

    name = "rms_norm"
    example = Example({"x": X, "w": "f32[8]"}, ("rms_norm(%x, %w)",))
    weight = optional_operand()
    takes = FLOATS
    numbers = ("epsilon",)

    def reference(self, x: Array, weight: Array | None) -> Sequence[Array]:
        power = np.square(x).mean(channel_axis(self.x.type), keepdims=True)
        return self.affine(x / np.sqrt(power + self.epsilon), weight, None)


@declare
class BatchNorm(ChannelNorm):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias with running statistics (the inference form)."""

    name = "batch_norm"
    example = Example({"x": X, "mean": "f32[8]", "variance": "f32[8]"}, ("batch_norm(%x, %mean, %variance)",))
    mean = operand()
    variance = operand()
    weight = optional_operand()
    bias = optional_operand()
    takes = FLOATS

    def padded(self, read: Collection[int] | None = None, *, whole: bool = True) -> Value | None:
        """x, over whose frames a training step takes statistics."""
        return self.x if self.x.type.sequence is not None else None

    def reference(
        self, x: Array, mean: Array, variance: Array, weight: Array | None, bias: Array | None
    ) -> Sequence[Array]:
        axis = channel_axis(self.x.type)
        scale = 1 / np.sqrt(variance + self.epsilon)
        return self.affine((x - along(mean, x.ndim, axis)) * along(scale, x.ndim, axis), weight, bias)


class Softmaxes(AxisOp):
    x = operand()
    takes = FLOATS
    axis = axis_name("channel")

    def infer(self) -> Sequence[TensorType]:
        axis = self.x.type.axes[self.position]
        if axis.role.value in ("batch", "time"):
            raise InferenceError(f"{self.name} over the {axis.role.value} axis is not supported", "x")
        return (self.x.type,)

    def on_axis(self) -> TimeBehaviour:
        return Whole("it divides by a sum over all of them")

    def padded(self, read: Collection[int] | None = None, *, whole: bool = True) -> Value | None:
        """x, where it is the frames that are divided by their sum."""
        return self.x if self.position == self.x.type.sequence else None


@declare
class Softmax(Softmaxes):
    """exp(x) / sum(exp(x)) along `axis`."""

    name = "softmax"
    sign = always(Sign.NOT_BELOW_ZERO)
    example = Example({"x": X}, ("softmax(%x)",))

    def reference(self, x: Array) -> Sequence[Array]:
        axis = self.position
        e: Array = x - x.max(axis, keepdims=True)  # the one array beside x: scores of an attention are large
        np.exp(e, out=e)
        return (np.divide(e, e.sum(axis, keepdims=True), out=e),)


@declare
class LogSoftmax(Softmaxes):
    """x - log(sum(exp(x))) along `axis`."""

    name = "log_softmax"
    example = Example({"x": X}, ("log_softmax(%x)",))

    def reference(self, x: Array) -> Sequence[Array]:
        axis = self.position
        shifted = x - x.max(axis, keepdims=True)
        return (shifted - np.log(np.exp(shifted).sum(axis, keepdims=True)),)
