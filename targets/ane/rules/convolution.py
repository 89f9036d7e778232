"""Convolutions of laid-out tensors (batch, channel, height, time)."""

from __future__ import annotations

from mctc.driver.names import place
from mctc.ir.ops.convolution import Conv2d, height_axis
from mctc.ir.ops.linear import channel_axis
from mctc.targets.ane.errors import EmitError
from mctc.targets.ane.function import FunctionEmitter, Operand, Rule


def _conv2d(op: Conv2d, e: FunctionEmitter) -> None:
    x, weight, bias = op.x, op.weight, op.bias
    axes = (channel_axis(x.type), height_axis(x.type), x.type.sequence)
    pointwise = weight.type.shape[2:] == (1, 1) and op.stride == (1, 1) and axes[0] == 1
    if x.type.rank != 4 or (axes != (1, 2, 3) and not pointwise):
        raise EmitError(
            f"{place(op)}: x is {x.type}, but Core ML convolves (batch, channel, height, frames)",
            hint="the channels-first pass lays values out",
        )
    inputs: dict[str, Operand] = {"x": x, "weight": weight}
    if bias is not None:
        inputs["bias"] = bias
    padding = (*op.pad_feature, *op.pad)
    inputs |= {
        "strides": op.stride,
        "pad_type": "custom" if any(padding) else "valid",
        "pad": padding,
        "dilations": op.dilation,
        "groups": op.groups,
    }
    e.emit(op, "conv", inputs)


RULES: dict[str, Rule] = {"conv2d": _conv2d}
