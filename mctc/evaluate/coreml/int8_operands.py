"""Convolutions of int8 by int8, as Core ML programs write them: operands that are dequantised first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mctc.package.model import Constant, Operation, Reference
from mctc.package.types import TensorType

if TYPE_CHECKING:
    from mctc.evaluate.coreml.plan import Compiler
    from mctc.evaluate.engine.integers import Scales


def int8_scales(compiler: Compiler, operation: Operation) -> Scales | None:
    """The scales of a conv's operands, where both are int8 made floating-point without zero points."""
    if operation.type != "conv":
        return None
    x, weight = (_maker(compiler, operation, key) for key in ("x", "weight"))
    if x is None or weight is None or x.type != "dequantize" or not weight.type.startswith("constexpr_"):
        return None
    if (_dtype(compiler, x, "input"), _dtype(compiler, weight, "data", "quantized_data")) != ("int8", "int8"):
        return None
    scale, of_weight = _value(compiler, x, "scale"), _value(compiler, weight, "scale")
    zeros = ((x, "zero_point"), (weight, "offset"), (weight, "zero_point"))
    shifts = [_value(compiler, each, key) for each, key in zeros]
    if any(np.any(shift) for shift in shifts if shift is not None):
        return None
    declared = weight.outputs[0].type
    outputs = declared.shape[0] if isinstance(declared, TensorType) and declared.shape else None
    if np.size(scale) != 1 or np.size(of_weight) not in (1, outputs) or scale is None or of_weight is None:
        return None
    from mctc.evaluate.engine.integers import Scales

    return Scales(float(np.reshape(scale, -1)[0]), np.asarray(of_weight, np.float32))


def _maker(compiler: Compiler, operation: Operation, key: str) -> Operation | None:
    """The operation that makes an operand."""
    found = _bound(operation, key)
    return compiler.makers.get(found.name) if isinstance(found, Reference) else None


def _bound(operation: Operation, *keys: str) -> Reference | Constant | None:
    """What the first operand of these names is bound to; iOS 16 keeps those of constexprs as attributes."""
    for key in keys:
        if operation.inputs.get(key):
            return operation.inputs[key][0]
        if key in operation.attributes:
            return operation.attributes[key]
    return None


def _dtype(compiler: Compiler, operation: Operation, *keys: str) -> str | None:
    found = _bound(operation, *keys)
    type_ = compiler.types.get(found.name) if isinstance(found, Reference) else found and found.type
    return type_.dtype if isinstance(type_, TensorType) else None


def _value(compiler: Compiler, operation: Operation, key: str) -> Any:
    """The value of a constant operand; None for one that isn't bound, or isn't constant."""
    found = _bound(operation, key)
    return compiler.constant(found.name) if isinstance(found, Reference) else found and found.value()
