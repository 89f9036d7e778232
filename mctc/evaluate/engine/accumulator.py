"""Sums of products in the engine's accumulator: signed fixed point of 32 bits, 16 of them behind the point.

What is published (751K, notes/numerics.md, M4 and M6 equal):

* A product of exponents ex + ew >= -16 rounds to 2^-16, ties away from zero. Others are dropped whole.
* The bias is the first value of the sum, rounded the same way.
* A sum whose magnitude reaches 2^15 at any moment is infinite from then on.
* The result rounds to fp16, ties away from zero; -0 becomes +0.

How it is computed here, exactly:

* The product of two fp16 numbers below 16 is exact in float32. 192 is added: from 128 to 256 the last bit of a float32
  number weighs 2^-16, so the addition rounds, and the bits are the integer but for a constant. Integers of 32 bits wrap
  around, so the sum of the bits is right whenever the sum itself is within 2^15.
* That addition rounds ties to even. So the weight is the next larger float32 number: it takes every product off a tie
  by one or two last places (of 2^-23), and no other product to one, whose distance is 2^-22 of it at least.
* Products that reach 16 are added in float64, where the same holds with 1.5 * 2^36 and 2^-40.
* Products that are dropped, but that this would round to something, have exponents that add up to -17 or -18. They are
  few: each is found by the exponents of its factors, and taken off the sum again (`dropped.py`).
* Only a sum of magnitudes that reaches 2^15 can overflow. Such results are summed in order (`walk.py`).
"""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.engine.dropped import DROPPED, Small, dropped_count, dropped_sums, small_weights
from mctc.evaluate.engine.number import cut, decoded, half_away
from mctc.evaluate.engine.tally import Tally
from mctc.evaluate.engine.walk import walked
from mctc.records import dataclass

LIMIT = 2.0**15
SCALE = 2.0**16
BIAS = 127
"""Of float32's exponents."""
NARROW = 16.0
"""Products below it are rounded in float32."""
_MAGIC, _BITS = np.float32(192), 0x43400000
_WIDE_MAGIC = 1.5 * 2.0**36
_WIDE_BITS = int(np.float64(_WIDE_MAGIC).view(np.int64))
_ROOM = 1 << 17
"""Products that are held at a time: what a processor's cache holds."""


@dataclass(frozen=True)
class Matrices:
    """The left factors [batch, rows, inner], fp16 numbers in float32; what is derived of them is kept."""

    values: Array

    @classmethod
    def of(cls, values: Array) -> Matrices:
        return cls(np.ascontiguousarray(decoded(values), np.float32))

    @cached_property
    def unit(self) -> bool:
        """Whether every entry is 0, 1 or -1: then products are the other factor."""
        return bool(np.isin(self.values, (-1.0, 0.0, 1.0)).all())

    @cached_property
    def norm(self) -> float:
        """The largest sum of magnitudes in a row."""
        return float(np.abs(self.values).sum(axis=2, dtype=np.float64).max(initial=0.0))

    @cached_property
    def peaks(self) -> Array:
        """[batch, inner]: the largest magnitude that each entry of the other factor meets."""
        return np.abs(self.values).max(axis=1, initial=0.0)

    @cached_property
    def nudged(self) -> Array:
        """[batch, inner, rows]: the next float32 number away from zero."""
        turned = np.ascontiguousarray(np.swapaxes(self.values, 1, 2))
        return np.where(turned == 0, turned, np.nextafter(turned, np.copysign(np.float32(np.inf), turned)))

    @cached_property
    def small(self) -> Small:
        return small_weights(self.values)


def products(left: Matrices, right: Array, start: Array | None = None, tally: Tally | None = None) -> Array:
    """left [batch, rows, inner] times right [batch, inner, columns], as fp16 numbers in float32.

    start: [batch, rows], the bias. tally: is told what came near the limit, and what was dropped.
    """
    right = np.ascontiguousarray(decoded(right), np.float32)
    first = None if start is None else fixed(decoded(start))
    if not right.size or not left.values.size:
        shape = (left.values.shape[0], left.values.shape[1], right.shape[2])
        return half_away(np.broadcast_to(0.0 if first is None else first[..., None] / SCALE, shape))
    few = left.values.size * right.shape[2] <= _ROOM
    sums = _unit_sums(left, right) if left.unit else _direct_sums(left.values, right) if few else _sums(left, right)
    if first is not None:
        sums = sums.astype(np.int64) + first[..., None]
    beyond = _may_overflow(left, right, first)
    result = half_away_of_steps(sums)
    if beyond is not None:
        result[beyond] = walked(left.values, right, first, beyond)
    if tally is not None:
        ordered = 0 if beyond is None else int(np.count_nonzero(beyond))
        tally.add(result, _count(left.values, right), lambda: dropped_count(left.small, right), ordered)
    return result


def _count(left: Array, right: Array) -> int:
    """How many products of two numbers that aren't zero there are."""
    return int((np.count_nonzero(left, axis=1) * np.count_nonzero(right, axis=2)).sum())


def fixed(values: Array) -> Array:
    """int64: numbers in steps of 2^-16, ties away from zero."""
    wide = np.asarray(values, np.float64) * SCALE
    return np.copysign(np.floor(np.abs(wide) + 0.5), wide).astype(np.int64)


def half_away_of_steps(sums: Array) -> Array:
    """fp16 numbers, in float32, of whole numbers of 2^-16 whose magnitudes are below 2^53."""
    if sums.dtype == np.float32:
        return half_away((sums + np.float32(0)) / np.float32(SCALE))  # no -0
    return half_away(cut(sums.astype(np.float64) / SCALE))


