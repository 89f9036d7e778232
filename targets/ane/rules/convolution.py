"""Convolutions of laid-out tensors (batch, channel, height, time)."""

from __future__ import annotations

from mctc.build.names import place
from mctc.ir.ops.convolution import height_axis
from mctc.ir.ops.linear import channel_axis
from mctc.ir.program import Op
from mctc.targets.ane.errors import EmitError
from mctc.targets.ane.function import FunctionEmitter, Operand, Rule


def _conv2d(op: Op, e: FunctionEmitter) -> None:
    s = op.signature
    x, weight, bias = op.operands
    assert x is not None
    assert weight is not None
    axes = (channel_axis(s, "x"), height_axis(s), x.type.sequence)
    pointwise = weight.type.shape[2:] == (1, 1) and s.ints("stride") == (1, 1) and axes[0] == 1
    if x.type.rank != 4 or (axes != (1, 2, 3) and not pointwise):
        raise EmitError(
            f"{place(op)}: x is {x.type}, but Core ML convolves (batch, channel, height, frames)",
            hint="the channels-first pass lays values out",
        )
    inputs: dict[str, Operand] = {"x": x, "weight": weight}
    if bias is not None:
        inputs["bias"] = bias
    padding = (*s.ints("pad_feature"), *s.ints("pad"))
    inputs |= {
        "strides": s.ints("stride"),
        "pad_type": "custom" if any(padding) else "valid",
        "pad": padding,
        "dilations": s.ints("dilation"),
        "groups": s.int("groups"),
    }
    e.emit(op, "conv", inputs)


RULES: dict[str, Rule] = {"conv2d": _conv2d}
