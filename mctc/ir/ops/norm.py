"""Normalisation and softmax over the channel axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.ir.op import FLOATS, Array, InferenceError, OpDef, Signature, declare
from mctc.ir.ops.axis import AxisOp
from mctc.ir.ops.linear import channel_axis
from mctc.ir.rounding import EXACT, Rounding
from mctc.ir.time import TimeBehaviour, Whole
from mctc.ir.types import TensorType


def along(array: Array, rank: int, axis: int) -> Array:
    """A vector shaped to broadcast along `axis` of a tensor of `rank`."""
    return array.reshape([-1 if i == axis else 1 for i in range(rank)])


class ChannelNorm(OpDef):
    """Base: operands beyond x are vectors over the channels."""

    attributes = {"epsilon": 1e-5}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        channels = s["x"].extents[channel_axis(s, "x")]
        for operand in cls.operand_list()[1:]:
            if operand.name in s and s[operand.name].extents != (channels,):
                raise InferenceError(
                    f"{operand.name} is {s[operand.name]}, but x has {channels} channels", operand.name
                )
        if s.float("epsilon") <= 0:
            raise InferenceError(f"epsilon must be above 0, not {s.float('epsilon')}")
        return (s["x"],)

    @classmethod
    def affine(cls, s: Signature, y: Array, weight: Array | None, bias: Array | None) -> Sequence[Array]:
        axis = channel_axis(s, "x")
        y = y if weight is None else y * along(weight, y.ndim, axis)
        return (y if bias is None else y + along(bias, y.ndim, axis),)


@declare
class LayerNorm(ChannelNorm):
    """(x - mean) / sqrt(variance + epsilon) over the channels, times weight plus bias."""

    name = "layer_norm"
    operands = "x weight? bias?"
    takes = FLOATS
    numbers = ("epsilon",)
    rounds = True

    @classmethod
    def reference(cls, s: Signature, *operands: Any, rounding: Rounding = EXACT) -> Sequence[Array]:
        x, weight, bias = operands
        axis = channel_axis(s, "x")
        centred = x - rounding.mean(x, axis)
        variance = np.square(centred).mean(axis, keepdims=True)
        return cls.affine(s, centred / np.sqrt(variance + s.float("epsilon")), weight, bias)


@declare
class RmsNorm(ChannelNorm):
    """x / sqrt(mean(x^2) + epsilon) over the channels, times weight."""

    name = "rms_norm"
    operands = "x weight?"
    takes = FLOATS
    numbers = ("epsilon",)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        x, weight = operands
        power = np.square(x).mean(channel_axis(s, "x"), keepdims=True)
        return cls.affine(s, x / np.sqrt(power + s.float("epsilon")), weight, None)


@declare
class BatchNorm(ChannelNorm):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias with running statistics (the inference form)."""

    name = "batch_norm"
    operands = "x mean variance weight? bias?"
    takes = FLOATS

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        x, mean, variance, weight, bias = operands
        axis = channel_axis(s, "x")
        scale = 1 / np.sqrt(variance + s.float("epsilon"))
        return cls.affine(s, (x - along(mean, x.ndim, axis)) * along(scale, x.ndim, axis), weight, bias)


class Softmaxes(AxisOp):
    operands = "x"
    takes = FLOATS
    attributes = {"axis": "channel"}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        axis = s["x"].axes[s.axis("x")]
        if axis.role.value in ("batch", "time"):
            raise InferenceError(f"{cls.name} over the {axis.role.value} axis is not supported", "x")
        return (s["x"],)

    @classmethod
    def on_axis(cls, s: Signature) -> TimeBehaviour:
        return Whole("it divides by a sum over all of them")


@declare
class Softmax(Softmaxes):
    """exp(x) / sum(exp(x)) along `axis`."""

    name = "softmax"

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        x, axis = operands[0], s.axis("x")
        e = np.exp(x - x.max(axis, keepdims=True))
        return (e / e.sum(axis, keepdims=True),)


@declare
class LogSoftmax(Softmaxes):
    """x - log(sum(exp(x))) along `axis`."""

    name = "log_softmax"

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        x, axis = operands[0], s.axis("x")
        shifted = x - x.max(axis, keepdims=True)
        return (shifted - np.log(np.exp(shifted).sum(axis, keepdims=True)),)
