"""Two operands, broadcast against each other."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.precision import Array

_ARITHMETIC: dict[str, tuple[np.ufunc, bool]] = {
    "add": (np.add, False),
    "sub": (np.subtract, False),
    "mul": (np.multiply, False),
    "maximum": (np.maximum, True),
    "minimum": (np.minimum, True),
}
_COMPARISON: dict[str, np.ufunc] = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}


def _arithmetic(name: str, function: np.ufunc, exact: bool) -> None:
    @op(name, same=("x", "y"), exact=exact)
    def apply(x: Array, y: Array, *, out: Array | None = None) -> Array:
        return function(x, y, out=out)


def _comparison(name: str, function: np.ufunc) -> None:
    @op(name, result="bool", same=("x", "y"), exact=True)
    def apply(x: Array, y: Array) -> Array:
        return function(x, y)


for _name, (_function, _exact) in _ARITHMETIC.items():
    _arithmetic(_name, _function, _exact)
for _name, _function in _COMPARISON.items():
    _comparison(_name, _function)


@op("real_div", same=("x", "y"), note="integers: the quotient without its fraction")
def real_div(x: Array, y: Array) -> Array:
    """x / y."""
    if x.dtype.kind == "f":
        return np.true_divide(x, y)
    _check_divisor(y)
    return np.trunc(np.true_divide(x, y)).astype(x.dtype)


@op("floor_div", same=("x", "y"))
def floor_div(x: Array, y: Array) -> Array:
    """The largest integer not above x / y."""
    _check_divisor(y)
    return np.floor_divide(x, y)


@op("mod", same=("x", "y"), note="the sign of the dividend: -7 mod 3 is -1")
def mod(x: Array, y: Array) -> Array:
    """x - y * trunc(x / y), as Core ML's runtime is reported to do; docs/evaluator.md says who says what."""
    _check_divisor(y)
    return np.fmod(x, y)


@op("pow", same=("x", "y"))
def power(x: Array, y: Array) -> Array:
    """x to the power y; integer powers below zero lose their fraction."""
    if x.dtype.kind == "f":
        return np.power(x, y)
    return np.trunc(np.power(x.astype(np.float64), y)).astype(x.dtype)


def _check_divisor(y: Array) -> None:
    if y.dtype.kind != "f" and not np.all(y):
        raise ValueError("integer division by zero")
