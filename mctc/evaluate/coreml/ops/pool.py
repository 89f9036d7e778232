"""Pooling over one to three spatial axes."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.arguments import flag, integers
from mctc.evaluate.coreml.ops.convolution import pad_spatial, paddings, windows
from mctc.evaluate.coreml.precision import Array


def _amounts(
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


def _windows(
    x: Array, kernel_sizes: Any, strides: Any, pad_type: str, pad: Any, ceil_mode: Any, value: float
) -> tuple[Array, tuple[int, ...]]:
    kernel = integers(kernel_sizes)
    steps = integers(strides) if strides is not None else [1] * len(kernel)
    padded = pad_spatial(x, _amounts(x, kernel, steps, pad_type, pad, flag(ceil_mode)), value)
    return windows(padded, kernel, steps, [1] * len(kernel)), tuple(range(-len(kernel), 0))


@op("max_pool", exact=True, note="ceil mode")
def max_pool(
    x: Array, kernel_sizes: Any, pad_type: str = "valid", strides: Any = None, pad: Any = None, ceil_mode: Any = False
) -> Array:
    """The largest element of each window; padding never wins."""
    view, axes = _windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode, -np.inf)
    return view.max(axis=axes)


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
    view, axes = _windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode, 0.0)
    total = view.sum(axis=axes)
    steps = integers(strides) if strides is not None else [1] * len(axes)
    around = paddings(pad_type, pad, x.shape[2:], integers(kernel_sizes), steps)
    counted = np.ones((1, 1, *x.shape[2:]), np.float32)
    if not flag(exclude_padding_from_average):
        counted = pad_spatial(counted, around, 1.0)
        pad, pad_type = None, "valid"
    count = _windows(counted, kernel_sizes, strides, pad_type, pad, ceil_mode, 0.0)[0].sum(axis=axes)
    return total / count


@op("l2_pool")
def l2_pool(
    x: Array, kernel_sizes: Any, pad_type: str = "valid", strides: Any = None, pad: Any = None, ceil_mode: Any = False
) -> Array:
    """The square root of the sum of squares of each window."""
    view, axes = _windows(np.square(x), kernel_sizes, strides, pad_type, pad, ceil_mode, 0.0)
    return np.sqrt(view.sum(axis=axes))
