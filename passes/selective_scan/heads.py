"""SSD, the scan with one decay a head: the decay matrix of a head over pairs of frames, as two matrix products.

y(t) = sum over s <= t of exp(a(s+1) + ... + a(t)) * (B(s) . C(t)) * drive(s), where a = A * delta or what the op is
given: Mamba-2 (Dao & Gu, 2024), section 6 and listing 1. The exponents are sums by products with constant 0/1
matrices, never differences of running sums, so none is above 0 and a slow mode is rounded once a chunk. Several writes
or reads of a frame are rows and columns of the same matrix, one behind the other. A long sequence is cut into chunks
that hand on the state.
"""

from __future__ import annotations

from collections.abc import Sequence
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

CHUNK = 64  # frames, or writes or reads of frames; the pairs of one head then take 8 KiB in fp16

Values = tuple[Value, ...]


@dataclass(frozen=True)
class Heads:
    """The heads of a group. Of each write drive = delta * x [1, H, P, T] and B [1, 1, N, T], of each read C, as B.

    steps [1, H, 1, T], of which exponents are sums, times `rate` [1, H, 1, 1] if there is one; h [1, H, P, N] or None;
    own: diagonal * x of each write, where a frame reads itself with weights of its own.
    """

    rewriter: Rewriter
    steps: Value
    rate: Value | None
    drive: Values
    own: Values
    B: Values
    C: Values
    h: Value | None

    def lower(self) -> tuple[Values, Value]:
        """Of each read y [1, H, P, T] without the skip, and the state [1, H, P, N] after the last frame."""
        first, *rest = self._chunks()
        y, state = first._pairs()
        outputs = [y]
        for chunk in rest:
            y, state = replace(chunk, h=state)._pairs()
            outputs.append(y)
        return tuple(each[0] if len(each) == 1 else self._joined(each, 3) for each in zip(*outputs)), state

    def _chunks(self) -> list[Heads]:
        frames, most = self.steps.type.shape[3], max(1, CHUNK // max(len(self.B), len(self.C)))
        sizes = [min(most, frames - start) for start in range(0, frames, most)]
        if len(sizes) == 1:
            return [self]

        def cut(value: Value) -> Values:
            return self.rewriter.emit(Split, value, sizes=tuple(sizes), axis=3)

        def each(values: Values) -> list[Values]:
            return [*zip(*map(cut, values))] if values else [()] * len(sizes)

        parts = zip(cut(self.steps), *map(each, (self.drive, self.own, self.B, self.C)))
        return [replace(self, steps=a, drive=u, own=o, B=b, C=c) for a, u, o, b, c in parts]

    def _pairs(self) -> tuple[Values, Value]:
        """One chunk at once; s is the frame that a drive comes from, t the one that it is read at."""
        op, frames = self.rewriter.op, self.steps.type.shape[3]
        writes, reads = len(self.B), len(self.C)
        ahead, until = np.triu(np.ones((frames, frames)), 1), np.triu(np.ones((frames, frames)))  # r > s; r <= t
        steps = op(MatMul, op(Mul, self.steps, self._constant(ahead)), self._constant(until))
        decay = op(Mul, self._decay(steps), self._constant(ahead if self.own else until))
        drive, b, c = (self._stacked(values) for values in (self.drive, self.B, self.C))
        scores = op(MatMul, b, c, transpose_left=True)
        y = op(MatMul, drive, op(Mul, self._repeated(self._repeated(decay, writes, 2), reads, 3), scores))
        if self.own:
            here = self._constant(np.tile(np.eye(frames), (writes, reads)))
            y = op(Add, y, op(MatMul, self._stacked(self.own), op(Mul, scores, here)))
        rest = self._decay(op(MatMul, self.steps, self._constant(ahead.T)))  # from s to the end
        state = op(MatMul, op(Mul, drive, self._repeated(rest, writes, 3)), b, transpose_right=True)
        if self.h is not None:
            since = self._decay(op(MatMul, self.steps, self._constant(until)))  # from the incoming state to t
            y = op(Add, y, op(Mul, op(MatMul, self.h, c), self._repeated(since, reads, 3)))
            state = op(Add, op(Mul, self.h, op(Slice, since, axis=3, begin=frames - 1)), state)
        return ((y,) if reads == 1 else self.rewriter.emit(Split, y, parts=reads, axis=3)), state

    def _decay(self, steps: Value) -> Value:
        return self.rewriter.op(Exp, steps if self.rate is None else self.rewriter.op(Mul, steps, self.rate))

    def _stacked(self, values: Values) -> Value:
        """What writes or reads have, one behind the other along the frames."""
        return values[0] if len(values) == 1 else self._joined(values, 3)

    def _repeated(self, value: Value, times: int, axis: int) -> Value:
        return value if times == 1 else self._joined([value] * times, axis)

    def _joined(self, values: Sequence[Value], axis: int) -> Value:
        return self.rewriter.op(Concat, *values, axis=axis)

    def _constant(self, matrix: Array) -> Value:
        return self.rewriter.constant(matrix.astype(np.float32)[None, None])


def lower(op: Ssd, rewriter: Rewriter) -> tuple[Value, Value]:
    """What an ssd op on (batch 1, channel, unit, frames) becomes: its groups one by one, joined along the channels;
    those of one head each are one product of all heads."""
    return _Lowering(op, rewriter).run()


class _Lowering:
    """An op while its operands are laid out by heads. `cut`: the groups that are worked on one by one."""

    def __init__(self, op: Ssd, rewriter: Rewriter) -> None:
        self.op, self.rewriter, self.n = op, rewriter, Sizes.of(op)
        self.cut = 1 if self.n.groups == self.n.heads else self.n.groups
        self.head, self.one = ("channel", self.n.heads), ("unit", 1)
        time = op.results[0].type.axes[3]
        self.line = (time.role.value, time.extent.value)
        self.mask = rewriter.maybe(op.mask)

    def run(self) -> tuple[Value, Value]:
        op, n, to = self.op, self.n, self.rewriter
        delta = self._parts(self._existing(op.delta), n.writes)
        u = [self._shaped(x, *self._channels(), self.line) for x in self._parts(to[op.x], n.writes)]
        own = () if op.diagonal is None else self._parts(self._existing(op.diagonal), n.writes)
        a_head = op.A.type.rank == 1
        steps = delta[0] if a_head else self._existing(op.A)
        rates = self._parts(self._a_head(op.A), self.cut) if a_head else [None] * self.cut
        drive, own = (tuple(to.op(Mul, x, each) for x, each in zip(u, weights)) for weights in (delta, own))
        groups = zip(
            self._parts(steps, self.cut), rates, self._by_group(drive), self._by_group(own),
            self._shared(op.B, n.writes), self._shared(op.C, n.reads), self._carried(),
        )  # fmt: skip
        found = [Heads(to, *each).lower() for each in groups]
        ys = [self._joined(each) for each in zip(*(y for y, _ in found))]
        if op.D is not None:
            skip = self._a_head(op.D)
            ys = [to.op(Add, y, to.op(Mul, x, skip)) for y, x in zip(ys, u)]
        if n.reads > 1:
            ys = [self._shaped(y, ("batch", 1), ("channel", n.heads * n.width), self.one, self.line) for y in ys]
        y, state = self._joined(ys), self._joined([state for _, state in found])
        return to.reshaped(y, op.results[0].type), to.reshaped(state, op.results[1].type)

    def _channels(self) -> tuple[tuple[str, int], ...]:
        return ("batch", 1), self.head, ("feature", self.n.width)

    def _shaped(self, value: Value, *axes: tuple[str, int]) -> Value:
        return self.rewriter.op(Reshape, value, axes=axes)

    def _a_head(self, vector: Value) -> Value:
        return self._shaped(self.rewriter[vector], self.one, self.head, self.one, self.one)

    def _existing(self, value: Value) -> Value:
        """0 in a frame that does not exist."""
        made = self.rewriter[value]
        return made if self.mask is None else self.rewriter.op(Mul, made, self.mask)

    def _parts(self, value: Value, many: int) -> Values:
        return (value,) if many == 1 else self.rewriter.emit(Split, value, parts=many, axis=1)

    def _by_group(self, values: Values) -> list[Values]:
        """Of each group what the writes or reads have."""
        return [*zip(*(self._parts(each, self.cut) for each in values))] if values else [()] * self.cut

    def _shared(self, value: Value, many: int) -> list[Values]:
        """B or C of each group, of every write or read."""
        heads = self.head if self.cut == 1 and self.n.groups > 1 else self.one
        found = self._by_group(self._parts(self.rewriter[value], many))
        return [
            tuple(self._shaped(each, self.one, heads, ("plain", self.n.states), self.line) for each in values)
            for values in found
        ]

    def _carried(self) -> Sequence[Value | None]:
        if self.op.h is None:
            return [None] * self.cut
        return self._parts(
            self._shaped(self.rewriter[self.op.h], *self._channels(), ("plain", self.n.states)), self.cut
        )

    def _joined(self, values: Sequence[Value]) -> Value:
        return values[0] if len(values) == 1 else self.rewriter.op(Concat, *values, axis=1)
