"""Quantisers: what a compressed parameter holds, and the exact fp16 tensor that Core ML makes of it.

int8 and int4 are symmetric with one fp16 scale per output channel (axis 0): scale = max |x| / 127 or / 7. A palette is
a table of 2^bits fp16 values, one per tensor or per group of output channels, found by k-means (Lloyd, 1982).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.half import round_to_half
from mctc.ir.op import Array
from mctc.ir.program import PALETTE_BITS, Quantization
from mctc.records import dataclass

LEVELS = {"int8": 127, "int4": 7}
SMALLEST = 2.0**-24  # of fp16's numbers above 0: with a scale below it, codes would be steps of it
BLOCK = 1 << 17  # numbers that are quantised at a time
ITERATIONS = 40  # of Lloyd's algorithm; it stops earlier when no centre moves


class QuantizeError(MctcError):
    """A tensor or scheme that cannot be quantised."""


@dataclass(frozen=True, eq=False)
class Scaled:
    """codes * scale. `codes` is int8 (of `bits` bits); `scale` is fp16, of extent 1 but along the output channels.

    wide: whether an artifact keeps the product in fp32.
    """

    bits: int
    codes: Array
    scale: Array
    wide: bool = False

    @property
    def parts(self) -> tuple[Array, Array]:
        """What is stored of it: the codes, and what makes numbers of them."""
        return self.codes, self.scale

    def dequantize(self) -> Array:
        """The fp16 tensor: the product is exact in fp32 and rounded once, or not at all where it is kept wide."""
        values = self.values()
        return values if self.wide else values.astype(np.float16)

    def values(self) -> Array:
        """The same numbers in float32, at a third of the time."""
        product: Array = np.multiply(self.codes, self.scale.astype(np.float32), dtype=np.float32)
        return product if self.wide else round_to_half(product, in_place=True)


@dataclass(frozen=True, eq=False)
class Palette:
    """table[group of the output channel, code]. `codes` is uint8; `table` is fp16 [groups, 2^bits].

    `axis` is where the output channels lie.
    """

    bits: int
    codes: Array
    table: Array
    axis: int = 0

    @property
    def parts(self) -> tuple[Array, Array]:
        """What is stored of it: the codes, and what makes numbers of them."""
        return self.codes, self.table

    def dequantize(self) -> Array:
        """The fp16 tensor."""
        groups = self.table.shape[0]
        codes = np.moveaxis(self.codes, self.axis, 0)
        values = np.take_along_axis(self.table, codes.reshape(groups, -1).astype(np.intp), axis=1)
        return np.moveaxis(values.reshape(codes.shape), 0, self.axis)

    def values(self) -> Array:
        """The same numbers in float32."""
        return self.dequantize().astype(np.float32)


Quantized = Scaled | Palette


def quantize(array: Array, how: Quantization) -> Quantized:
    """Quantises a tensor of any shape; its output channels lie along `how.axis`.

    Raises QuantizeError for an unknown scheme, values that are not finite in fp16, and groups that do not divide the
    output channels.
    """
    array = np.asarray(array)
    if how.scheme in LEVELS:
        return replace(_scaled(np.asarray(array, np.float32), how.scheme, how.axis), wide=how.wide)
    if how.scheme != "palette":
        raise QuantizeError(f"there is no scheme {how.scheme}; there are int8, int4 and palette")
    if how.bits not in PALETTE_BITS:
        raise QuantizeError(f"a palette has 1, 2, 3, 4, 6 or 8 bits, not {how.bits}")
    half = _half(array)
    _check_finite(half)
    channels = half.shape[how.axis] if half.ndim else 1
    group = how.group or channels
    if channels % group:
        raise QuantizeError(f"groups of {group} do not divide the {channels} output channels")
    return _palette(half, how.bits, channels // group, how.axis)


def farthest(how: Quantization, largest: float) -> float:
    """How far a stored number may be from the one that it stands for; `largest` is the largest magnitude of a tensor.

    Codes are the nearest on a grid of 2 * levels steps; its scale and the product are rounded to fp16, by 2^-11 of
    what they are or by 2^-25. Values of a palette are means of what they stand for, so they lie in its range.
    """
    levels = LEVELS.get(how.scheme)
    if levels is None:
        return 2 * largest * (1 + 2.0**-11) + 2.0**-25
    return largest * (0.5 / levels + 2 * 2.0**-11) + (levels + 1) * 2.0**-25


def _half(array: Array) -> Array:
    """In fp16, infinite where that can't hold it."""
    with np.errstate(over="ignore"):
        return np.asarray(array).astype(np.float16)


def _check_finite(half: Array) -> None:
    if not np.isfinite(half).all():
        raise QuantizeError("the tensor has values that are not finite in fp16")


