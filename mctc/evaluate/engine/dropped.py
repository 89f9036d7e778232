"""What products that the multiplier drops would have added to a sum.

A product is dropped where the exponents of its factors add up to -17 or less. Rounded to 2^-16, only those of -17 and
-18 are anything but zero. So they are found by exponents: for every exponent of a weight, the places of such weights by
inner index, and for every value the weights that it meets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np

from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.engine.number import exponents
from mctc.records import dataclass

DROPPED = -17
"""The largest sum of exponents of a product that is dropped."""
ROUNDED = (-17, -18)
LEAST, MOST = -14, -3
"""The exponents of which a factor can be dropped: the other one's is -14 at least."""
_ROOM = 1 << 21
"""Pairs that are held at a time."""


@dataclass(frozen=True)
class Lists:
    """Weights of one exponent by inner index: those of the n-th are starts[n] to starts[n + 1] of rows and values. Rows
    and inner indices are counted through the batch."""

    starts: Array
    rows: Array
    values: Array

    @cached_property
    def counts(self) -> Array:
        return np.diff(self.starts)


Small = Mapping[int, Lists]
"""The weights below 1/4, by exponent."""


def small_weights(weights: Array) -> Small:
    """weights: [batch, rows, inner]."""
    batch, rows, inner = weights.shape
    turned = np.swapaxes(weights, 1, 2)
    magnitude = np.abs(turned)
    b, k, r = np.nonzero((magnitude < 2.0 ** (MOST + 1)) & (magnitude > 0))
    values = turned[b, k, r]
    place, row, taken = b * inner + k, b * rows + r, exponents(values)
    found = {}
    for exponent in range(LEAST, MOST + 1):
        of = taken == exponent
        if of.any():
            starts = np.searchsorted(place[of], np.arange(batch * inner + 1))
            found[exponent] = Lists(starts, row[of], values[of])
    return found


def dropped_sums(small: Small, shape: tuple[int, int], right: Array) -> Array | None:
    """int32 [batch, rows, columns]: what dropped products would have added, in steps of 2^-16; None for nothing.

    shape: batch and rows. right: [batch, inner, columns].
    """
    inner, column, values = _candidates(small, right)
    columns = right.shape[2]
    total: Array | None = None
    for place, steps in _pairs(small, inner, column, values, columns):
        added = np.bincount(place, steps, shape[0] * shape[1] * columns).astype(np.int32)
        total = added if total is None else total + added
    return None if total is None else total.reshape(*shape, columns)


def dropped_count(small: Small, right: Array) -> int:
    """How many products of two numbers that aren't zero are dropped."""
    inner, _, values = _candidates(small, right)
    taken = exponents(values)
    count = 0
    for exponent, lists in small.items():
        some = taken <= DROPPED - exponent
        count += int(lists.counts[inner[some]].sum())
    return count


def _candidates(small: Small, right: Array) -> tuple[Array, Array, Array]:
    """Inner indices, columns and values of the numbers that may be dropped."""
    magnitude = np.abs(right)
    least = 2.0 ** (DROPPED + 1 - min(small, default=MOST + 1))
    b, k, c = np.nonzero((magnitude < least) & (magnitude > 0))
    return b * right.shape[1] + k, c, right[b, k, c]


def _pairs(small: Small, inner: Array, column: Array, values: Array, columns: int) -> Iterator[tuple[Array, Array]]:
    """Places of results, and what a dropped product would add there, for some pairs at a time."""
    taken = exponents(values)
    order = np.argsort(taken, kind="stable")
    taken = taken[order]
    held: list[tuple[Array, Array]] = []
    count = 0
    for exponent, lists in small.items():
        begin, end = np.searchsorted(taken, (ROUNDED[1] - exponent, ROUNDED[0] - exponent + 1))
        some = order[begin:end]
        for part in _parts(some, lists.counts[inner[some]]):
            held.append(_met(lists, inner[part], column[part], values[part], columns))
            count += len(held[-1][0])
            if count > _ROOM:
                yield np.concatenate([at for at, _ in held]), np.concatenate([steps for _, steps in held])
                held, count = [], 0
    if count:
        yield np.concatenate([at for at, _ in held]), np.concatenate([steps for _, steps in held])


def _parts(some: Array, counts: Array) -> Iterator[Array]:
    """Values that meet a weight, in groups that meet about _ROOM weights each."""
    ends = np.cumsum(counts)
    if not ends.size or not ends[-1]:
        return
    if ends[-1] <= _ROOM:
        yield some[counts > 0]
        return
    group = ends // _ROOM
    for each in np.unique(group):
        yield some[group == each]


def _met(lists: Lists, inner: Array, column: Array, values: Array, columns: int) -> tuple[Array, Array]:
    """Each value with all weights that its inner index has in the lists."""
    counts = lists.counts[inner]
    ends = np.cumsum(counts)
    at = np.arange(counts.sum()) + np.repeat(lists.starts[inner] - (ends - counts), counts)
    exact = lists.values[at] * np.repeat(values, counts) * np.float32(2.0**16)
    steps = np.copysign(np.floor(np.abs(exact) + np.float32(0.5)), exact)
    return lists.rows[at] * columns + np.repeat(column, counts), steps
