"""Convolutions of laid-out tensors (batch, channel, height, time)."""

from __future__ import annotations

from mctc.emit.laid_out import check_convolution
from mctc.emit.rules import Rules
from mctc.ir.ops.convolution import Conv2d
from mctc.targets.ane.function import FunctionEmitter, Operand

RULES = Rules[FunctionEmitter, None]()


@RULES.of(Conv2d)
def _convolution(op: Conv2d, e: FunctionEmitter) -> None:
    check_convolution(op)
    inputs: dict[str, Operand] = {"x": op.x, "weight": op.weight}
    if op.bias is not None:
        inputs["bias"] = op.bias
    padding = (*op.pad_feature, *op.pad)
    inputs |= {
        "strides": op.stride,
        "pad_type": "custom" if any(padding) else "valid",
        "pad": padding,
        "dilations": op.dilation,
        "groups": op.groups,
    }
    e.emit(op, "conv", inputs)
