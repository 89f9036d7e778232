"""Products of decays over runs of frames: by sums of their logarithms where those are known, else by doubling.

Sums are made by products with 0/1 matrices, as in selective_scan/heads.py: none is a difference, so no exponent is
above those of single frames, and a slow decay is rounded once a chunk. A decay of which no logarithm is known (one that
a mask switches off, a number of any sign) is multiplied up in log2 of the frames rounds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import field

import numpy as np

from mctc.ir.build import Builder
from mctc.ir.op import Array
from mctc.ir.ops.elementwise import Exp, Mul
from mctc.ir.ops.linear import MatMul
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.ops.shape import Concat, Reshape, Slice
from mctc.ir.value import Value
from mctc.passes.linear_scan.prefix import constant
from mctc.records import dataclass


@dataclass
class Decays(ABC):
    """given [1, 1, N, T]: what the products are made of; N may be 1.

    before: 1 for products that end a frame earlier, the state before frame t in place of that behind it.
    """

    b: Builder
    given: Value
    _between: dict[int, Value] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        return self.given.type.shape[3]

    @property
    def entries(self) -> int:
        return self.given.type.shape[2]

    def between(self, before: int) -> Value:
        """[1, N, T, T]: of the frames behind s (a row) up to t, 0 where s is later than that."""
        if before not in self._between:
            mask = constant(self.b, np.triu(np.ones((self.frames, self.frames)), before))
            self._between[before] = self.b.op(Mul, self._products(before), mask)
        return self._between[before]

    @abstractmethod
    def _products(self, before: int) -> Value:
        """The same, whatever where s is later."""

    @abstractmethod
    def since(self, before: int) -> Value:
        """[1, 1, N, T]: of all frames up to t."""

    @abstractmethod
    def rest(self) -> Value:
        """[1, 1, N, T]: of all frames behind t."""

    @abstractmethod
    def whole(self) -> Value:
        """[1, 1, 1, N]: of all frames."""


class BySums(Decays):
    """given: logarithms."""

    def _products(self, before: int) -> Value:
        n, frames = self.entries, self.frames
        behind = constant(self.b, np.triu(np.ones((frames, frames)), 1))
        steps = self.b.op(Mul, as_matrices(self.b, self.given, 1, n, 1, frames), behind)
        return self._exp(steps, self._until(before))

    def since(self, before: int) -> Value:
        return self._exp(self.given, self._until(before))

    def rest(self) -> Value:
        return self._exp(self.given, np.tril(np.ones((self.frames, self.frames)), -1))

    def whole(self) -> Value:
        total = self.b.op(Exp, self.b.op(ReduceSum, self.given, axis=3))
        return as_matrices(self.b, total, 1, 1, 1, self.entries)

    def _until(self, before: int) -> Array:
        """Row r, column t: whether frame r counts at t."""
        return np.triu(np.ones((self.frames, self.frames)), before)

    def _exp(self, logarithms: Value, summed: Array) -> Value:
        return self.b.op(Exp, self.b.op(MatMul, logarithms, constant(self.b, summed)))


class ByProducts(Decays):
    """given: the decays themselves."""

    def _products(self, before: int) -> Value:
        if before:
            return self._late(self.between(0))
        n, frames = self.entries, self.frames
        later = np.triu(np.ones((frames, frames)), 1)  # 1 in place of the decays of frames up to s
        rows = as_matrices(self.b, self.given, 1, n, 1, frames)
        kept = self.b.op("add", self.b.op(Mul, rows, constant(self.b, later)), constant(self.b, 1 - later))
        return self._multiplied(kept)

    def since(self, before: int) -> Value:
        whole = self._multiplied(self.given)
        return self._late(whole) if before else whole

    def rest(self) -> Value:
        last = self.b.op(Slice, self.between(0), axis=3, begin=self.frames - 1)
        return as_matrices(self.b, last, 1, 1, self.entries, self.frames)

    def whole(self) -> Value:
        last = self.b.op(Slice, self._multiplied(self.given), axis=3, begin=self.frames - 1)
        return as_matrices(self.b, last, 1, 1, 1, self.entries)

    def _multiplied(self, value: Value) -> Value:
        """The product of all entries up to each along the last axis."""
        distance = 1
        while distance < self.frames:
            value = self.b.op(Mul, value, self._late(value, distance))
            distance *= 2
        return value

    def _late(self, value: Value, by: int = 1) -> Value:
        """Entries of `by` frames earlier, ones before the first."""
        shape = value.type.shape
        ones = self.b.constant(np.ones((*shape[:3], by)), [axis.role.value for axis in value.type.axes])
        if by == self.frames:
            return ones
        return self.b.op(Concat, ones, self.b.op(Slice, value, axis=3, end=self.frames - by), axis=3)


def as_matrices(b: Builder, value: Value, *shape: int) -> Value:
    """A value with the last two of four axes as rows and columns."""
    roles = ("batch", "channel", "plain", "plain")
    if value.type.shape == shape and tuple(role.value for role in value.type.roles) == roles:
        return value
    return b.op(Reshape, value, axes=tuple(zip(roles, shape)))
