"""int8 by int8: sums in signed 32 bits, scales at the end (751K, notes/numerics.md H50)."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mctc.evaluate.coreml.ops.arguments import along, integer
from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.engine.contractions import columns_of
from mctc.evaluate.engine.number import cut, half_away
from mctc.records import dataclass

REACH = float(1 << 31)
"""A sum of this magnitude is infinite: 2^30 was exact, 2^31 was not."""
_EXACT = float(1 << 53)


@dataclass(frozen=True)
class Scales:
    """What an entry of 1 stands for: of x, and of the weight, for each of its output channels (or for all)."""

    x: float
    weight: Array


def integer_convolution(constants: Mapping[str, Any], scales: Scales) -> Callable[..., Array]:
    """The call of a conv whose x and weight are dequantised from int8 without zero points.

    fp16 holds a product of a scale and an int8 to 2^-11 of it, so dividing by the scale gives the int8 again. The bias
    is added after the scales, which isn't published.
    """

    def apply(**variable: Any) -> Array:
        given = {**constants, **variable}
        weight, groups = given["weight"], integer(given.get("groups", 1))
        of_rows = along(np.broadcast_to(scales.weight.reshape(-1), weight.shape[:1]), 0, weight.ndim)
        whole = {**given, "x": np.rint(given["x"] / np.float32(scales.x)), "weight": np.rint(weight / of_rows)}
        columns, out = columns_of(whole)
        left = whole["weight"].reshape(groups, weight.shape[0] // groups, -1)
        sums = integer_sums(left, columns).reshape(len(columns), weight.shape[0], *out)
        scale = along(of_rows.reshape(-1).astype(np.float64) * scales.x, 1, sums.ndim)
        bias = given.get("bias")
        found = sums * scale + (0.0 if bias is None else along(np.asarray(bias, np.float64), 1, sums.ndim))
        return half_away(cut(found))

    return apply


def integer_sums(left: Array, right: Array) -> Array:
    """float64 [n, groups, rows, columns] of whole numbers: left [groups, rows, inner], right [n, groups, inner,
    columns]. Infinite where a sum reaches 2^31; partial sums beyond it that come back are not looked for where the
    magnitudes stay below."""
    sums = np.matmul(left.astype(np.float64), right.astype(np.float64))
    if left.shape[-1] * 128.0 * 128.0 < REACH:
        return sums
    steps = np.cumsum(left[None, :, :, :, None] * right[:, :, None].astype(np.float64), axis=3)
    over = np.abs(steps) >= REACH
    moment = np.take_along_axis(steps, over.argmax(axis=3, keepdims=True), axis=3)[:, :, :, 0]
    return np.where(over.any(axis=3), np.copysign(np.inf, moment), sums)
