"""One operand, element by element."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.activation import erf
from mctc.evaluate.coreml.ops.arguments import number
from mctc.evaluate.coreml.precision import Array
from mctc.package.dtypes import DTYPES

_PLAIN: dict[str, tuple[np.ufunc, bool]] = {
    "abs": (np.abs, True),
    "acos": (np.arccos, False),
    "asin": (np.arcsin, False),
    "atan": (np.arctan, False),
    "atanh": (np.arctanh, False),
    "ceil": (np.ceil, True),
    "cos": (np.cos, False),
    "cosh": (np.cosh, False),
    "exp": (np.exp, False),
    "floor": (np.floor, True),
    "logical_not": (np.logical_not, True),
    "round": (np.rint, True),
    "sign": (np.sign, True),
    "sin": (np.sin, False),
    "sinh": (np.sinh, False),
    "sqrt": (np.sqrt, False),
    "square": (np.square, False),
    "tan": (np.tan, False),
    "tanh": (np.tanh, False),
}


def _declare(name: str, function: np.ufunc, exact: bool) -> None:
    @op(name, exact=exact)
    def apply(x: Array, *, out: Array | None = None) -> Array:
        return function(x, out=out)


for _name, (_function, _exact) in _PLAIN.items():
    _declare(_name, _function, _exact)


@op("erf")
def error_function(x: Array) -> Array:
    """The error function."""
    return erf(x)


@op("exp2")
def exp2(x: Array) -> Array:
    """2 to the power x; integers stay integers."""
    return np.exp2(x).astype(x.dtype)


@op("identity", exact=True)
def identity(x: Any) -> Any:
    """x."""
    return x


@op("clip", exact=True, note="NaN stays NaN")
def clip(x: Array, alpha: Any, beta: Any) -> Array:
    """x kept between alpha and beta."""
    raised = np.maximum(x, number(alpha))
    return np.minimum(raised, number(beta), out=raised if isinstance(raised, np.ndarray) else None)


@op("threshold")
def threshold(x: Array, alpha: Any) -> Array:
    """max(x, alpha)."""
    return np.maximum(x, np.asarray(alpha).astype(x.dtype))


@op("inverse", note="1 / (x + epsilon), epsilon 1e-4 unless given")
def inverse(x: Array, epsilon: Any = 1e-4) -> Array:
    """1 / (x + epsilon)."""
    return np.float32(1) / (x + number(epsilon))


@op("log", note="log(x + epsilon)")
def log(x: Array, epsilon: Any = 1e-45) -> Array:
    """log(x + epsilon)."""
    return np.log(x + number(epsilon))


@op("rsqrt", note="1 / sqrt(x + epsilon), epsilon 1e-12 unless given")
def rsqrt(x: Array, epsilon: Any = 1e-12) -> Array:
    """1 / sqrt(x + epsilon)."""
    return np.float32(1) / np.sqrt(x + number(epsilon))


def _cast_type(_dtypes: Mapping[str, str], constants: Mapping[str, Any]) -> tuple[str, ...]:
    dtype = str(constants.get("dtype", ""))
    return (dtype if dtype in DTYPES else "",)


@op("cast", result=_cast_type, note="float to integer drops the fraction and saturates; to bool is != 0")
def cast(x: Array, dtype: str) -> Array:
    """x in another element type."""
    if dtype not in DTYPES or dtype == "string":
        raise ValueError(f"there is no element type '{dtype}' to cast to")
    holder = DTYPES[dtype].holder
    if holder.kind == "f":
        return x.astype(np.float32)
    if holder.kind == "b":
        return x != 0
    if x.dtype.kind != "f":
        return x.astype(holder)
    limits = np.iinfo(holder)
    # float64 holds every int32 limit exactly; a cast from outside the range is undefined in C.
    whole = np.nan_to_num(np.trunc(x.astype(np.float64)), nan=0.0)
    return np.clip(whole, limits.min, limits.max).astype(holder)
