"""What becomes of numbers beyond fp16's range: followed from the op that gives them through all that they change.

Rounded to fp16 such a number is infinite. Behind the softmax of a masked score nothing of that is left; what is left in
a result is lost there. Ops are computed anew where an operand differs by it and nowhere else: an evaluation of the
whole program, rounded, takes as long as the first one.
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
from mctc.records import dataclass
from mctc.rewrite.rounding import LARGEST

ROUNDED_UP = 65520.0
"""The least magnitude that is infinite in fp16: half of a last digit above the largest number."""


class Beyond:
    """Goes along with an evaluation, op by op. wide: ops whose results fp16 need not hold."""

    def __init__(self, wide: Collection[Op] = frozenset()) -> None:
        self._wide = wide
        self._stored: dict[Op, bool] = {}  # whether a parameter or constant is beyond the range
        self._differing: dict[Value, Array] = {}

    def begin(self) -> None:
        """Another evaluation."""
        self._differing = {}

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
        self._differing = {value: array for value, array in self._differing.items() if value in values}
        if op in watch.same:
            first = watch.same[op].results
            if any(value in self._differing for value in first) and op.result in values:
                rest = [self._differing.get(value, values[value]) for value in first]
                self._note(op, values, watch.instead(op, rest))
        elif any(value in self._differing for value in op.present()):
            given = {value: self._differing.get(value, values[value]) for value in op.present()}
            with ieee():
                self._note(op, values, applied(op, given, np.float32, None if op in self._wide else Infinite(None)))
        elif self.gives(op, results := [values[value] for value in op.results]):
            self._note(op, values, results)

    def loses(self, value: Value, array: Array) -> bool:
        """Whether a number of what leaves the program is none any more."""
        found = self._differing.get(value)
        return found is not None and difference(array, found).lost > 0

    def _note(self, op: Op, values: Mapping[Value, Array], results: Sequence[Array]) -> None:
        for value, result in zip(op.results, results, strict=True):
            rounded = result if op in self._wide else Infinite(None)(result)
            if not np.array_equal(rounded, values[value], equal_nan=rounded.dtype.kind == "f"):
                self._differing[value] = rounded


@dataclass(frozen=True)
class Infinite(Rounding):
    """Of rounding to fp16 that alone which makes numbers infinite."""

    def __call__(self, array: Array) -> Array:
        """The array, or a copy in which numbers beyond the range are infinite."""
        if not is_beyond(array):
            return array
        with np.errstate(invalid="ignore"):
            return np.where(np.abs(array) >= ROUNDED_UP, np.copysign(np.inf, array), array).astype(array.dtype)


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