def _scaled(array: Array, scheme: str, axis: int) -> Scaled:
    """Some output channels at a time where each lies in one piece, as many as a processor's cache holds."""
    bits, levels = (8 if scheme == "int8" else 4), LEVELS[scheme]
    if axis or array.ndim < 2 or array.size <= BLOCK:
        others = tuple(i for i in range(array.ndim) if i != axis) if array.ndim > 1 else None
        steps, scale = _coded(array, levels, others)
        return Scaled(bits, steps.astype(np.int8), scale)
    codes, scales, step = np.empty(array.shape, np.int8), [], max(1, BLOCK * len(array) // array.size)
    for begin in range(0, len(array), step):
        part = slice(begin, begin + step)
        codes[part], scale = _coded(array[part], levels, tuple(range(1, array.ndim)))
        scales.append(scale)
    return Scaled(bits, codes, np.concatenate(scales))


def _coded(array: Array, levels: int, axes: tuple[int, ...] | None) -> tuple[Array, Array]:
    """Whole numbers in float32, and the scales that they are steps of."""
    largest, least = (extreme(array, axis=axes, keepdims=True, initial=0.0) for extreme in (np.max, np.min))
    peak = np.maximum(largest, -least)
    _check_finite(_half(peak))
    scale = np.maximum((peak / levels).astype(np.float16), np.float16(SMALLEST))
    scale = np.where(peak == 0, np.float16(1), scale)
    steps = array / scale.astype(np.float32)
    return np.clip(np.rint(steps, out=steps), -levels, levels, out=steps), scale


def _palette(half: Array, bits: int, groups: int, axis: int) -> Palette:
    moved = np.moveaxis(half, axis, 0) if half.ndim else half
    rows = moved.reshape(groups, -1)
    codes = np.empty(rows.shape, np.uint8)
    table = np.empty((groups, 1 << bits), np.float16)
    for index, row in enumerate(rows):
        table[index], codes[index] = _cluster(row, 1 << bits)
    placed: Array = codes.reshape(moved.shape)
    return Palette(bits, np.ascontiguousarray(np.moveaxis(placed, 0, axis)) if half.ndim else placed, table, axis)


def _cluster(row: Array, size: int) -> tuple[Array, Array]:
    """A sorted table of `size` fp16 values for a vector of fp16, and the code of every entry."""
    # An fp16 tensor has at most 65536 different values: the clustering runs over those, weighted by their counts.
    bits = (row + np.float16(0)).view(np.uint16)  # -0 becomes 0
    counts = np.bincount(bits, minlength=1 << 16)
    patterns = np.flatnonzero(counts).astype(np.uint16)
    points = patterns.view(np.float16).astype(np.float64)
    order = np.argsort(points)
    patterns, points, weights = patterns[order], points[order], counts[patterns[order]].astype(np.float64)
    centres = lloyd(points, weights, size).astype(np.float16)
    table = np.sort(centres)
    code_of = np.zeros(1 << 16, np.uint8)
    code_of[patterns] = _nearest(points, table.astype(np.float64))
    return table, code_of[bits]


def lloyd(points: Array, weights: Array, size: int) -> Array:
    """`size` centres for sorted points of positive weights, by k-means from quantiles of the points (Lloyd, 1982)."""
    if points.size <= size:
        return np.concatenate([points, np.full(size - points.size, points[-1])])
    mass = np.concatenate([[0.0], np.cumsum(weights)])
    moment = np.concatenate([[0.0], np.cumsum(weights * points)])
    targets = (np.arange(size) + 0.5) / size * mass[-1]
    centres = np.unique(points[np.searchsorted(mass[1:], targets)])
    centres = _refilled(centres, points, size)
    for _ in range(ITERATIONS):
        edges = np.concatenate([[0], np.searchsorted(points, (centres[1:] + centres[:-1]) / 2), [points.size]])
        total = np.diff(mass[edges])
        moved = np.where(total > 0, np.diff(moment[edges]) / np.where(total > 0, total, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = np.sort(moved)
    return centres


def _refilled(centres: Array, points: Array, size: int) -> Array:
    """Adds the points farthest from their centre until there are `size` centres (quantiles of few values repeat)."""
    while centres.size < size:
        distance = np.abs(points - centres[_nearest(points, centres)])
        missing = min(size - centres.size, max(1, size // 8))
        farthest = points[np.argsort(-distance, kind="stable")[:missing]]
        centres = np.unique(np.concatenate([centres, farthest]))
    return centres


def _nearest(points: Array, centres: Array) -> Array:
    """The index of the nearest of the sorted centres for every point."""
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, points, side="left")
