"""Activations in 8 bits, as a device holds them between two ops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.ir.example import Example, X
from mctc.ir.fields import operand
from mctc.ir.op import FLOATS, Array, InferenceError, Op, declare
from mctc.ir.rounding import EXACT, Rounding
from mctc.ir.types import TensorType

LOW, HIGH = -128, 127
SMALLEST = 2.0**-24  # of fp16's numbers above 0: no scale is less


def held_scale(scale: Array) -> Array:
    """A scale as artifacts hold it: fp16's nearest number, in the scale's own type; at least the smallest above 0."""
    scale = np.asarray(scale)
    with np.errstate(over="ignore"):
        return np.asarray(np.maximum(scale.astype(np.float16), np.float16(SMALLEST)), scale.dtype)


@declare
class FakeQuantize(Op):
    """clip(round(x / scale), -128, 127) * scale: x as int8 and one fp16 scale hold it. Ties go to even.

    `scale` [] is rounded to fp16, and is 2^-24 or more. ONNX's QuantizeLinear and DequantizeLinear, Core ML's quantize
    and dequantize of iOS 17, without a zero point.
    """

    name = "fake_quantize"
    example = Example({"x": X, "s": "f32[]"}, ("{name}(%x, %s)",))
    x = operand()
    scale = operand()
    takes = FLOATS
    rounds = True

    def infer(self) -> Sequence[TensorType]:
        if self.scale.type.rank:
            raise InferenceError(f"an activation has one scale, not {self.scale.type}", "scale")
        return (self.x.type,)

    def reference(self, x: Array, scale: Array, rounding: Rounding = EXACT) -> Sequence[Array]:
        scale = held_scale(scale)
        return (np.clip(rounding.steps(x / scale), LOW, HIGH) * scale,)
