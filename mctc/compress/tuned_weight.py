"""A rounded weight whose numbers and codes move along a gradient: each number behind a code moves by itself, and takes
the code that is nearest then; gradients pass straight through that rounding (Bengio et al. 2013, arXiv:1308.3432)."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mctc.compress.grids import ScaledGrid
from mctc.ir.op import Array
from mctc.ir.program import Quantization
from mctc.quantize import LEVELS

NUMBERS = 1e-3  # of a weight's spread: how far an entry of a table moves in a step at full rate
CODES = 1e-3  # and how far a number behind a code does
MEAN, POWER = 0.9, 0.99  # how much of the running mean of gradients, and of their squares, a step keeps
FINE = 4  # bits up to which a weight is tuned


class Tuned(Protocol):
    """One weight."""

    def values(self) -> Array:
        """As it is stored, in float32 [rows, n]."""

    def move(self, gradient: Array, rate: float) -> None:
        """A step against the gradient of the loss, of the weight's shape; rate: from 0 to 1."""


class Steps:
    """Directions of steps by Adam (Kingma and Ba 2014, arXiv:1412.6980)."""

    def __init__(self) -> None:
        self._mean: Array | float = 0.0
        self._power: Array | float = 0.0
        self._count = 0

    def direction(self, gradient: Array) -> Array:
        """About 1 in magnitude where gradients agree."""
        self._count += 1
        self._mean = MEAN * self._mean + (1 - MEAN) * gradient
        self._power = POWER * self._power + (1 - POWER) * np.square(gradient)
        mean, power = self._mean / (1 - MEAN**self._count), self._power / (1 - POWER**self._count)
        return np.asarray(mean / (np.sqrt(power) + 1e-12), np.float32)


class TunedTables:
    """Palettes: entries of the tables and codes move. values: [rows, n], of at most 2^bits different ones a group."""

    def __init__(self, values: Array, bits: int, groups: int) -> None:
        self._shape, self._spread = values.shape, float(values.std())
        self._behind: Array = values.reshape(groups, -1).astype(np.float32)
        entries = [np.unique(each) for each in self._behind]
        self._table: Array = np.stack([np.pad(each, (0, (1 << bits) - len(each)), mode="edge") for each in entries])
        self._codes = self._nearest()
        self._numbers, self._steps = Steps(), Steps()

    def values(self) -> Array:
        """As it is stored."""
        half = self._table.astype(np.float16).astype(np.float32)
        return np.take_along_axis(half, self._codes, axis=1).reshape(self._shape)

    def move(self, gradient: Array, rate: float) -> None:
        """A step of all entries, then of all codes."""
        groups, entries = self._table.shape
        each = gradient.reshape(groups, -1)
        places = (self._codes + entries * np.arange(groups)[:, None]).ravel()
        summed = np.bincount(places, weights=each.ravel(), minlength=groups * entries).reshape(groups, entries)
        self._table -= rate * NUMBERS * self._spread * self._numbers.direction(summed)
        self._table.sort(axis=1)
        self._behind -= rate * CODES * self._spread * self._steps.direction(each)
        self._codes = self._nearest()

    def _nearest(self) -> Array:
        between = (self._table[:, 1:] + self._table[:, :-1]) / 2
        return np.stack([np.searchsorted(edges, behind) for edges, behind in zip(between, self._behind)])


class TunedCodes:
    """Steps of a scale: codes move, scales stay."""

    def __init__(self, values: Array, scheme: str) -> None:
        self._grid, self._spread = ScaledGrid.of(values, scheme), float(values.std())
        self._behind, self._steps = values.astype(np.float32), Steps()

    def values(self) -> Array:
        """As it is stored."""
        return self._grid.of_all(self._behind)

    def move(self, gradient: Array, rate: float) -> None:
        """A step of all codes."""
        direction = self._steps.direction(gradient.reshape(self._behind.shape))
        self._behind -= rate * CODES * self._spread * direction


def tunable(values: Array, how: Quantization) -> Tuned | None:
    """A weight of few bits, whose output channels lie along its first axis; None for another."""
    if how.bits > FINE or how.axis or values.ndim < 2:
        return None
    rows = values.reshape(len(values), -1)
    if how.scheme in LEVELS:
        return TunedCodes(rows, how.scheme)
    return TunedTables(rows, how.bits, len(rows) // how.group if how.group else 1)
