"""Activation functions. A large array is worked on in place: fresh memory costs more than the arithmetic."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.arguments import along, number
from mctc.evaluate.coreml.precision import Array

_ZERO = np.float32(0)
_ONE = np.float32(1)
_BLOCK = 1 << 17
"""Elements that softmax works on at a time."""


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)); an exp that overflows gives the limit, 0."""
    result = np.empty_like(x)
    with np.errstate(over="ignore"):
        np.exp(np.negative(x, out=result), out=result)
    return np.divide(_ONE, np.add(result, _ONE, out=result), out=result)


def erf(x: Array) -> Array:
    """The error function."""
    from scipy import special  # costs a tenth of a second, which most programs never need

    return np.asarray(special.erf(x))


@op("sigmoid")
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return logistic(x)


@op("silu")
def silu(x: Array) -> Array:
    """x * sigmoid(x)."""
    result = logistic(x)
    return np.multiply(x, result, out=result)


@op("relu", exact=True)
def relu(x: Array, *, out: Array | None = None) -> Array:
    """max(x, 0)."""
    return np.maximum(x, _ZERO, out=out)


@op("relu6", exact=True)
def relu6(x: Array) -> Array:
    """x kept between 0 and 6."""
    return np.minimum(np.maximum(x, _ZERO), np.float32(6))


@op("leaky_relu")
def leaky_relu(x: Array, alpha: Any) -> Array:
    """x where positive, else alpha * x."""
    return np.where(x < 0, x * number(alpha), x)


@op("clamped_relu")
def clamped_relu(x: Array, alpha: Any, beta: Any) -> Array:
    """min(x, beta) where x is positive, else min(alpha * x, beta)."""
    return np.minimum(np.where(x < 0, x * number(alpha), x), number(beta))


@op("thresholded_relu", exact=True)
def thresholded_relu(x: Array, alpha: Any) -> Array:
    """x where it reaches alpha, else 0."""
    return np.where(x < number(alpha), _ZERO, x)


@op("prelu")
def prelu(x: Array, alpha: Array) -> Array:
    """leaky_relu with one slope per channel (axis 1)."""
    return np.where(x < 0, x * along(np.asarray(alpha), 1, x.ndim), x)


@op("elu")
def elu(x: Array, alpha: Any) -> Array:
    """x where positive, else alpha * (exp(x) - 1)."""
    return np.where(x < 0, number(alpha) * np.expm1(np.minimum(x, _ZERO)), x)


@op("gelu", note="modes EXACT, TANH_APPROXIMATION, SIGMOID_APPROXIMATION")
def gelu(x: Array, mode: str = "EXACT") -> Array:
    """x times the normal distribution function of x, exactly or by one of two approximations."""
    if mode == "TANH_APPROXIMATION":
        inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x * x * x)
        return np.float32(0.5) * x * (_ONE + np.tanh(inner))
    if mode == "SIGMOID_APPROXIMATION":
        return x * logistic(np.float32(1.702) * x)
    if mode != "EXACT":
        raise ValueError(f"there is no gelu mode '{mode}'")
    result = erf(x * np.float32(np.sqrt(0.5)))
    result += _ONE
    result *= np.float32(0.5) * x
    return result


@op("softplus")
def softplus(x: Array, *, out: Array | None = None) -> Array:
    """log(1 + exp(x))."""
    return np.logaddexp(x, _ZERO, out=out)


@op("softplus_parametric")
def softplus_parametric(x: Array, alpha: Array, beta: Array) -> Array:
    """alpha * log(1 + exp(beta * x)), one alpha and beta per channel (axis 1)."""
    slopes, scales = (along(np.asarray(vector), 1, x.ndim) for vector in (alpha, beta))
    return slopes * np.logaddexp(x * scales, _ZERO)


@op("softsign")
def softsign(x: Array) -> Array:
    """x / (1 + |x|)."""
    return x / (_ONE + np.abs(x))


@op("scaled_tanh")
def scaled_tanh(x: Array, alpha: Any, beta: Any) -> Array:
    """alpha * tanh(beta * x)."""
    return number(alpha) * np.tanh(number(beta) * x)


@op("sigmoid_hard")
def sigmoid_hard(x: Array, alpha: Any, beta: Any) -> Array:
    """alpha * x + beta kept between 0 and 1."""
    return np.minimum(np.maximum(number(alpha) * x + number(beta), _ZERO), _ONE)


@op("linear_activation")
def linear_activation(x: Array, alpha: Any, beta: Any) -> Array:
    """alpha * x + beta."""
    return number(alpha) * x + number(beta)


@op("softmax")
def softmax(x: Array, axis: Any = -1) -> Array:
    """exp(x) over its sum along an axis."""
    where = int(axis) % x.ndim
    result = np.empty_like(x)
    rows, made = (np.moveaxis(array, where, -1) for array in (x, result))
    if rows.flags.c_contiguous:  # in blocks that a processor's cache holds
        rows, made = (array.reshape(-1, array.shape[-1]) for array in (rows, made))
    step = max(1, _BLOCK * len(rows) // max(rows.size, 1))
    for start in range(0, len(rows), step):
        _softmax(rows[start : start + step], made[start : start + step])
    return result


def _softmax(x: Array, result: Array) -> None:
    np.exp(np.subtract(x, x.max(axis=-1, keepdims=True), out=result), out=result)
    np.divide(result, result.sum(axis=-1, keepdims=True), out=result)
