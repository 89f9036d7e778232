"""How large a sum of products can get, from weights and from what is known of the values that they meet."""

from __future__ import annotations

import math
from typing import Any

from mctc.linter.coreml.bounds import bounds, magnitude
from mctc.linter.coreml.graph import Op, read_constant
from mctc.linter.coreml.trace import behind_views

SLACK = 1.01
"""What rounding may add to a norm."""
VALUES = {"conv": "x", "linear": "x"}
"""Ops whose sums are bounded, and the operand that their weight meets."""


def largest_sum(op: Op) -> float | None:
    """The largest magnitude that a sum of an op can reach at any moment; None where nothing bounds it.

    Where the values come out of a layer norm over the channels, their Euclidean norm is bounded, and so is every part
    of a sum (Cauchy and Schwarz); else the largest value times the weights' magnitudes. Reads the weight only if the
    values are bounded.
    """
    operand = VALUES.get(op.type)
    if operand is None or _is_int8(op, operand):
        return None
    norm = _normalised(op, operand)
    largest = None if norm is not None else magnitude(bounds(op, operand))
    if norm is None and (largest is None or not math.isfinite(largest)):
        return None
    weight = weight_of(op)
    if weight is None:
        return None
    rows = abs(weight.reshape(weight.shape[0], -1).astype("float64"))
    sums = SLACK * norm * (rows**2).sum(axis=1) ** 0.5 if norm is not None else (largest or 0.0) * rows.sum(axis=1)
    bias = op.value("bias")
    start = abs(bias) if bias is not None and getattr(bias, "shape", None) == sums.shape else 0.0
    return float((sums + start).max(initial=0.0))


def weight_of(op: Op) -> Any:
    """The weight as the op computes with it, unpacked; None where it is too large to read, or can't be."""
    packed = op.compression("weight")
    if packed is None:
        constant = op.constant("weight")
        found = None if constant is None else read_constant(constant)
        return found if getattr(found, "ndim", 0) >= 2 else None
    import mctc.evaluate.coreml.ops  # noqa: F401  (declares them)
    from mctc.evaluate.coreml.declaration import REGISTRY

    declaration = REGISTRY.get(packed.type)
    given = {name: packed.value(name) for name in (declaration.operands if declaration else ()) if packed.has(name)}
    if declaration is None or any(value is None for value in given.values()):
        return None
    try:
        return declaration.function(**given)
    except (ValueError, TypeError, IndexError):
        return None


def _normalised(op: Op, operand: str) -> float | None:
    """The largest Euclidean norm of the values that one sum meets, where a layer norm gives it."""
    norm = behind_views(op, operand)
    shape = None if norm is None else norm.shape("x")
    weight = op.shape("weight")
    if norm is None or norm.type != "layer_norm" or shape is None or weight is None:
        return None
    axes = [axis % len(shape) for axis in norm.numbers("axes")]
    channels = weight[1] if len(weight) > 1 else None
    pointwise = all(extent == 1 for extent in weight[2:]) and op.value("groups", 1) == 1
    along = 1 if op.type == "conv" else len(shape) - 1
    if not pointwise or axes != [along] or channels is None or shape[along] != channels:
        return None
    gamma, beta = norm.value("gamma"), norm.value("beta")
    if (norm.has("gamma") and gamma is None) or (norm.has("beta") and beta is None):
        return None
    scale = 1.0 if gamma is None else float(abs(gamma).max())
    shift = 0.0 if beta is None else float((beta.astype("float64") ** 2).sum() ** 0.5)
    return math.sqrt(channels) * scale + shift


def _is_int8(op: Op, operand: str) -> bool:
    """Whether the engine multiplies int8 by int8, and sums in 32 bits."""
    made, packed = op.producer(operand), op.compression("weight")
    if made is None or made.type != "dequantize" or packed is None:
        return False
    return made.dtype("input") == "int8" and "int8" in {packed.dtype(name) for name in ("data", "quantized_data")}
