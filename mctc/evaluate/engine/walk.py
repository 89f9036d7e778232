"""Sums in order, for results that may overflow on the way.

The order is not published. Assumed is that of the weight: input channels first, then the kernel's rows and columns. An
infinity that depends on it is said in `Tally.ordered`.
"""

from __future__ import annotations

import numpy as np

from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.engine.number import cut, exponents, half_away

REACH = 1 << 31
"""2^15 in steps of 2^-16."""
LEAST = -16
"""The least sum of exponents of a product that is kept."""
_ROOM = 1 << 20


def walked(left: Array, right: Array, first: Array | None, wanted: Array) -> Array:
    """Results of `wanted` [batch, rows, columns], one after another: left [batch, rows, inner], right [batch, inner,
    columns], first [batch, rows] in steps of 2^-16."""
    batch, rows, columns = np.nonzero(wanted)
    result = np.empty(len(batch), np.float32)
    step = max(1, _ROOM // left.shape[2])
    for start in range(0, len(batch), step):
        part = slice(start, start + step)
        b, r, c = batch[part], rows[part], columns[part]
        begun = np.zeros(len(b), np.int64) if first is None else first[b, r]
        result[part] = _in_order(steps_of(left[b, r], right[b, :, c]), begun)
    return result


def steps_of(weights: Array, values: Array) -> Array:
    """int64: products of equal shapes in steps of 2^-16, as the multiplier gives them."""
    exact = weights.astype(np.float64) * values.astype(np.float64) * 2.0**16
    rounded = np.copysign(np.floor(np.abs(exact) + 0.5), exact).astype(np.int64)
    kept = exponents(weights).astype(np.int16) + exponents(values) >= LEAST
    return np.where(kept, rounded, 0)


def _in_order(steps: Array, begun: Array) -> Array:
    """[n, inner] and [n]: the sums, infinite from the first moment on at which they reach the limit."""
    sums = np.cumsum(np.column_stack([begun, steps]).astype(np.float64), axis=1)  # whole numbers below 2^53
    over = np.abs(sums) >= REACH
    moment = sums[np.arange(len(sums)), over.argmax(axis=1)].astype(np.float32)
    infinite = np.copysign(np.float32(np.inf), moment)
    return np.where(over.any(axis=1), infinite, half_away(cut(sums[:, -1] / 2.0**16)))
