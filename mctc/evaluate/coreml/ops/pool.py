"""Pooling over one to three spatial axes."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.arguments import along, flag, positive
from mctc.evaluate.coreml.ops.windows import pad_spatial, paddings, windows
from mctc.evaluate.coreml.precision import Array


def amounts(
    x: Array, kernel: Sequence[int], strides: Sequence[int], pad_type: str, pad: Any, ceil_mode: bool
) -> list[tuple[int, int]]:
    """Elements around each axis; in ceil mode also those behind that a last, partial window reaches."""
    around = paddings(pad_type, pad, x.shape[2:], kernel, strides)
    if not ceil_mode:
        return around
    found = []
    for size, extent, stride, (before, after) in zip(x.shape[2:], kernel, strides, around, strict=True):
        count = -(-(size + before + after - extent) // stride) + 1
        if (count - 1) * stride >= size + before and before + after > 0:
            count -= 1  # a window that would start in the padding behind is left out
        found.append((before, max((count - 1) * stride + extent - size - before, 0)))
    return found


def _pooled(
    x: Array, kernel_sizes: Any, strides: Any, pad_type: str, pad: Any, ceil_mode: Any, value: float, combine: np.ufunc
) -> Array:
    """The elements of each window combined, along one axis after the other; `value` is what is around."""
    kernel = positive(kernel_sizes, "kernel_sizes")
    steps = positive(strides, "strides") if strides is not None else [1] * len(kernel)
    pooled = pad_spatial(x, amounts(x, kernel, steps, pad_type, pad, flag(ceil_mode)), value)
    if any(extent > size for extent, size in zip(kernel, pooled.shape[2:], strict=True)):
        raise ValueError(f"a window of {kernel} doesn't fit into {list(pooled.shape[2:])}")
    for axis, (extent, step) in enumerate(zip(kernel, steps, strict=True), 2):
        pooled = _pooled_along(pooled, axis, extent, step, combine)
    return pooled


def _pooled_along(x: Array, axis: int, extent: int, step: int, combine: np.ufunc) -> Array:
    last = (x.shape[axis] - extent) // step * step
    if last == 0:
        return np.asarray(combine.reduce(_cut(x, axis, slice(0, extent)), axis=axis, keepdims=True))
    result = _cut(x, axis, slice(0, last + 1, step)).copy()
    for tap in range(1, extent):
        combine(result, _cut(x, axis, slice(tap, tap + last + 1, step)), out=result)
    return result


def _cut(x: Array, axis: int, part: slice) -> Array:
    place: Any = (*(slice(None),) * axis, part)
    return x[place]


@op("max_pool", exact=True, note="ceil mode")
def max_pool(
    x: Array, kernel_sizes: Any, pad_type: str = "valid", strides: Any = None, pad: Any = None, ceil_mode: Any = False
) -> Array:
    """The largest element of each window; padding never wins."""
    return _pooled(x, kernel_sizes, strides, pad_type, pad, ceil_mode, -np.inf, np.maximum)


@op("avg_pool", note="ceil mode, exclude_padding_from_average")
def avg_pool(
    x: Array,
    kernel_sizes: Any,
    pad_type: str = "valid",
    strides: Any = None,
    pad: Any = None,
    exclude_padding_from_average: Any = False,
    ceil_mode: Any = False,
) -> Array:
    """The mean of each window, padding counted as zeros or not at all; what ceil mode adds is never counted."""
    total = _pooled(x, kernel_sizes, strides, pad_type, pad, ceil_mode, 0.0, np.add)
    kernel = positive(kernel_sizes, "kernel_sizes")
    steps = positive(strides, "strides") if strides is not None else [1] * len(kernel)
    count = np.ones([1] * x.ndim, np.float32)
    for axis, counted in enumerate(_counts(x, kernel, steps, pad_type, pad, ceil_mode, exclude_padding_from_average)):
        count = count * along(counted, axis + 2, x.ndim)
    return total / count


def _counts(
    x: Array, kernel: list[int], strides: list[int], pad_type: str, pad: Any, ceil_mode: Any, exclude: Any
) -> list[Array]:
    """For each axis, how many elements each window averages over; a window's count is the product."""
    around = paddings(pad_type, pad, x.shape[2:], kernel, strides)
    reached = amounts(x, kernel, strides, pad_type, pad, flag(ceil_mode))
    found = []
    for axis, (before, after) in enumerate(reached):
        size = x.shape[axis + 2]
        places = np.arange(-before, size + after)
        low, high = (0, size) if flag(exclude) else (-around[axis][0], size + around[axis][1])
        counted = ((places >= low) & (places < high)).astype(np.float32)
        found.append(windows(counted[None, None], [kernel[axis]], [strides[axis]], [1]).sum(axis=-1)[0, 0])
    return found


@op("l2_pool")
def l2_pool(
    x: Array, kernel_sizes: Any, pad_type: str = "valid", strides: Any = None, pad: Any = None, ceil_mode: Any = False
) -> Array:
    """The square root of the sum of squares of each window."""
    return np.sqrt(_pooled(np.square(x), kernel_sizes, strides, pad_type, pad, ceil_mode, 0.0, np.add))
