"""What the rows of a stored weight can hold: steps of a scale, or the entries of a table."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mctc.ir.op import Array
from mctc.quantize import LEVELS, SMALLEST
from mctc.records import dataclass


class Grid(Protocol):
    """Rounds one column of a weight [rows, n] at a time."""

    def nearest(self, column: int, values: Array) -> Array:
        """The number of each row's grid that is nearest to its value."""


@dataclass(frozen=True)
class ScaledGrid:
    """Steps of an fp16 scale a row, -levels to levels of them.

    The largest weight of a row takes the largest code whatever compensation would have it be. So the scale is found
    again from the values alone (mctc.quantize), and a checkpoint of them is stored as these very codes.
    """

    scale: Array
    levels: int
    peak: Array  # the column of each row's largest weight
    sign: Array

    @classmethod
    def of(cls, weight: Array, scheme: str, share: float = 1.0) -> ScaledGrid:
        """Scales that reach a share of each row's largest magnitude. weight: [rows, n] in float64."""
        levels, peak = LEVELS[scheme], np.abs(weight).argmax(axis=1)
        largest = weight[np.arange(len(weight)), peak]
        scale = np.maximum((np.abs(largest) * share / levels).astype(np.float16), np.float16(SMALLEST))
        return cls(np.where(largest == 0, 1.0, scale.astype(np.float64)), levels, peak, np.sign(largest))

    def nearest(self, column: int, values: Array) -> Array:
        """Of each row; the largest code where the column is the row's peak."""
        codes = np.clip(np.rint(values / self.scale), -self.levels, self.levels)
        codes = np.where(self.peak == column, self.sign * self.levels, codes)
        return np.asarray(codes * self.scale)


@dataclass(frozen=True)
class TableGrid:
    """A sorted table of fp16 values [groups, entries]; consecutive rows share one, equally many each."""

    table: Array
    rows: int

    def nearest(self, column: int, values: Array) -> Array:
        """Of each row."""
        return np.asarray(np.take_along_axis(self._of_rows(self.table), self.codes(values)[:, None], 1)[:, 0])

    def of(self, values: Array) -> Array:
        """The nearest to each of [rows, n]."""
        return np.stack([self.nearest(at, column) for at, column in enumerate(values.T)], axis=1)

    def codes(self, values: Array) -> Array:
        """The entry of each row's table that is nearest to its value."""
        between = (self.table[:, 1:] + self.table[:, :-1]) / 2
        if len(self.table) == 1:
            return np.searchsorted(between[0], values, side="left")
        return np.asarray((values[:, None] > self._of_rows(between)).sum(axis=1))

    def _of_rows(self, table: Array) -> Array:
        return np.repeat(table, self.rows // len(table), axis=0)
