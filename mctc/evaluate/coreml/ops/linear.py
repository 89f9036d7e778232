"""Matrix products; sums are accumulated in float32.

From iOS 17 on a constant operand may be of another element type than the other one, whose type the result has.
"""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import Function, op
from mctc.evaluate.coreml.ops.arguments import flag
from mctc.evaluate.coreml.ops.selection import selection
from mctc.evaluate.coreml.precision import Array


def _linear_of_constants(constants: Mapping[str, Any]) -> Function | None:
    if "weight" not in constants or "x" in constants:
        return None
    transposed = constants["weight"].T
    bias = constants.get("bias")

    def apply(x: Array, bias: Array | None = bias) -> Array:
        product = np.matmul(x, transposed)
        return (product if bias is None else product + bias).astype(x.dtype, copy=False)

    return apply


@op("linear", specialise=_linear_of_constants)
def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x @ weight.T + bias; weight is [out, in]."""
    product = np.matmul(x, weight.T)
    return (product if bias is None else product + bias).astype(x.dtype, copy=False)


def _type_of_the_variable(dtypes: Mapping[str, str], constants: Mapping[str, Any]) -> tuple[str, ...]:
    return (dtypes.get("y" if "x" in constants and "y" not in constants else "x", ""),)


def _matmul_of_constants(constants: Mapping[str, Any]) -> Function | None:
    """Its settings are read once; a constant takes the element type of the other operand."""
    given = [name for name in ("x", "y") if name in constants]
    options = {name: flag(value) for name, value in constants.items() if name not in given}
    if not given:
        return partial(matmul, **options)
    if len(given) != 1:
        return None
    (name,) = given
    if (found := selection(name, constants[name], options)) is not None:
        return found

    def apply(**variable: Array) -> Array:
        other = variable["y" if name == "x" else "x"]
        return matmul(**variable, **options, **{name: constants[name].astype(other.dtype, copy=False)})

    return apply


@op("matmul", result=_type_of_the_variable, specialise=_matmul_of_constants)
def matmul(x: Array, y: Array, transpose_x: Any = False, transpose_y: Any = False) -> Array:
    """The product over the last two axes, the others broadcast."""
    left = np.swapaxes(x, -1, -2) if flag(transpose_x) else x
    right = np.swapaxes(y, -1, -2) if flag(transpose_y) else y
    if left.ndim > 1 < right.ndim and left.shape[-1] == right.shape[-2] == 1:
        return left * right  # an outer product: nothing is summed
    return np.matmul(left, right)


@op("einsum", result="values", lists=("values",), note="any equation that numpy accepts, of any number of operands")
def einsum(values: list[Array], equation: str) -> Array:
    """Einstein summation."""
    return np.asarray(np.einsum(equation.replace(" ", ""), *values, optimize=True))
