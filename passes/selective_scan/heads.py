"""SSD, the scan with one decay a head: the decay matrix of a head over pairs of frames, as two matrix products.

y(t) = sum over s <= t of exp(A * (delta(s+1) + ... + delta(t))) * (B(s) . C(t)) * drive(s): Mamba-2 (Dao & Gu, 2024),
section 6 and listing 1. The exponents are sums of step sizes by products with constant 0/1 matrices, never differences
of running sums, so none is above 0 and a slow mode is rounded once a chunk. A long sequence is cut into chunks that
hand on the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from mctc.ir.op import Array
from mctc.ir.ops.elementwise import Add, Exp, Mul
from mctc.ir.ops.linear import MatMul
from mctc.ir.ops.shape import Concat, Reshape, Slice, Split
from mctc.ir.ops.ssd import Sizes, Ssd
from mctc.ir.program import Value
from mctc.records import dataclass
from mctc.rewrite.rewriter import Rewriter

CHUNK = 64  # frames; the pairs of one head then take 8 KiB in fp16


@dataclass(frozen=True)
class Heads:
    """delta [1, H, 1, T]; drive = delta * x [1, H, P, T]; A [1, H, 1, 1]; B, C [1, 1, N, T]; h [1, H, P, N] or None."""

    rewriter: Rewriter
    delta: Value
    drive: Value
    A: Value
    B: Value
    C: Value
    h: Value | None

    def lower(self) -> tuple[Value, Value]:
        """y [1, H, P, T] without the skip, and the state [1, H, P, N] after the last frame."""
        first, *rest = self._chunks()
        y, state = first._pairs()
        outputs = [y]
        for chunk in rest:
            y, state = replace(chunk, h=state)._pairs()
            outputs.append(y)
        return (self.rewriter.op(Concat, *outputs, axis=3) if rest else y), state

    def _chunks(self) -> Iterable[Heads]:
        frames = self.delta.type.shape[3]
        sizes = [min(CHUNK, frames - start) for start in range(0, frames, CHUNK)]
        if len(sizes) == 1:
            return [self]
        streams = (self.delta, self.drive, self.B, self.C)
        cut = [self.rewriter.emit(Split, value, sizes=tuple(sizes), axis=3) for value in streams]
        return [replace(self, delta=d, drive=u, B=b, C=c) for d, u, b, c in zip(*cut)]

    def _pairs(self) -> tuple[Value, Value]:
        """One chunk at once; s is the frame that a drive comes from, t the one that it is read at."""
        op, frames = self.rewriter.op, self.delta.type.shape[3]
        ahead, until = np.triu(np.ones((frames, frames)), 1), np.triu(np.ones((frames, frames)))  # r > s; r <= t
        steps = op(MatMul, op(Mul, self.delta, self._constant(ahead)), self._constant(until))
        decay = op(Mul, self._decay(steps), self._constant(until))
        weights = op(Mul, decay, op(MatMul, self.B, self.C, transpose_left=True))
        y = op(MatMul, self.drive, weights)
        rest = self._decay(op(MatMul, self.delta, self._constant(ahead.T)))  # from s to the end
        state = op(MatMul, op(Mul, self.drive, rest), self.B, transpose_right=True)
        if self.h is None:
            return y, state
        since = self._decay(op(MatMul, self.delta, self._constant(until)))  # from the incoming state to t
        y = op(Add, y, op(Mul, op(MatMul, self.h, self.C), since))
        return y, op(Add, op(Mul, self.h, op(Slice, since, axis=3, begin=frames - 1)), state)

    def _decay(self, steps: Value) -> Value:
        return self.rewriter.op(Exp, self.rewriter.op(Mul, steps, self.A))

    def _constant(self, matrix: Array) -> Value:
        return self.rewriter.constant(matrix.astype(np.float32)[None, None])


def lower(op: Ssd, rewriter: Rewriter) -> tuple[Value, Value]:
    """What an ssd op on (batch 1, channel, unit, frames) becomes: its groups one by one, joined along the channels."""
    n, role = Sizes.of(op), op.results[0].type.axes[3].role.value
    frames = op.results[0].type.shape[3]
    x, delta, a, b, c = (rewriter[v] for v in (op.x, op.delta, op.A, op.B, op.C))
    skip, h, mask = (rewriter.maybe(v) for v in (op.D, op.h, op.mask))
    if mask is not None:
        delta = rewriter.op(Mul, delta, mask)

    def shaped(value: Value, *axes: tuple[str, int]) -> Value:
        return rewriter.op(Reshape, value, axes=axes)

    def by_group(value: Value) -> tuple[Value, ...]:
        return (value,) if n.groups == 1 else rewriter.emit(Split, value, parts=n.groups, axis=1)

    head, one = ("channel", n.heads), ("unit", 1)
    u = shaped(x, ("batch", 1), head, ("feature", n.width), (role, frames))
    drive, rate = rewriter.op(Mul, u, delta), shaped(a, one, head, one, one)
    carried = (
        [None] * n.groups
        if h is None
        else by_group(shaped(h, ("batch", 1), head, ("feature", n.width), ("plain", n.states)))
    )
    both = ([shaped(each, one, one, ("plain", n.states), (role, frames)) for each in by_group(v)] for v in (b, c))
    parts = zip(by_group(delta), by_group(drive), by_group(rate), *both, carried)
    found = [Heads(rewriter, *each).lower() for each in parts]
    y, state = (each[0] if n.groups == 1 else rewriter.op(Concat, *each, axis=1) for each in zip(*found))
    if skip is not None:
        y = rewriter.op(Add, y, rewriter.op(Mul, u, shaped(skip, one, head, one, one)))
    return rewriter.reshaped(y, op.results[0].type), rewriter.reshaped(state, op.results[1].type)
