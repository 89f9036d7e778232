"""Normalisation; statistics are computed in float32."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import Function, op
from mctc.evaluate.coreml.ops.arguments import along, integer, integers, number
from mctc.evaluate.coreml.precision import Array


def _layer_norm_of_constants(constants: Mapping[str, Any]) -> Function | None:
    """Its settings are read once; sums and quotients are those of numpy's mean."""
    if "x" in constants or "axes" not in constants:
        return None
    axes, shift = integers(constants["axes"]), number(constants.get("epsilon", 1e-5))
    vectors = constants.get("gamma"), constants.get("beta")

    def apply(x: Array, **dynamic: Array) -> Array:
        if dynamic or x.dtype != np.float32:
            return layer_norm(x, **{**constants, **dynamic})
        where = tuple(sorted(n % x.ndim for n in axes))
        shape = [n if axis in where else 1 for axis, n in enumerate(x.shape)]
        count = np.float32(prod(shape))
        result = x - np.add.reduce(x, axis=where, keepdims=True) / count
        variance = np.add.reduce(np.square(result), axis=where, keepdims=True) / count
        np.divide(result, np.sqrt(variance + shift), out=result)
        gamma, beta = vectors
        if gamma is not None:
            np.multiply(result, gamma.reshape(shape), out=result)
        return result if beta is None else np.add(result, beta.reshape(shape), out=result)

    return apply


@op("layer_norm", specialise=_layer_norm_of_constants, note="variance over the axes, divided by their size")
def layer_norm(
    x: Array, axes: Any = None, gamma: Array | None = None, beta: Array | None = None, epsilon: Any = 1e-5
) -> Array:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta over the given axes (all without)."""
    where = tuple(sorted(n % x.ndim for n in integers(axes))) if axes is not None else tuple(range(x.ndim))
    centred = x - x.mean(axis=where, keepdims=True)
    variance = np.square(centred).mean(axis=where, keepdims=True)
    result = centred / np.sqrt(variance + number(epsilon))
    shape = [n if axis in where else 1 for axis, n in enumerate(x.shape)]
    if gamma is not None:
        result = result * gamma.reshape(shape)
    return result if beta is None else result + beta.reshape(shape)


@op("batch_norm")
def batch_norm(
    x: Array,
    mean: Array,
    variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    epsilon: Any = 1e-5,
) -> Array:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta with stored statistics per channel (axis 1)."""
    scale = np.float32(1) / np.sqrt(variance + number(epsilon))
    if gamma is not None:
        scale = scale * gamma
    result = (x - along(mean, 1, x.ndim)) * along(scale, 1, x.ndim)
    return result if beta is None else result + along(beta, 1, x.ndim)


@op("instance_norm")
def instance_norm(x: Array, gamma: Array | None = None, beta: Array | None = None, epsilon: Any = 1e-5) -> Array:
    """Normalises over the spatial axes of each channel of each item."""
    where = tuple(range(2, x.ndim))
    centred = x - x.mean(axis=where, keepdims=True)
    result = centred / np.sqrt(np.square(centred).mean(axis=where, keepdims=True) + number(epsilon))
    if gamma is not None:
        result = result * along(gamma, 1, x.ndim)
    return result if beta is None else result + along(beta, 1, x.ndim)


@op("l2_norm", note="over the last three axes")
def l2_norm(x: Array, epsilon: Any = 1e-6) -> Array:
    """x / sqrt(sum of squares over the last three axes + epsilon)."""
    if x.ndim < 3:
        raise ValueError(f"l2_norm needs rank 3 or more, x has rank {x.ndim}")
    return x / np.sqrt(np.square(x).sum(axis=(-3, -2, -1), keepdims=True) + number(epsilon))


@op("local_response_norm")
def local_response_norm(x: Array, size: Any, alpha: Any = 1e-4, beta: Any = 0.75, k: Any = 1.0) -> Array:
    """x / (k + alpha / size * sum of squares of the `size` channels around)^beta."""
    width = integer(size)
    before = width // 2
    padding = [(0, 0)] * x.ndim
    padding[1] = (before, width - 1 - before)
    squares = np.pad(np.square(x), padding)
    total = sum(squares[:, shift : shift + x.shape[1]] for shift in range(width))
    return x / np.power(number(k) + number(alpha) / np.float32(width) * np.asarray(total), number(beta))
