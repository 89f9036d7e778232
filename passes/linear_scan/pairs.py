"""A state that is a matrix of keys and values, never written out: what frames give to one another, as products.

S[t] = decay[t] o S[t - 1] + into[t] (of[t] . S[t - 1]) + sum of key[t] value[t]; y[t] = query[t] . S[t]. Frame s counts
in frame t with the weight (decay o ... o decay o key[s]) . query[t]: a matrix over pairs of frames, then one product
with the values. Linear attention (Katharopoulos et al., 2020), gated (Yang et al., 2024, section 4), retention.

With a term of rank one, what every frame reads, r[t] = of[t] . S[t - 1], solves r = given + r L with L strictly upper
triangular (Yang et al., 2024, Parallelizing linear transformers with the delta rule). (1 - L) is inverted by blocks
that double: no power of L is taken, so nothing grows that the inverse does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mctc.ir.build import Builder
from mctc.ir.ops.elementwise import Add, Mul
from mctc.ir.ops.linear import MatMul
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.value import Value
from mctc.passes.linear_scan.decays import Decays, as_matrices
from mctc.passes.linear_scan.prefix import constant
from mctc.records import dataclass


@dataclass(frozen=True)
class Written:
    """What is written: key [1, 1, N, T] times value [1, 1, P, T]."""

    key: Value
    value: Value


@dataclass(frozen=True)
class Pairs:
    """The frames of one chunk. decays: None for none. h: the incoming state, [1, 1, P, N], or None for zeros."""

    b: Builder
    frames: int
    decays: Decays | None
    written: Sequence[Written]
    h: Value | None

    def corrected(self, into: Value, of: Value) -> Pairs:
        """The same with the term of rank one written as what it is: into [1, 1, N, T] times what is read by `of`."""
        b = self.b
        if self.h is None and not self.written:
            return self
        given = self.read(of, 1)
        links = self._between(into, of, 1)
        inverse, size = constant(b, np.eye(self.frames)), 1
        while size < self.frames:
            block = np.arange(self.frames) // size
            halves = (block[:, None] % 2 == 0) & (block[None, :] == block[:, None] + 1)
            across = b.op(Mul, links, constant(b, halves))
            if size > 1:
                across = b.op(MatMul, b.op(MatMul, inverse, across), inverse)
            inverse = b.op(Add, across, inverse)
            size *= 2
        read = b.op(MatMul, given, inverse) if self.frames > 1 else given
        return replace(self, written=[*self.written, Written(into, read)])

    def read(self, query: Value, before: int) -> Value:
        """[1, 1, P, T]: query [1, 1, N, T] of the state behind each frame, or before it (before = 1)."""
        b = self.b
        terms = [b.op(MatMul, each.value, self._between(each.key, query, before)) for each in self.written]
        if self.h is not None:
            kept = query if self.decays is None else b.op(Mul, query, self.decays.since(before))
            terms.append(b.op(MatMul, self.h, kept))
        return self._sum(terms)

    def end(self) -> Value:
        """The state behind the last frame, [1, 1, P, N]."""
        b, h, keys = self.b, self.h, [each.key for each in self.written]
        if self.decays is not None:
            rest = self.decays.rest()
            keys = [b.op(Mul, key, rest) for key in keys]
            h = None if h is None else b.op(Mul, h, self.decays.whole())
        terms = [b.op(MatMul, each.value, key, transpose_right=True) for each, key in zip(self.written, keys)]
        return self._sum(terms + ([] if h is None else [h]))

    def _between(self, key: Value, query: Value, before: int) -> Value:
        """[1, 1, T, T]: how frame s (a row) counts in frame t, or before it."""
        b, frames = self.b, self.frames
        if self.decays is None or self.decays.entries == 1:
            earlier = constant(b, np.triu(np.ones((frames, frames)), before))
            weights = earlier if self.decays is None else self.decays.between(before)
            return b.op(Mul, b.op(MatMul, key, query, transpose_left=True), weights)
        n = self.decays.entries
        column, row = as_matrices(b, key, 1, n, frames, 1), as_matrices(b, query, 1, n, 1, frames)
        products = b.op(Mul, b.op(Mul, self.decays.between(before), column), row)
        return as_matrices(b, b.op(ReduceSum, products, axis=1), 1, 1, frames, frames)

    def _sum(self, terms: Sequence[Value]) -> Value:
        total = terms[0]
        for term in terms[1:]:
            total = self.b.op(Add, total, term)
        return total


def rows(b: Builder, value: Value) -> Value:
    """What has entries along one of its axes and along frames, as [1, 1, entries, T]."""
    _, channels, features, frames = value.type.shape
    return as_matrices(b, value, 1, 1, channels * features, frames)
