"""Tables of 33 values with straight lines between them.

A value between two knots is that of the nearer one and a fraction of the difference, that product rounded to fp16: of
the ways to round that were tried this one alone gives every largest error that was published, to all digits
(docs/engine-arithmetic.md).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.engine.number import cut, half_away
from mctc.records import dataclass


def half(values: Array) -> Array:
    """float64 in and out: rounded to fp16, ties away from zero."""
    return half_away(cut(values)).astype(np.float64)


@dataclass(frozen=True)
class Table:
    """values [n] at first, first + step, ...: fp16 numbers in float64."""

    first: float
    step: float
    values: Array

    @classmethod
    def of(cls, first: float, step: float, values: Array) -> Table:
        return cls(first, step, half(np.asarray(values, np.float64)))

    @property
    def knots(self) -> Array:
        return self.first + self.step * np.arange(len(self.values))

    def __call__(self, x: Array) -> Array:
        """float64 in and out, not rounded: for x from the first knot to the last."""
        place = (x - self.first) / self.step
        near = np.clip(np.rint(place), 0, len(self.values) - 1).astype(np.int64)
        part = place - near
        lower = np.clip(np.where(part < 0, near - 1, near), 0, len(self.values) - 2)
        return self.values[near] + half(part * np.diff(self.values)[lower])


def sampled(function: Callable[[Array], Array], first: float, step: float, count: int = 33) -> Table:
    """The table of a function's own values."""
    return Table.of(first, step, function(first + step * np.arange(count)))
