"""Convolution as matrix products over windows, in the form that costs least.

Copying windows costs far more than multiplying them where a kernel is wide and makes few channels. So there are three
forms. `by_taps`, for a kernel of its own for each channel, adds up the input shifted, tap after tap. `by_columns`
copies every window into a column, a block of them at a time, and multiplies by the weight. `by_bands` copies runs of
the last axis, each as long as several windows take together, and multiplies by a matrix that holds the kernel once for
each of these windows, shifted (a banded Toeplitz matrix): more products, most of them with zeros, and far fewer copies.
All sum in float32. Zeros times infinity are no zeros, so `by_bands` is for finite values.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as product_of
from math import prod
from typing import Any

import numpy as np

from mctc.evaluate.coreml.ops.windows import windows
from mctc.evaluate.coreml.precision import Array

BLOCK = 1 << 20
"""Elements that are copied at a time, unless one row of windows has more: what a processor's cache holds."""
COPY = 64
"""What it costs to copy an element, in multiply-accumulates of a large product. Only the choice depends on it."""
RUNS = (8, 16, 32, 64, 128)
"""Windows that a run holds."""
FEW = 1 << 14
"""Results below which there is nothing to choose."""


def run_length(x: Array, weight: Array, out: Sequence[int], stride: int, dilation: int, groups: int) -> int:
    """How many windows of the last axis to take in a run, 0 for columns; `out` holds the spatial extents of the result.

    Counted for a group: what is copied for the windows, what is multiplied, and what the banded matrix takes.
    """
    results = x.shape[0] * prod(out)
    outputs, inputs = weight.shape[0] // groups, prod(weight.shape[1:-1])
    taps = weight.shape[-1]
    if results * groups < FEW or taps == 1:
        return 0
    best, least = 0, results * inputs * taps * (COPY + outputs)
    for count in RUNS:
        extent = (count - 1) * stride + (taps - 1) * dilation + 1
        runs = -(-out[-1] // count) * (results // out[-1])
        made = outputs * count
        cost = runs * (inputs * extent * (COPY + made) + made * COPY) + inputs * extent * made * COPY
        if cost < least:
            best, least = count, cost
    return best


def by_taps(x: Array, weight: Array, out: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Array:
    """x (n, channels, *spatial), padded already, weight (channels, 1, *kernel): (n, channels, *out).

    Where there are more channels than places, they lie last meanwhile: numpy adds up long rows.
    """
    shifts = (
        [slice(t * d, t * d + (n - 1) * s + 1, s) for t in range(taps)]
        for taps, d, n, s in zip(weight.shape[2:], dilations, out, strides, strict=True)
    )
    by_tap = weight.reshape(weight.shape[0], -1).T
    turns = x.shape[1] > prod(out)
    if turns:
        x, by_tap = np.ascontiguousarray(np.moveaxis(x, 1, -1)), np.ascontiguousarray(by_tap)
        shape = (x.shape[0], *out, x.shape[-1])
    else:
        by_tap = by_tap.reshape(*by_tap.shape, *[1] * len(out))
        shape = (*x.shape[:2], *out)
    result, product = np.zeros(shape, np.float32), np.empty(shape, np.float32)
    for tap, shifted in zip(by_tap, product_of(*shifts)):
        here: Any = (slice(None), *shifted) if turns else (..., *shifted)
        np.multiply(x[here], tap, out=product)
        np.add(result, product, out=result)
    return np.ascontiguousarray(np.moveaxis(result, -1, 1)) if turns else result


def by_columns(x: Array, weight: Array, strides: Sequence[int], dilations: Sequence[int], groups: int) -> Array:
    """x (n, in, *spatial), padded already, weight (out, in / groups, *kernel): (n, out, *results)."""
    kernel = weight.shape[2:]
    view = windows(x, kernel, strides, dilations)
    rank = len(kernel)
    out = view.shape[2 : 2 + rank]
    taps_first = np.moveaxis(_grouped(view, groups), range(3 + rank, 3 + 2 * rank), range(3, 3 + rank))
    others = (slice(None),) * (rank - 1)
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1)
    result = np.empty((x.shape[0], groups, matrix.shape[1], *out), np.float32)
    for item in range(x.shape[0]):
        for rows in _blocks(out[0], groups * matrix.shape[2] * prod(out[1:])):
            place: Any = (item, ..., rows, *others)
            columns = taps_first[place].reshape(groups, matrix.shape[2], -1)
            made = np.matmul(matrix, columns)
            result[item, :, :, rows] = made.reshape(groups, matrix.shape[1], -1, *out[1:])
    return result.reshape(x.shape[0], weight.shape[0], *out)


def by_bands(
    x: Array, weight: Array, strides: Sequence[int], dilations: Sequence[int], groups: int, count: int
) -> Array:
    """As `by_columns`, with runs of `count` windows."""
    *lead, taps = weight.shape[2:]
    extent = (count - 1) * strides[-1] + (taps - 1) * dilations[-1] + 1
    last = (x.shape[-1] - (taps - 1) * dilations[-1] - 1) // strides[-1] + 1
    runs = -(-last // count)
    lacking = max(0, (runs - 1) * count * strides[-1] + extent - x.shape[-1])
    x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, lacking)])
    view = windows(x, (*lead, extent), (*strides[:-1], count * strides[-1]), (*dilations[:-1], 1))
    rank = len(lead) + 1
    out = view.shape[2 : 2 + rank]
    channels_inside = np.moveaxis(_grouped(view, groups), 2, 2 + rank)  # n, group, *out, channel, *kernel
    matrix = _banded(weight, groups, count, extent, strides[-1], dilations[-1])
    outputs = weight.shape[0] // groups
    result = np.empty((x.shape[0], groups, outputs, *out, count), np.float32)
    for item in range(x.shape[0]):
        for rows in _blocks(out[0], groups * matrix.shape[1] * prod(out[1:])):
            made = np.matmul(channels_inside[item, :, rows].reshape(groups, -1, matrix.shape[1]), matrix)
            shaped = made.reshape(groups, -1, *out[1:], outputs, count)
            result[item, :, :, rows] = np.moveaxis(shaped, -2, 1)
    joined = result.reshape(x.shape[0], weight.shape[0], *out[:-1], runs * count)
    return joined[..., :last]


def _banded(weight: Array, groups: int, count: int, extent: int, stride: int, dilation: int) -> Array:
    """(group, in * lead * extent, out * count): the kernel at each of `count` places of a run."""
    outputs, inputs, *lead, taps = weight.shape
    by_group = weight.reshape(groups, outputs // groups, inputs, *lead, taps)
    sources = np.moveaxis(by_group, 1, -1)  # group, in, *lead, tap, out
    matrix = np.zeros((groups, inputs, *lead, extent, outputs // groups, count), np.float32)
    for place in range(count):
        start = place * stride
        matrix[..., start : start + (taps - 1) * dilation + 1 : dilation, :, place] = sources
    return matrix.reshape(groups, inputs * prod(lead) * extent, -1)


def _grouped(view: Array, groups: int) -> Array:
    """The channel axis in two, group and channel; a view stays one."""
    items, channels, *rest = view.shape
    per_group = channels // groups
    strides = view.strides
    return np.lib.stride_tricks.as_strided(
        view, (items, groups, per_group, *rest), (strides[0], strides[1] * per_group, *strides[1:]), writeable=False
    )


def _blocks(rows: int, elements: int) -> list[slice]:
    """Slices over the first axis of the results, for rows of so many elements to copy."""
    step = max(1, BLOCK // max(elements, 1))
    return [slice(start, start + step) for start in range(0, rows, step)]
