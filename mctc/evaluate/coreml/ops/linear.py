"""Matrix products; sums are accumulated in float32."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import Function, op
from mctc.evaluate.coreml.ops.arguments import flag
from mctc.evaluate.coreml.precision import Array


def _linear_of_constants(constants: Mapping[str, Any]) -> Function | None:
    if "weight" not in constants or "x" in constants:
        return None
    transposed = constants["weight"].T
    bias = constants.get("bias")

    def apply(x: Array, bias: Array | None = bias) -> Array:
        product = np.matmul(x, transposed)
        return product if bias is None else product + bias

    return apply


@op("linear", specialise=_linear_of_constants)
def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x @ weight.T + bias; weight is [out, in]."""
    product = np.matmul(x, weight.T)
    return product if bias is None else product + bias


@op("matmul")
def matmul(x: Array, y: Array, transpose_x: Any = False, transpose_y: Any = False) -> Array:
    """The product over the last two axes, the others broadcast."""
    left = np.swapaxes(x, -1, -2) if flag(transpose_x) else x
    right = np.swapaxes(y, -1, -2) if flag(transpose_y) else y
    return np.matmul(left, right)


@op("einsum", result="values", lists=("values",), note="any equation that numpy accepts, of any number of operands")
def einsum(values: list[Array], equation: str) -> Array:
    """Einstein summation."""
    return np.asarray(np.einsum(equation.replace(" ", ""), *values, optimize=True))
