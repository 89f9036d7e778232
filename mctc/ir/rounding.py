"""What an engine makes of numbers that need more bits than it has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mctc.half import round_to_half
from mctc.ir.op import Array
from mctc.records import dataclass

NEAR_MIDDLE = 16  # digits: what sums before an op may be off (`PREDICTED` of mctc.numerics.limits)
COUNTS = 2048  # up to here fp16 holds every whole number


@dataclass(frozen=True)
class Rounding:
    """Rounds floating-point arrays to `dtype`: to its nearest number or, with a seed for `jitters`, half of a last
    digit up or down. None: as they are.

    What comes in by half of a digit off goes through sums as the rounding of their partial sums does: where large
    terms cancel, little that is right is left (Higham, Accuracy and Stability of Numerical Algorithms, 3.1). Whole
    numbers that every format holds stay: masks and counts are exact in every engine.
    """

    dtype: type[np.floating] | None
    jitters: int = 0

    def __call__(self, array: Array) -> Array:
        """The array in its own element type; other than floating-point ones as they are."""
        if self.dtype is None or array.dtype.kind != "f":
            return array
        if not self.jitters and array.dtype == np.float32 and self.dtype is np.float16:
            return round_to_half(array)
        if not self.jitters:
            return array.astype(self.dtype).astype(array.dtype)
        exact = (np.abs(array) <= COUNTS) & (array == np.rint(array))
        return np.where(exact, array, array * (1 + self._halves(array, self.dtype))).astype(array.dtype)

    def gate(self, array: Array) -> Array:
        """Numbers from 0 to 1 with an absolute error, that of numbers next to 1: engines take a logistic function from
        a rational approximation or a table, and small values of it have few right digits."""
        if self.dtype is None:
            return array
        return (array + self._halves(array, self.dtype)).astype(array.dtype) if self.jitters else self(1 + array) - 1

    def steps(self, x: Array) -> Array:
        """The nearest whole numbers, ties to even. An engine whose operands are some digits off takes the one on the
        other side where they are next to the middle: digits of the largest, since what is centred or summed before is
        off by those; a sixteenth of a step at most."""
        if self.dtype is None or not self.jitters:
            return np.rint(x)
        reach = np.fmin(NEAR_MIDDLE * np.finfo(self.dtype).eps * np.abs(x).max(initial=0), 1 / 16)
        signs = np.random.default_rng((self.jitters, x.size)).choice((-1.0, 1.0), x.shape)
        return np.asarray(np.rint(x + signs * reach), x.dtype)

    def lost(self, x: Array, axis: int) -> Array | float:
        """What is added to the sum along an axis, which stays with extent 1, by the rounding of partial sums. With a
        seed for `jitters` it is that of one that adds term after term in fp32 or better, as engines do: of many equal
        ones each rounding goes the same way, which no draw of signs shows."""
        if self.dtype is None or not self.jitters:
            return 0.0
        terms = x.astype(np.float64 if self.dtype is np.float64 else np.float32)
        added = np.take(np.cumsum(terms, axis), [-1], axis)
        return np.asarray(added - terms.sum(axis, dtype=np.longdouble, keepdims=True), x.dtype)

    def mean(self, x: Array, axis: int) -> Array:
        """The mean along an axis, which stays with extent 1, as a sum in fp32 or better leaves it: what is centred on
        it is off by as much, whether its numbers are far from 0 or near each other."""
        mean: Array = x.mean(axis, keepdims=True)
        summed = np.float64 if self.dtype is np.float64 else np.float32
        return mean if self.dtype is None else replace(self, dtype=summed)(mean)

    def _halves(self, array: Array, dtype: type[np.floating]) -> Array:
        """Half of the last digit of 1, up or down: the same for every array of a shape."""
        signs = np.random.default_rng((self.jitters, array.size)).choice((-1.0, 1.0), array.shape)
        return np.asarray(signs * np.finfo(dtype).eps / 2)


EXACT = Rounding(None)
