"""How far apart two results are that may be large, of which one comes a part after the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import isfinite, prod

import numpy as np

from mctc.evaluate.parts import Place
from mctc.ir.op import Array

BLOCK = 1 << 16  # numbers that are compared at a time


class Apart:
    """Compares parts of a result with those of `expected`, each of which has to be given once.

    some: that are enough, once their shape is known to be that of all.
    """

    def __init__(self, expected: Array, *, some: bool = False) -> None:
        self.expected, self.some = expected, some
        self._numbers = 0  # that were given
        self._most = self._largest = 0.0

    def add(self, place: Place, actual: Array) -> None:
        """The next part, and where it lies."""
        wanted = self.expected[place] if place else self.expected
        self._numbers += wanted.size
        if wanted.shape != actual.shape:
            self._most = np.inf
        elif _lie_together(wanted, actual):
            return  # an operation gave what it was given
        elif wanted.dtype.kind != "f":
            self._most = self._most if np.array_equal(wanted, actual) else np.inf
        else:
            if wanted.flags.c_contiguous and actual.flags.c_contiguous:
                wanted, actual = wanted.reshape(-1), actual.reshape(-1)
            with np.errstate(invalid="ignore", over="ignore"):
                for block in _blocks(wanted.shape):
                    self._compare(wanted[block], np.asarray(actual[block], np.float32))

    def of(self, scale: float) -> tuple[float, float]:
        """The largest difference and the largest magnitude that it is measured in: of `expected`, or `scale` where that
        is more. Infinite for another shape, another whole number, and where one is not finite alone."""
        whole = self._numbers == self.expected.size or (self.some and self._numbers > 0)
        if not whole or self._most == np.inf:
            return np.inf, scale
        scale = max(self._largest, scale)
        return self._most / (scale or 1.0), scale

    def _compare(self, part: Array, other: Array) -> None:
        difference = part - other
        ends = _ends(difference)
        if not isfinite(ends[0] - ends[1]):
            defined = np.isfinite(part)
            if not np.array_equal(part[~defined], other[~defined], equal_nan=True):
                self._most = np.inf
                return
            part, difference = part[defined], difference[defined]
            if not np.isfinite(difference).all():
                self._most = np.inf
                return
            ends = _ends(difference)
        self._most = max(self._most, ends[0], -ends[1])
        highest, least = _ends(part)
        self._largest = max(self._largest, highest, -least)


def _ends(array: Array) -> tuple[float, float]:
    return float(array.max(initial=0)), float(array.min(initial=0))


def _lie_together(one: Array, other: Array) -> bool:
    """Whether two arrays are the same numbers in memory."""
    return one is other or (
        one.ctypes.data == other.ctypes.data and one.strides == other.strides and one.dtype == other.dtype
    )


def _blocks(shape: tuple[int, ...]) -> Iterator[Place]:
    """Parts of an array, of no more than `BLOCK` numbers each."""
    axis = next((i for i in range(len(shape)) if prod(shape[i + 1 :]) <= BLOCK), 0)
    step = max(1, BLOCK // max(1, prod(shape[axis + 1 :])))
    for before in product(*map(range, shape[:axis])):
        ahead = tuple(slice(i, i + 1) for i in before)
        if not shape:
            yield ()
            continue
        for begin in range(0, shape[axis], step):
            yield (*ahead, slice(begin, begin + step))
