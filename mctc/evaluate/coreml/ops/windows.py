"""Padding of spatial axes and the windows over them, for convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mctc.evaluate.coreml.ops.arguments import integers
from mctc.evaluate.coreml.precision import Array

BOTH = (slice(None), slice(None))
"""The axes of items and channels."""


def paddings(
    pad_type: str, pad: Any, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    """Elements added before and after each spatial axis; `kernel` holds the dilated extents.

    "same" gives ceil(size / stride) results and puts the odd element behind, "same_lower" in front.
    """
    kind = str(pad_type).lower()
    if kind == "valid":
        return [(0, 0)] * len(sizes)
    if kind == "custom":
        flat = integers(pad) if pad is not None else [0] * (2 * len(sizes))
        if len(flat) != 2 * len(sizes):
            raise ValueError(f"pad needs {2 * len(sizes)} numbers, it has {len(flat)}")
        return list(zip(flat[::2], flat[1::2], strict=True))
    if kind not in ("same", "same_lower"):
        raise ValueError(f"there is no pad_type '{pad_type}'")
    found = []
    for size, extent, stride in zip(sizes, kernel, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        small, large = total // 2, total - total // 2
        found.append((small, large) if kind == "same" else (large, small))
    return found


def pad_spatial(x: Array, amounts: Sequence[tuple[int, int]], value: float = 0.0) -> Array:
    """x with `value` around its spatial axes (the third onward)."""
    if not any(before or after for before, after in amounts):
        return x
    shape = (*x.shape[:2], *(n + a + b for n, (a, b) in zip(x.shape[2:], amounts, strict=True)))
    if any(n < 0 for n in shape) or any(n < 0 for pair in amounts for n in pair):
        raise ValueError(f"the padding {list(amounts)} is negative")
    padded = np.full(shape, value, x.dtype)
    inside = tuple(slice(a, a + n) for n, (a, _) in zip(x.shape[2:], amounts, strict=True))
    padded[BOTH + inside] = x
    return padded


def windows(x: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Array:
    """A view of shape (n, c, *out, *kernel): every window that lies inside x."""
    spatial: Any = tuple(range(2, x.ndim))
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if any(extent > size for extent, size in zip(extents, x.shape[2:], strict=True)):
        raise ValueError(f"a window of {extents} doesn't fit into {list(x.shape[2:])}")
    view: Array = sliding_window_view(x, tuple(extents), axis=spatial)
    steps = tuple(slice(None, None, s) for s in strides)
    taps = tuple(slice(None, None, d) for d in dilations)
    return view[BOTH + steps + taps]
