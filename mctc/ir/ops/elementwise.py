"""Elementwise ops: one operand, two that broadcast by role, and numbers known at compile time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from mctc.ir.example import Example, X
from mctc.ir.fields import element_type, number, operand
from mctc.ir.numpy_function import numpys
from mctc.ir.op import FLOATS, Array, InferenceError, Op, declare
from mctc.ir.ops.blocks import in_blocks
from mctc.ir.ops.broadcast import broadcast_axes, spread
from mctc.ir.rounding import EXACT, Rounding
from mctc.ir.sign import Sign, always, not_below_zero, number_sign, strongest, weakest
from mctc.ir.types import DType, TensorType

BOUNDED, POSITIVE = "{name}({bounded})", "{name}({positive})"
"""How random specs apply an op: to what keeps within its limits, so that runtimes differ by no more than rounding."""


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

    result: Array = (0.5 * x * (1 + erf(x / np.sqrt(2)))).astype(x.dtype)
    return result


def erf(x: Array) -> Array:
    """The error function."""
    from scipy.special import erf

    result: Array = erf(x).astype(x.dtype)
    return result


class Unary(Op):
    """Base: one operand, entry by entry."""

    example = Example({"x": X}, ("{name}(%x)",))
    drawn = BOUNDED
    x = operand()
    takes = FLOATS
    function: Callable[..., Array]

    def infer(self) -> Sequence[TensorType]:
        return (self.x.type,)

    def reference(self, x: Array, rounding: Rounding = EXACT) -> Sequence[Array]:
        y = in_blocks(self.function, x)
        return (rounding.gate(y) if self.rounds else y,)


class Binary(Op):
    """Base: two operands, which broadcast by role."""

    example = Example({"left": X, "right": "f32[channel 8]"}, ("{name}(%left, %right)",))
    drawn = "tanh({name}({x}, {partner}))"
    left = operand()
    right = operand()
    takes: ClassVar[tuple[DType, ...] | None] = (*FLOATS, DType.I32)
    function: Callable[..., Array]

    def infer(self) -> Sequence[TensorType]:
        left, right = self.left.type, self.right.type
        if left.dtype is not right.dtype:
            raise InferenceError(
                f"the element types differ: {left.dtype.value} and {right.dtype.value}",
                "right",
                _one_type(left.dtype, right.dtype),
            )
        return (TensorType(left.dtype, broadcast_axes(left, right)),)

    def reference(self, left: Array, right: Array) -> Sequence[Array]:
        axes = broadcast_axes(self.left.type, self.right.type)
        return (self.function(spread(left, self.left.type, axes), spread(right, self.right.type, axes)),)


def _one_type(left: DType, right: DType) -> str:
    """How operands come to have equal element types: that of a float one is taken, or whole numbers."""
    to = next((each for each in (left, right) if each.is_float), DType.I32)
    other = right if left is to else left
    return f'put `cast(..., "{to.value}")` around the one of {other.value}'


@declare
class Neg(Unary):
    """-x."""

    name = "neg"
    keeps = "whole"
    function = numpys("negative")


@declare
class Exp(Unary):
    """e to the x."""

    name = "exp"
    sign = always(Sign.ABOVE_ZERO)
    drawn = POSITIVE
    function = numpys("exp")


@declare
class Log(Unary):
    """Natural logarithm."""

    name = "log"
    drawn = POSITIVE
    nonzero = ("x",)
    function = numpys("log")


@declare
class Sqrt(Unary):
    """Square root."""

    name = "sqrt"
    sign = not_below_zero
    drawn = POSITIVE
    nonzero = ("x",)
    function = numpys("sqrt")


@declare
class Rsqrt(Unary):
    """1 / sqrt(x)."""

    name = "rsqrt"
    sign = not_below_zero
    drawn = POSITIVE
    nonzero = ("x",)
    function = staticmethod(lambda x: 1 / np.sqrt(x))


@declare
class Reciprocal(Unary):
    """1 / x."""

    name = "reciprocal"
    sign = weakest
    drawn = POSITIVE
    nonzero = ("x",)
    function = staticmethod(lambda x: 1 / x)


@declare
class Abs(Unary):
    """Absolute value."""

    name = "abs"
    sign = not_below_zero
    keeps = "whole"
    function = numpys("abs")


@declare
class Square(Unary):
    """x * x."""

    name = "square"
    sign = not_below_zero
    function = numpys("square")


@declare
class Tanh(Unary):
    """Hyperbolic tangent."""

    name = "tanh"
    sign = weakest
    function = numpys("tanh")


@declare
class Sin(Unary):
    """Sine."""

    name = "sin"
    function = numpys("sin")


@declare
class Cos(Unary):
    """Cosine."""

    name = "cos"
    function = numpys("cos")


@declare
class Relu(Unary):
    """max(x, 0)."""

    name = "relu"
    sign = not_below_zero
    keeps = "whole"
    function = staticmethod(lambda x: np.maximum(x, 0))


@declare
class Sigmoid(Unary):
    """Logistic function."""

    name = "sigmoid"
    sign = always(Sign.ABOVE_ZERO)
    rounds = True
    function = staticmethod(sigmoid)


@declare
class Silu(Unary):
    """x * sigmoid(x)."""

    name = "silu"
    sign = weakest
    function = staticmethod(lambda x: x * sigmoid(x))


@declare
class Gelu(Unary):
    """Exact GELU."""

    name = "gelu"
    sign = weakest
    function = staticmethod(gelu)


@declare
class Erf(Unary):
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""

    name = "erf"
    sign = weakest
    function = staticmethod(erf)


@declare
class Softplus(Unary):
    """log(1 + exp(x))."""

    name = "softplus"
    sign = always(Sign.ABOVE_ZERO)
    function = staticmethod(softplus)


@declare
class Add(Binary):
    """left + right."""

    name = "add"
    keeps = "whole"
    function = numpys("add")

    def sign(self, *operands: Sign) -> Sign:
        return max(operands) if min(operands) else Sign.ANY


@declare
class Sub(Binary):
    """left - right."""

    name = "sub"
    keeps = "whole"
    function = numpys("subtract")


@declare
class Mul(Binary):
    """left * right."""

    name = "mul"
    keeps = "marks"
    function = numpys("multiply")

    def sign(self, *operands: Sign) -> Sign:
        return not_below_zero(self, *operands) if self.left is self.right else min(operands)


@declare
class Div(Binary):
    """left / right."""

    name = "div"
    sign = weakest
    drawn = "{name}({x}, {bounded} + 2)"
    nonzero = ("right",)
    function = numpys("divide")


@declare
class Maximum(Binary):
    """The larger of the two."""

    name = "maximum"
    sign = strongest
    keeps = "marks"
    function = numpys("maximum")


@declare
class Minimum(Binary):
    """The smaller of the two."""

    name = "minimum"
    sign = weakest
    keeps = "marks"
    function = numpys("minimum")


@declare
class Scale(Op):
    """x * factor + offset with compile-time numbers: what `2 * x` and `x + 1` in a spec become."""

    name = "scale"
    example = Example({"x": X}, ("scale(%x, factor = 2.0, offset = 1.0)",))
    x = operand()
    factor = number(1.0)
    offset = number(0.0)
    numbers = ("factor", "offset")

    def sign(self, *operands: Sign) -> Sign:
        return number_sign(self.offset) if self.factor >= 0 and min(operands) else Sign.ANY

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
    example = Example({"x": X}, ("clip(%x, low = 0.0, high = 6.0)",))
    keeps = "whole"
    x = operand()
    takes = FLOATS
    low = number()
    high = number()
    numbers = ("low", "high")

    def sign(self, *operands: Sign) -> Sign:
        return number_sign(self.low)

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
    sign = weakest
    example = Example({"x": X}, ("cast(%x, dtype = f16)",))
    drawn = 'cast(cast({x}, dtype = "f16"), "f32")'
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
