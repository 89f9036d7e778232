"""Reading and writing at computed places.

An index out of range is an error. A negative one counts from the end, but is out of range with validate_indices (iOS
17 and later).
"""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.arguments import flag, integer
from mctc.evaluate.coreml.precision import Array

_UPDATES: dict[str, Callable[[Array, Any, Array], None]] = {
    "add": np.add.at,
    "sub": np.subtract.at,
    "mul": np.multiply.at,
    "div": np.divide.at,
    "max": np.maximum.at,
    "min": np.minimum.at,
}


def _apply(target: Array, index: Any, updates: Array, mode: str) -> None:
    if mode == "update":
        target[index] = updates
    elif mode == "div" and target.dtype.kind != "f":
        np.floor_divide.at(target, index, updates)
    elif mode in _UPDATES:
        _UPDATES[mode](target, index, updates)
    else:
        raise ValueError(f"there is no scatter mode '{mode}'")


def _valid(indices: Array, extents: Any, validate: Any) -> Array:
    """The indices. Raises IndexError when they are to be validated and one isn't from 0 to below its extent."""
    if flag(validate) and ((indices < 0) | (indices >= np.asarray(extents))).any():
        raise IndexError("indices out of range, and validate_indices is set")
    return indices


@op("gather", exact=True, note="batch_dims; scalar and tensor indices")
def gather(x: Array, indices: Array, axis: Any = 0, batch_dims: Any = 0, validate_indices: Any = False) -> Array:
    """Slices of x along an axis, chosen by indices."""
    place, batch = integer(axis) % x.ndim, integer(batch_dims)
    indices = _valid(indices, x.shape[place], validate_indices)
    if not batch:
        return np.take(x, indices, axis=place)
    leading = x.shape[:batch]
    flat, chosen = x.reshape(-1, *x.shape[batch:]), indices.reshape(-1, *indices.shape[batch:])
    parts = [np.take(item, where, axis=place - batch) for item, where in zip(flat, chosen, strict=True)]
    return np.stack(parts).reshape(*leading, *parts[0].shape)


@op("gather_along_axis", exact=True)
def gather_along_axis(x: Array, indices: Array, axis: Any = 0, validate_indices: Any = False) -> Array:
    """x[..., indices[..., i, ...], ...] for every place of indices."""
    place = integer(axis)
    return np.take_along_axis(x, _valid(indices, x.shape[place], validate_indices).astype(np.int64), axis=place)


@op("gather_nd", exact=True, note="batch_dims")
def gather_nd(x: Array, indices: Array, batch_dims: Any = 0, validate_indices: Any = False) -> Array:
    """x at the places that the last axis of indices spells out."""
    batch = integer(batch_dims)
    indices = _valid(indices, x.shape[batch : batch + indices.shape[-1]], validate_indices)
    if not batch:
        return np.asarray(x[tuple(np.moveaxis(indices, -1, 0))])
    leading = x.shape[:batch]
    flat, chosen = x.reshape(-1, *x.shape[batch:]), indices.reshape(-1, *indices.shape[batch:])
    parts = [item[tuple(np.moveaxis(where, -1, 0))] for item, where in zip(flat, chosen, strict=True)]
    return np.stack(parts).reshape(*leading, *np.shape(parts[0]))


@op("scatter", result="data", same=("data", "updates"), note="modes update, add, sub, mul, div, max, min")
def scatter(
    data: Array, indices: Array, updates: Array, axis: Any = 0, mode: str = "add", validate_indices: Any = False
) -> Array:
    """data with slices along an axis updated."""
    place = integer(axis) % data.ndim
    result = np.moveaxis(data, place, 0).copy()
    flat = updates.reshape(*data.shape[:place], prod(indices.shape), *data.shape[place + 1 :])
    _apply(result, _valid(indices, data.shape[place], validate_indices).reshape(-1), np.moveaxis(flat, place, 0), mode)
    return np.moveaxis(result, 0, place)


@op("scatter_along_axis", result="data", same=("data", "updates"), note="modes as scatter")
def scatter_along_axis(
    data: Array, indices: Array, updates: Array, axis: Any = 0, mode: str = "add", validate_indices: Any = False
) -> Array:
    """data updated at [..., indices[..., i, ...], ...]."""
    place = integer(axis) % data.ndim
    index: list[Array] = list(np.indices(indices.shape, sparse=True))
    index[place] = _valid(indices, data.shape[place], validate_indices)
    result = data.copy()
    _apply(result, tuple(index), updates, mode)
    return result


@op("scatter_nd", result="data", same=("data", "updates"), note="modes as scatter")
def scatter_nd(data: Array, indices: Array, updates: Array, mode: str = "add", validate_indices: Any = False) -> Array:
    """data updated at the places that the last axis of indices spells out."""
    result = data.copy()
    _valid(indices, data.shape[: indices.shape[-1]], validate_indices)
    _apply(result, tuple(np.moveaxis(indices, -1, 0)), updates, mode)
    return result
