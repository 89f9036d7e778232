"""Convolutions of laid-out tensors (batch, channel, height, frames). Core AI's take neither padding nor bias."""

from __future__ import annotations

from coreai import authoring as ca

from mctc.emit.laid_out import check_convolution
from mctc.emit.rules import Rules
from mctc.ir.ops.convolution import Conv2d
from mctc.targets.coreai.function import FunctionEmitter, Result
from mctc.targets.coreai.rules.operands import one, unsigned

RULES = Rules[FunctionEmitter, Result]()


@RULES.of(Conv2d)
def _convolution(op: Conv2d, e: FunctionEmitter) -> Result:
    check_convolution(op)
    padding, value = (*op.pad_feature, *op.pad), e.ref(op.x)
    if any(padding):
        value = ca.pad(value, unsigned((0, 0, 0, 0, *padding)), e.number(0.0))
    stride, dilation = unsigned(op.stride), unsigned(op.dilation)
    y = ca.conv2d(value, e.ref(op.weight), stride, dilation, one(op.groups))
    return y if op.bias is None else ca.broadcasting_add(y, e.shaped(op.bias, (1, op.bias.type.size, 1, 1)))
