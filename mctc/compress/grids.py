"""What the rows of a stored weight can hold: steps of a scale, or the entries of a table."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np

from mctc.ir.op import Array
from mctc.quantize import LEVELS, SMALLEST
from mctc.records import dataclass


class Grid(Protocol):
    """Rounds one column of a weight [rows, n] at a time."""

    def nearest(self, column: int, values: Array) -> Array:
        """The number of each row's grid that is nearest to its value, in float32."""


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
    def of(cls, weight: Array, scheme: str, share: float | Array = 1.0) -> ScaledGrid:
        """Scales that reach a share of each row's largest magnitude; one for all, or one a row. weight: [rows, n]."""
        levels, peak = LEVELS[scheme], np.abs(weight).argmax(axis=1)
        largest = weight[np.arange(len(weight)), peak]
        scale = np.maximum((np.abs(largest) * share / levels).astype(np.float16), np.float16(SMALLEST))
        return cls(np.where(largest == 0, 1.0, scale).astype(np.float32), levels, peak, np.sign(largest))

    def nearest(self, column: int, values: Array) -> Array:
        """Of each row; the largest code where the column is the row's peak."""
        codes = np.rint(values / self.scale)
        np.minimum(np.maximum(codes, -self.levels, out=codes), self.levels, out=codes)
        for row in self._peaks.get(column, ()):
            codes[row] = self.sign[row] * self.levels
        codes *= self.scale
        return codes

    def of_all(self, values: Array) -> Array:
        """Each of [rows, n] by itself."""
        codes = np.rint(values / self.scale[:, None])
        np.minimum(np.maximum(codes, -self.levels, out=codes), self.levels, out=codes)
        codes[np.arange(len(codes)), self.peak] = self.sign * self.levels
        codes *= self.scale[:, None]
        return np.asarray(codes)

    @cached_property
    def _peaks(self) -> dict[int, list[int]]:
        """The rows whose peak a column holds."""
        found: dict[int, list[int]] = {}
        for row, column in enumerate(self.peak.tolist()):
            found.setdefault(column, []).append(row)
        return found


@dataclass(frozen=True)
class TableGrid:
    """A sorted table of fp16 values [groups, entries]; consecutive rows share one, equally many each."""

    table: Array
    rows: int

    def nearest(self, column: int, values: Array) -> Array:
        """Of each row."""
        return np.asarray(self._numbers[self._begins + self.codes(values)])

    def of_all(self, values: Array) -> Array:
        """The nearest to each of [rows, n]."""
        return np.stack([self.nearest(at, column) for at, column in enumerate(values.T)], axis=1)

    def codes(self, values: Array) -> Array:
        """The entry of each row's table that is nearest to its value."""
        if len(self.table) == 1:
            return np.searchsorted(self._between[:, 0], values, side="left")
        above: Array = np.greater(values, self._between)
        return np.asarray(above.view(np.uint8).sum(axis=0, dtype=np.uint8))

    @cached_property
    def _numbers(self) -> Array:
        return self.table.astype(np.float32).ravel()

    @cached_property
    def _begins(self) -> Array:
        """Where each row's table begins."""
        return np.repeat(np.arange(len(self.table)) * self.table.shape[1], self.rows // len(self.table))

    @cached_property
    def _between(self) -> Array:
        """The middles between entries [entries - 1, rows], of one table alone where that is all."""
        between, groups = ((self.table[:, 1:] + self.table[:, :-1]) / 2).T, len(self.table)
        return np.ascontiguousarray(np.repeat(between, self.rows // groups if groups > 1 else 1, axis=1))
