"""Elementwise ops, unary from a table and binary with broadcasting by role."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mctc.ir.op import FLOATS, REQUIRED, Array, InferenceError, OpDef, Signature, declare
from mctc.ir.ops.broadcast import broadcast_axes, spread
from mctc.ir.rounding import EXACT, Rounding
from mctc.ir.types import DType, TensorType


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x)))).astype(x.dtype)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)) without overflow."""
    result: Array = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return result


def gelu(x: Array) -> Array:
    """Exact GELU, x * Phi(x)."""
    from scipy.special import erf

    return (0.5 * x * (1 + erf(x / np.sqrt(2)))).astype(x.dtype)  # type: ignore[no-any-return]


UNARY: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "neg": ("-x", np.negative),
    "exp": ("e to the x", np.exp),
    "log": ("Natural logarithm", np.log),
    "sqrt": ("Square root", np.sqrt),
    "rsqrt": ("1 / sqrt(x)", lambda x: 1 / np.sqrt(x)),
    "reciprocal": ("1 / x", lambda x: 1 / x),
    "abs": ("Absolute value", np.abs),
    "square": ("x * x", np.square),
    "tanh": ("Hyperbolic tangent", np.tanh),
    "sin": ("Sine", np.sin),
    "cos": ("Cosine", np.cos),
    "relu": ("max(x, 0)", lambda x: np.maximum(x, 0)),
    "sigmoid": ("Logistic function", sigmoid),
    "silu": ("x * sigmoid(x)", lambda x: x * sigmoid(x)),
    "gelu": ("Exact GELU", gelu),
    "softplus": ("log(1 + exp(x))", softplus),
}
BINARY: dict[str, tuple[str, Callable[[Array, Array], Array]]] = {
    "add": ("left + right", np.add),
    "sub": ("left - right", np.subtract),
    "mul": ("left * right", np.multiply),
    "div": ("left / right", np.divide),
    "maximum": ("The larger of the two", np.maximum),
    "minimum": ("The smaller of the two", np.minimum),
}
NONZERO = dict.fromkeys(("log", "sqrt", "rsqrt", "reciprocal"), ("x",)) | {"div": ("right",)}


class Unary(OpDef):
    operands = "x"
    takes = FLOATS
    function: Callable[[Array], Array]

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        return (s["x"],)

    @classmethod
    def reference(cls, s: Signature, *operands: Any, rounding: Rounding = EXACT) -> Sequence[Array]:
        y = cls.function(operands[0])
        return (rounding.gate(y) if cls.rounds else y,)


class Binary(OpDef):
    operands = "left right"
    takes = (*FLOATS, DType.I32)
    function: Callable[[Array, Array], Array]

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        left, right = s["left"], s["right"]
        if left.dtype is not right.dtype:
            raise InferenceError(f"the element types differ: {left.dtype.value} and {right.dtype.value}", "right")
        return (TensorType(left.dtype, broadcast_axes(left, right)),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        axes = broadcast_axes(s["left"], s["right"])
        return (cls.function(spread(operands[0], s["left"], axes), spread(operands[1], s["right"], axes)),)


for _name, (_doc, _function) in UNARY.items():
    _members = {"__doc__": _doc + ".", "name": _name, "function": staticmethod(_function)}
    declare(type(_name, (Unary,), {**_members, "nonzero": NONZERO.get(_name, ()), "rounds": _name == "sigmoid"}))
for _name, (_doc, _binary) in BINARY.items():
    _members = {"__doc__": _doc + ".", "name": _name, "function": staticmethod(_binary)}
    declare(type(_name, (Binary,), {**_members, "nonzero": NONZERO.get(_name, ())}))


@declare
class Scale(OpDef):
    """x * factor + offset with compile-time numbers: what `2 * x` and `x + 1` in a spec become."""

    name = "scale"
    operands = "x"
    attributes = {"factor": 1.0, "offset": 0.0}
    numbers = ("factor", "offset")

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        if not s["x"].dtype.is_float:
            raise InferenceError(f"arithmetic with a number needs a floating-point tensor, not {s['x']}", "x")
        s.float("factor"), s.float("offset")
        return (s["x"],)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        x = operands[0]
        return (x * x.dtype.type(s.float("factor")) + x.dtype.type(s.float("offset")),)


@declare
class Clip(OpDef):
    """x limited to low ... high."""

    name = "clip"
    operands = "x"
    takes = FLOATS
    attributes = {"low": REQUIRED, "high": REQUIRED}
    numbers = ("low", "high")

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        if s.float("low") > s.float("high"):
            raise InferenceError(f"low {s.float('low')} is above high {s.float('high')}")
        return (s["x"],)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        return (np.clip(operands[0], s.float("low"), s.float("high")),)


@declare
class Cast(OpDef):
    """The same values with another element type."""

    name = "cast"
    operands = "x"
    attributes = {"dtype": REQUIRED}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        dtype = s.dtype("dtype")
        bound = s["x"].bound if dtype is DType.I32 else None  # of token ids; arithmetic on numbers keeps to none
        return (TensorType(dtype, s["x"].axes, bound),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        array = np.asarray(operands[0])
        if s["x"].dtype.is_float and s.dtype("dtype").is_float:  # the evaluator, not the op, sets the precision
            return (array,)
        kind = {"f32": np.float32, "f16": np.float32, "i32": np.int32, "bool": np.bool_}[s.attribute("dtype")]
        return (array.astype(kind),)