def _unit_sums(left: Matrices, right: Array) -> Array:
    """Of entries that are 0, 1 and -1: whole numbers below 2^53, so float64 is exact in any order; below 2^23, where
    half a step is still held, float32 is."""
    if left.norm * float(np.abs(right).max(initial=0.0)) * SCALE < 1 << 23:
        steps = np.copysign(np.floor(np.abs(right) * np.float32(SCALE) + np.float32(0.5)), right)
        return np.matmul(left.values, steps)
    return np.matmul(left.values.astype(np.float64), fixed(right).astype(np.float64))


def _direct_sums(left: Array, right: Array) -> Array:
    """int64 [batch, rows, columns] in steps of 2^-16, product by product: for few of them that is faster.

    A product has 22 bits, so half a step is added exactly, or to a whole number that is even and stays.
    """
    steps = left[..., None] * right[:, None] * np.float32(SCALE)
    rounded = np.copysign(np.floor(np.abs(steps) + np.float32(0.5)), steps)
    rounded *= _biased(left)[..., None] + _biased(right)[:, None] > 2 * BIAS + DROPPED
    return np.add.reduce(rounded, axis=2, dtype=np.float64).astype(np.int64)


def _biased(values: Array) -> Array:
    """int32: the exponents that the multiplier sees, and 127."""
    field = np.ascontiguousarray(values).view(np.int32) >> 23 & 0xFF
    return np.maximum(field, BIAS - 14)


def _sums(left: Matrices, right: Array) -> Array:
    """int32 or int64 [batch, rows, columns] in steps of 2^-16."""
    largest = left.peaks * np.abs(right).max(axis=2)
    wide = (largest >= NARROW).any(axis=0)
    if not wide.any():
        sums = _rounded(left.nudged, right)
    else:
        sums = _rounded(left.nudged[:, ~wide], right[:, ~wide]).astype(np.int64)
        sums += _rounded(_nudged_wide(left.values[:, :, wide]), right[:, wide].astype(np.float64))
    lost = dropped_sums(left.small, left.values.shape[:2], right)
    return sums if lost is None else sums - lost


def _nudged_wide(values: Array) -> Array:
    return np.swapaxes(values, 1, 2).astype(np.float64) * (1 + 2.0**-40)


def _rounded(weights: Array, right: Array) -> Array:
    """weights [batch, inner, rows], right [batch, inner, columns]: sums of rounded products [batch, rows, columns].

    The longer of rows and columns is the last axis, so that numpy's inner loops are long.
    """
    batch, inner, rows = weights.shape
    columns = right.shape[2]
    over, along = (weights, right) if rows >= columns else (right, weights)
    total = np.zeros((batch, along.shape[2], over.shape[2]), np.int32 if right.dtype == np.float32 else np.int64)
    for place in _tiles(total.shape):
        _add_tile(total[place], over[place[0], :, place[2]], along[place[0], :, place[1]])
    total -= _wrapped((_BITS if right.dtype == np.float32 else _WIDE_BITS) * inner, total.dtype)
    return np.swapaxes(total, 1, 2) if rows >= columns else total


def _wrapped(number: int, dtype: np.dtype[Any]) -> Any:
    """A whole number as a signed integer of a type holds it, the bits above left off."""
    bits = 8 * dtype.itemsize
    return dtype.type((number + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1))


def _add_tile(total: Array, over: Array, along: Array) -> None:
    """Adds the bits of all products, some of the inner axis at a time."""
    magic = _MAGIC if over.dtype == np.float32 else np.float64(_WIDE_MAGIC)
    step = max(1, _ROOM // max(total.size, 1))
    inner = over.shape[1]
    room = np.empty((total.shape[0], min(step, inner), *total.shape[1:]), over.dtype)
    for start in range(0, inner, step):
        part = slice(start, start + step)
        held = room[:, : min(step, inner - start)]
        np.multiply(over[:, part, None, :], along[:, part, :, None], out=held)
        np.add(held, magic, out=held)
        total += np.add.reduce(held.view(total.dtype), axis=1, dtype=total.dtype)


def _tiles(shape: tuple[int, ...]) -> list[tuple[slice, slice, slice]]:
    """Parts of [batch, along, over] of at most _ROOM elements: some of the batch, or of the middle axis."""
    batch, middle, last = shape
    if middle * last <= _ROOM:
        step = max(1, _ROOM // max(middle * last, 1))
        return [(slice(at, at + step), slice(None), slice(None)) for at in range(0, batch, step)]
    step, long = max(1, _ROOM // last), max(1, min(last, _ROOM))
    return [
        (slice(at, at + 1), slice(row, row + step), slice(begin, begin + long))
        for at in range(batch) for row in range(0, middle, step) for begin in range(0, last, long)
    ]  # fmt: skip


def _may_overflow(left: Matrices, right: Array, first: Array | None) -> Array | None:
    """Which results may have been beyond the limit at some moment: those whose magnitudes add up to it. None for none.

    Every product may round up by half a step, which the slack holds.
    """
    slack = left.values.shape[2] * 2.0**-17
    begun = 0.0 if first is None else float(np.abs(first).max(initial=0)) / SCALE
    if left.norm * float(np.abs(right).max(initial=0.0)) + begun + slack < LIMIT:
        return None
    sums = np.matmul(np.abs(left.values).astype(np.float64), np.abs(right).astype(np.float64))
    if first is not None:
        sums += np.abs(first)[..., None] / SCALE
    beyond = sums + slack >= LIMIT
    return beyond if beyond.any() else None
