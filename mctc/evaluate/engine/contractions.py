"""Convolutions and matrix products in the engine's accumulator, as calls of MIL's ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mctc.evaluate.coreml.ops.arguments import flag, integer, positive
from mctc.evaluate.coreml.ops.windows import pad_spatial, paddings, windows
from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.engine.accumulator import Matrices, products
from mctc.evaluate.engine.number import decoded
from mctc.evaluate.engine.tally import Tally

Call = Callable[..., Array]


def convolution(constants: Mapping[str, Any], tally: Tally | None) -> Call:
    """The call of a conv, of which some operands are constant."""
    kept = _by_group(constants["weight"], constants.get("groups", 1)) if "weight" in constants else None

    def apply(**variable: Any) -> Array:
        return _convolve({**constants, **variable}, kept, tally)

    return apply


def _by_group(weight: Array, groups: Any) -> Matrices:
    """[groups, out / groups, in / groups * kernel], whose last axis is the assumed order of the sum."""
    count = integer(groups)
    return Matrices.of(weight.reshape(count, weight.shape[0] // count, -1))


def _convolve(given: Mapping[str, Any], kept: Matrices | None, tally: Tally | None) -> Array:
    weight, groups = given["weight"], integer(given.get("groups", 1))
    columns, out = columns_of(given)
    matrices = kept or _by_group(weight, groups)
    bias = given.get("bias")
    start = None if bias is None else np.asarray(bias, np.float32).reshape(groups, -1)
    made = [products(matrices, item, start, tally) for item in columns]
    return np.stack(made).reshape(len(columns), weight.shape[0], *out)


def columns_of(given: Mapping[str, Any]) -> tuple[Array, tuple[int, ...]]:
    """The windows of a conv's x as columns [n, groups, in / groups * kernel, results], and the spatial extents of the
    result. Raises ValueError for operands that don't fit."""
    x, weight, groups = decoded(given["x"]), given["weight"], integer(given.get("groups", 1))
    rank = x.ndim - 2
    step, spread = (
        [1] * rank if given.get(name) is None else positive(given[name], name) for name in ("strides", "dilations")
    )
    kernel = weight.shape[2:]
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ValueError(f"{x.shape[1]} channels in {groups} groups don't fit the weight {list(weight.shape)}")
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, spread, strict=True)]
    padded = pad_spatial(x, paddings(given.get("pad_type", "valid"), given.get("pad"), x.shape[2:], extents, step))
    view = windows(padded, kernel, step, spread)
    out = view.shape[2 : 2 + rank]
    taps_first = np.moveaxis(view, range(2 + rank, 2 + 2 * rank), range(2, 2 + rank))
    return taps_first.reshape(x.shape[0], groups, -1, int(np.prod(out))), out


def linear(constants: Mapping[str, Any], tally: Tally | None) -> Call:
    """The call of a linear: x weight.T + bias."""
    kept = Matrices.of(constants["weight"][None]) if "weight" in constants else None

    def apply(**variable: Any) -> Array:
        given = {**constants, **variable}
        x, weight, bias = given["x"], given["weight"], given.get("bias")
        rows = np.reshape(x, (1, -1, x.shape[-1]))
        start = None if bias is None else np.asarray(bias, np.float32)[None]
        made = products(kept or Matrices.of(weight[None]), np.swapaxes(rows, 1, 2), start, tally)
        return np.swapaxes(made, 1, 2).reshape(*x.shape[:-1], weight.shape[0])

    return apply


def matmul(constants: Mapping[str, Any], tally: Tally | None) -> Call:
    """The call of a matmul. A constant matrix is prepared once, whichever side it stands on."""
    known = {name: _turned(constants, name) for name in ("x", "y") if name in constants}
    right = known.get("y")
    kept = Matrices.of(np.swapaxes(right, -1, -2)[None]) if right is not None and right.ndim == 2 else None

    def apply(**variable: Any) -> Array:
        given = {**constants, **variable}
        left = known["x"] if "x" in known else _turned(given, "x")
        other = known["y"] if "y" in known else _turned(given, "y")
        return _times_constant(left, kept, tally) if kept is not None else _times(left, other, tally)

    return apply


def _turned(given: Mapping[str, Any], name: str) -> Array:
    matrix: Array = given[name]
    return np.swapaxes(matrix, -1, -2) if flag(given.get(f"transpose_{name}", False)) else matrix


def _times_constant(left: Array, kept: Matrices, tally: Tally | None) -> Array:
    """left [..., rows, inner] times one matrix: all of its rows are columns of the transposed product."""
    rows = np.reshape(left, (1, -1, left.shape[-1]))
    made = products(kept, np.swapaxes(rows, 1, 2), None, tally)
    return np.swapaxes(made, 1, 2).reshape(*left.shape[:-1], kept.values.shape[1])


def _times(left: Array, right: Array, tally: Tally | None) -> Array:
    if left.ndim == 1 or right.ndim == 1:  # a vector is a row on the left, a column on the right
        one, other = np.atleast_2d(left), right[:, None] if right.ndim == 1 else right
        axes = tuple(axis for axis, each in ((-2, left), (-1, right)) if each.ndim == 1)
        return _times(one, other, tally).squeeze(axis=axes)
    lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    one = np.broadcast_to(left, (*lead, *left.shape[-2:])).reshape(-1, *left.shape[-2:])
    other = np.broadcast_to(right, (*lead, *right.shape[-2:])).reshape(-1, *right.shape[-2:])
    made = products(Matrices.of(one), other, None, tally)
    return made.reshape(*lead, left.shape[-2], right.shape[-1])
