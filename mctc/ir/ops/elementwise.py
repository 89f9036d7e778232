"""Elementwise ops, unary from a table and binary with broadcasting by role."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mctc.ir.fields import element_type, number, operand
from mctc.ir.op import FLOATS, Array, InferenceError, Op, declare
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


class Unary(Op):
    x = operand()
    takes = FLOATS
    function: Callable[[Array], Array]

    def infer(self) -> Sequence[TensorType]:
        return (self.x.type,)

    def reference(self, x: Array, rounding: Rounding = EXACT) -> Sequence[Array]:
        y = self.function(x)
        return (rounding.gate(y) if self.rounds else y,)


class Binary(Op):
    left = operand()
    right = operand()
    takes = (*FLOATS, DType.I32)
    function: Callable[[Array, Array], Array]

    def infer(self) -> Sequence[TensorType]:
        left, right = self.left.type, self.right.type
        if left.dtype is not right.dtype:
            raise InferenceError(f"the element types differ: {left.dtype.value} and {right.dtype.value}", "right")
        return (TensorType(left.dtype, broadcast_axes(left, right)),)

    def reference(self, left: Array, right: Array) -> Sequence[Array]:
        axes = broadcast_axes(self.left.type, self.right.type)
        return (self.function(spread(left, self.left.type, axes), spread(right, self.right.type, axes)),)


for _name, (_doc, _function) in UNARY.items():
    _members = {"__doc__": _doc + ".", "name": _name, "function": staticmethod(_function)}
    declare(type(_name, (Unary,), {**_members, "nonzero": NONZERO.get(_name, ()), "rounds": _name == "sigmoid"}))
for _name, (_doc, _binary) in BINARY.items():
    _members = {"__doc__": _doc + ".", "name": _name, "function": staticmethod(_binary)}
    declare(type(_name, (Binary,), {**_members, "nonzero": NONZERO.get(_name, ())}))


@declare
class Scale(Op):
    """x * factor + offset with compile-time numbers: what `2 * x` and `x + 1` in a spec become."""

    name = "scale"
    x = operand()
    factor = number(1.0)
    offset = number(0.0)
    numbers = ("factor", "offset")

    def infer(self) -> Sequence[TensorType]:
        if not self.x.type.dtype.is_float:
            raise InferenceError(f"arithmetic with a number needs a floating-point tensor, not {self.x.type}", "x")
        return (self.x.type,)

    def reference(self, x: Array) -> Sequence[Array]:
        return (x * x.dtype.type(self.factor) + x.dtype.type(self.offset),)


@declare
class Clip(Op):
    """x limited to low ... high."""

    name = "clip"
    x = operand()
    takes = FLOATS
    low = number()
    high = number()
    numbers = ("low", "high")

    def infer(self) -> Sequence[TensorType]:
        if self.low > self.high:
            raise InferenceError(f"low {self.low} is above high {self.high}")
        return (self.x.type,)

    def reference(self, x: Array) -> Sequence[Array]:
        return (np.clip(x, self.low, self.high),)


@declare
class Cast(Op):
    """The same values with another element type."""

    name = "cast"
    x = operand()
    dtype = element_type()

    def infer(self) -> Sequence[TensorType]:
        dtype = self.dtype
        bound = self.x.type.bound if dtype is DType.I32 else None  # of token ids; arithmetic on numbers keeps to none
        return (TensorType(dtype, self.x.type.axes, bound),)

    def reference(self, x: Array) -> Sequence[Array]:
        array = np.asarray(x)
        if self.x.type.dtype.is_float and self.dtype.is_float:  # the evaluator, not the op, sets the precision
            return (array,)
        kind = {"f32": np.float32, "f16": np.float32, "i32": np.int32, "bool": np.bool_}[self.dtype.value]
        return (array.astype(kind),)
