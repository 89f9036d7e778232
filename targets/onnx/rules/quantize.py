"""Activations in 8 bits: a pair that a runtime with int8 kernels takes for one."""

from __future__ import annotations

import numpy as np

from mctc.emit.rules import Rules
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.ops.quantize import SMALLEST, FakeQuantize
from mctc.targets.onnx.graph import GraphEmitter, Result

RULES = Rules[GraphEmitter, Result]()


@RULES.of(FakeQuantize)
def _fake_quantize(op: FakeQuantize, e: GraphEmitter) -> str:
    scale, zero = _scale(op, e), e.constant(np.zeros((), np.int8))
    return e.node("DequantizeLinear", e.node("QuantizeLinear", e.ref(op.x), scale, zero), scale, zero)


def _scale(op: FakeQuantize, e: GraphEmitter) -> str:
    """A parameter is fp16 as it is stored."""
    scale = e.ref(op.scale)
    if isinstance(op.scale.owner, ParameterOp):
        return scale
    half = e.cast(e.cast(scale, "float16"), "float32")
    return e.node("Max", half, e.number(float(SMALLEST), op.scale.type))
