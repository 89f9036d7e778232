"""Activations in 8 bits: Core ML's pair of iOS 17, symmetric, with a constant scale and no zero point."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.emit.unsupported import UnsupportedError
from mctc.ir.ops.leaf import Leaf
from mctc.ir.ops.quantize import FakeQuantize
from mctc.targets.ane.function import FunctionEmitter

RULES = Rules[FunctionEmitter, None]()


@RULES.of(FakeQuantize)
def _fake_quantize(op: FakeQuantize, e: FunctionEmitter) -> None:
    if not isinstance(op.scale.owner, Leaf):
        raise UnsupportedError("the scale of a quantised activation is a constant in Core ML, and this one is computed")
    codes = e.step(op, "quantize", {"input": op.x, "scale": op.scale, "output_dtype": "int8"}, op.x.type.shape, "int8")
    e.emit(op, "dequantize", {"input": codes, "scale": op.scale})
