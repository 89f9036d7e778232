"""Convolutions of laid-out tensors (batch, channel, height, frames). Core AI's take neither padding nor bias."""

from __future__ import annotations

from coreai import authoring as ca

from mctc.driver.names import place
from mctc.ir.ops.convolution import Conv2d, height_axis
from mctc.ir.ops.linear import channel_axis
from mctc.targets.coreai.errors import CoreAiError
from mctc.targets.coreai.function import FunctionEmitter, Rule
from mctc.targets.coreai.rules.operands import one, unsigned


def _conv2d(op: Conv2d, e: FunctionEmitter) -> ca.Value:
    x, weight, bias = op.x, op.weight, op.bias
    axes = (channel_axis(x.type), height_axis(x.type), x.type.sequence)
    pointwise = weight.type.shape[2:] == (1, 1) and op.stride == (1, 1) and axes[0] == 1
    if x.type.rank != 4 or (axes != (1, 2, 3) and not pointwise):
        raise CoreAiError(
            f"{place(op)}: x is {x.type}, but Core AI convolves (batch, channel, height, frames)",
            hint="the channels-first pass lays values out",
        )
    padding, value = (*op.pad_feature, *op.pad), e.ref(x)
    if any(padding):
        value = ca.pad(value, unsigned((0, 0, 0, 0, *padding)), e.number(0.0))
    stride, dilation = unsigned(op.stride), unsigned(op.dilation)
    y = ca.conv2d(value, e.ref(weight), stride, dilation, one(op.groups))
    return y if bias is None else ca.broadcasting_add(y, e.shaped(bias, (1, bias.type.size, 1, 1)))


RULES: dict[str, Rule] = {"conv2d": _conv2d}
