"""What becomes of numbers beyond fp16's range: followed from the op that gives them through all that they change.

Rounded to fp16 such a number is infinite. Behind the softmax of a masked score nothing of that is left; what is left in
a result is lost there. A result may also be finite and wrong, tanh(1e-5 y) for one, where y is beyond: whatever is so
large becomes the same there. Whether it matters is seen by y cut off at the range, in numbers of any size: tanh(1e5 y)
stays what it is. Ops are computed anew where an operand differs by it and nowhere else: an evaluation of the whole
program, rounded, takes as long as the first one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mctc.evaluate.reference import Watch, applied
from mctc.half_bits import is_finite
from mctc.ir.op import Array, ieee
from mctc.ir.ops.leaf import Leaf
from mctc.ir.program import Op, Value
from mctc.ir.recipes import MOVING
from mctc.ir.rounding import Rounding
from mctc.numerics.difference import difference
from mctc.numerics.limits import FP16
from mctc.records import dataclass
from mctc.rewrite.rounding import LARGEST

ROUNDED_UP = 65520.0
"""The least magnitude that is infinite in fp16: half of a last digit above the largest number."""


class Beyond:
    """Goes along with an evaluation, op by op. wide: ops whose results fp16 need not hold."""

    def __init__(self, wide: Collection[Op] = frozenset()) -> None:
        self._wide = wide
        self._stored: dict[Op, bool] = {}  # whether a parameter or constant is beyond the range
        self._infinite, self._cut = _Followed(Infinite(None), wide), _Followed(Cut(None), wide)

    def begin(self) -> None:
        """Another evaluation."""
        self._infinite, self._cut = _Followed(Infinite(None), self._wide), _Followed(Cut(None), self._wide)

    def gives(self, op: Op, results: Sequence[Array]) -> bool:
        """Whether an op gives a number beyond the range; one that only moves what was looked at does not."""
        if op in self._wide:
            return False
        if isinstance(op, MOVING) and not op.numbers and all(value.owner is not None for value in op.present()):
            return False
        if not isinstance(op, Leaf):
            return any(map(is_beyond, results))
        if op not in self._stored:
            self._stored[op] = any(map(is_beyond, results))
        return self._stored[op]

    def saw(self, op: Op, values: Mapping[Value, Array], watch: Watch) -> None:
        """The next op, with its operands and results if they are among `values`."""
        ways = self._infinite, self._cut
        differs = self._infinite.differing or self._cut.differing  # in most models nothing ever does
        pending = [each for each in ways if not each.saw(op, values, watch)] if differs else ways
        if pending and op not in watch.same and self.gives(op, results := [values[value] for value in op.results]):
            for each in pending:
                each.note(op, values, results)

    def alters(self, value: Value, array: Array) -> bool:
        """Whether what leaves the program has a number that is none any more, or another where what is beyond the range
        is cut off at it. array: what it is in the program."""
        infinite, cut = self._infinite.differing.get(value), self._cut.differing.get(value)
        return (infinite is not None and is_lost(array, infinite)) or (cut is not None and is_altered(array, cut))


class _Followed:
    """What values become where `rounding` is applied to what every op gives, as far as they are others by it."""

    def __init__(self, rounding: Rounding, wide: Collection[Op]) -> None:
        self._rounding, self._wide = rounding, wide
        self.differing: dict[Value, Array] = {}

    def saw(self, op: Op, values: Mapping[Value, Array], watch: Watch) -> bool:
        """The next op; whether what differs went into it."""
        self.differing = {value: array for value, array in self.differing.items() if value in values}
        if op in watch.same:
            first = watch.same[op].results
            if any(value in self.differing for value in first) and op.result in values:
                rest = [self.differing.get(value, values[value]) for value in first]
                self.note(op, values, watch.instead(op, rest))
            return True
        if not any(value in self.differing for value in op.present()):
            return False
        given = {value: self.differing.get(value, values[value]) for value in op.present()}
        with ieee():
            self.note(op, values, applied(op, given, np.float32, None if op in self._wide else self._rounding))
        return True

    def note(self, op: Op, values: Mapping[Value, Array], results: Sequence[Array]) -> None:
        """Keeps the results of an op that are others than in the program."""
        for value, result in zip(op.results, results, strict=True):
            rounded = result if op in self._wide else self._rounding(result)
            if not np.array_equal(rounded, values[value], equal_nan=rounded.dtype.kind == "f"):
                self.differing[value] = rounded


def is_lost(exact: Array, found: Array) -> bool:
    """Whether a number of a result is none any more."""
    return difference(exact, found).lost > 0


def is_altered(exact: Array, found: Array) -> bool:
    """Whether a number of a result is another, by more than rounding to fp16 may make the whole."""
    assert FP16.decibels is not None
    return difference(exact, found).error > 10 ** (-FP16.decibels / 20)


@dataclass(frozen=True)
class Infinite(Rounding):
    """Of rounding to fp16 that alone which makes numbers infinite."""

    def __call__(self, array: Array) -> Array:
        """The array, or a copy in which numbers beyond the range are infinite."""
        if not is_beyond(array):
            return array
        with np.errstate(invalid="ignore"):
            return np.where(np.abs(array) >= ROUNDED_UP, np.copysign(np.inf, array), array).astype(array.dtype)


@dataclass(frozen=True)
class Cut(Rounding):
    """Makes the largest number of fp16 of what is beyond its range."""

    def __call__(self, array: Array) -> Array:
        """The array, or a copy in which no number is beyond the range."""
        return np.clip(array, -LARGEST, LARGEST) if is_beyond(array) else array


def is_beyond(array: Array) -> bool:
    """Whether a number of an array is beyond fp16's range; NaN is not."""
    if array.dtype.kind != "f" or not array.size:
        return False
    if array.dtype == np.float16:
        return not is_finite(array) and bool(np.isinf(array).any())
    if array.flags.forc:
        flat = array.ravel("K")
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.dot(flat, flat)
        if squares < LARGEST**2 / 2:  # one pass: no term is larger than the sum
            return False
    largest = max(array.max(), -array.min())
    return bool((np.abs(array) > LARGEST).any() if np.isnan(largest) else largest > LARGEST)
