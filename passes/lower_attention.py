"""Attention over a fixed number of frames as two matrix products and a softmax for all heads."""

from __future__ import annotations

import numpy as np

from mctc.ir.op import Array
from mctc.ir.ops.attention import Attention, OverKeys
from mctc.ir.ops.elementwise import Add, Minimum, Scale
from mctc.ir.ops.linear import MatMul
from mctc.ir.ops.norm import Softmax
from mctc.ir.ops.relative_attention import RelativeAttention
from mctc.ir.ops.shape import Concat, Pad, Reshape, Slice, Split, laid_out
from mctc.ir.program import Program, Value
from mctc.ir.types import TensorType
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import LARGEST_CONSTANT
from mctc.rewrite.pattern import Pattern, Refuse, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite

# Finite in fp16 and below where the engine's accumulator saturates (ANE-AT-010, ANE-NM-003).
SEEN = 3e4
MISSING = -14992.0  # a key in the band that does not exist (an ABSENT one gets -22491); fp16 holds SEEN - MISSING
OUTSIDE = -3e4  # below MISSING: a query whose keys are all missing averages over its band only


class LowerAttention(Pass):
    """Attention over static frames: heads beside each other in rank 4, no transpose, masks without -inf.

    A score that must not count is capped far below the others (`minimum` with a constant), so its exponential is 0.
    """

    name = "lower-attention"
    promise = Exact()
    stage = "deploy"
    before = ("pack-states",)

    def run(self, program: Program, context: Context) -> Program:
        rule = first_of(Pattern(Attention, _by_content), Pattern(RelativeAttention, _by_content_and_distance))
        return rewrite(program, self.name, rule, context=context)


def _by_content(op: Attention, to: Rewriter) -> Value | Refuse:
    return _reason_against(op) or (Products if op.bias is None else BiasedProducts)(op, to).run()


def _by_content_and_distance(op: RelativeAttention, to: Rewriter) -> Value | Refuse:
    return _reason_against(op) or RelativeProducts(op, to).run()


def _reason_against(op: OverKeys) -> Refuse | None:
    for value in (op.q, op.k, op.v):
        if not _static_row(value.type):
            return Refuse(f"{value.type} is not (batch, channel, 1, a known number of frames)")
    return None


def _static_row(type_: TensorType) -> bool:
    """Whether a type is (batch, channel, unit, frames), all known."""
    return laid_out(type_) and type_.rank == 4 and type_.is_static and type_.shape[2] == 1 and type_.sequence == 3


class Products:
    """One attention op while it is lowered: q [b, g*n*W, 1, T], k [b, g*W, 1, S], v [b, g*V, 1, S].

    The n heads of queries that share one of keys stand one behind the other along the frames: keys and values, which
    may be a long cache, are read as they are.
    """

    def __init__(self, op: OverKeys, rewriter: Rewriter) -> None:
        self.op, self.rewriter, self.heads = op, rewriter, op.heads
        self.kv_heads = op.key_heads
        self.q, self.k, self.v = rewriter[op.q], rewriter[op.k], rewriter[op.v]
        self.mask = rewriter.named(op, "key_mask")
        self.shared = self.heads // self.kv_heads
        self.queries, self.keys = self.q.type.shape[3], self.k.type.shape[3]

    def run(self) -> Value:
        emit = self.rewriter.op
        scores, cap = self.scores(), self._cap()
        weights = emit(Softmax, scores if cap is None else emit(Minimum, scores, cap), axis=3)
        y = emit(MatMul, self._by_head(self.v, self.kv_heads, "unit"), weights, transpose_right=True)
        y = self._moved(y, 3, 2)  # from [b, g, V, n*T] to [b, g, n*V, T]
        self.rewriter.note(f"attention of {self.heads} heads became products over {self.queries} x {self.keys} frames")
        return self.rewriter.reshaped(y, self.op.result.type)

    def scores(self) -> Value:
        """How well each key suits each query, [b, g, n*T, S]."""
        q = self._queries(self.rewriter.op(Scale, self.q, factor=self.op.factor))
        return self.rewriter.op(MatMul, q, self._by_head(self.k, self.kv_heads, "unit"), transpose_left=True)

    def _queries(self, q: Value) -> Value:
        """[b, g*n*W, 1, T] as [b, g, W, n*T]."""
        return self._moved(self._by_head(q, self.kv_heads, self.q.type.axes[3].role.value), 2, 3)

    def _by_head(self, x: Value, heads: int, frames: str) -> Value:
        """[b, heads*W, 1, T] as [b, heads, W, T]."""
        batch, channels, _, count = x.type.shape
        axes = (("batch", batch), ("channel", heads), ("feature", channels // heads), (frames, count))
        return self.rewriter.op(Reshape, x, axes=axes)

    def _moved(self, x: Value, source: int, target: int) -> Value:
        """The n heads of queries that share one of keys, from one axis to another."""
        if self.shared == 1:
            return x
        return self.rewriter.op(Concat, *self.rewriter.emit(Split, x, parts=self.shared, axis=source), axis=target)

    def shifted(self, x: Value, outer: tuple[str, str] = ("batch", "channel")) -> Value:
        """Scores of every distance, [b, heads, T, T + S], as scores of keys, [b, heads, T, S].

        Row t has to move t places to the left. In rows of T + S - 1 entries instead of T + S it has.
        """
        emit, (batch, heads, queries, distances) = self.rewriter.op, x.type.shape

        def rows(y: Value, count: int, length: int) -> Value:
            axes = ((outer[0], batch), (outer[1], heads), ("unit", count), ("unit", length))
            return emit(Reshape, y, axes=axes)

        x = emit(Slice, rows(x, distances, queries), axis=2, begin=1)
        return emit(Slice, rows(x, queries, distances - 1), axis=3, end=self.keys)

    def _cap(self) -> Value | None:
        """The highest score that a query may give a key, [1, 1, n*T or 1, S]. None: all see all."""
        seen = self.op.band(self.queries, self.keys)
        fixed = None
        if not seen.all():
            caps = np.tile(np.where(seen, SEEN, OUTSIDE).astype(np.float32), (1, 1, self.shared, 1))
            fixed = self.rewriter.constant(caps, ["unit"] * 4)
        if self.mask is None:
            return fixed
        row = self.rewriter.op(Reshape, self.mask, axes=(("unit", 1), ("unit", 1), ("unit", 1), ("unit", self.keys)))
        present = self.rewriter.op(Scale, row, factor=SEEN - MISSING, offset=MISSING)
        return present if fixed is None else self.rewriter.op(Minimum, fixed, present)


class BiasedProducts(Products):
    """Scores by content, and a bias by distance or place, which depends on parameters alone."""

    def __init__(self, op: Attention, rewriter: Rewriter) -> None:
        super().__init__(op, rewriter)
        assert op.bias is not None
        self.by_content, self.bias = op, rewriter[op.bias]
        self.every = self.bias.type.shape[0]  # heads of the bias

    def scores(self) -> Value:
        """[b, g, n*T, S]."""
        return self.rewriter.op(Add, super().scores(), self._bias())

    def _bias(self) -> Value:
        """The bias of each query and key, [1, g, n*T, S], or of one head for all."""
        if self.bias.type.rank == 3:
            found = self._by_place()
        else:
            places = self.by_content.bias_places(self.queries, self.keys)
            short = self.bias.type.shape[1] * places.size <= LARGEST_CONSTANT
            found = self._chosen(places.reshape(-1)) if short else self._moved_rows(places)
        if self.every == 1:
            row = self.rewriter.op(Reshape, found, axes=[("unit", n) for n in (1, 1, self.queries, self.keys)])
            return row if self.shared == 1 else self.rewriter.op(Concat, *[row] * self.shared, axis=2)
        axes = [("unit", n) for n in (1, self.kv_heads, self.shared * self.queries, self.keys)]
        return self.rewriter.op(Reshape, found, axes=axes)

    def _chosen(self, places: Array) -> Value:
        """These entries of each head's bias, [heads, places]: folded into the parameter, but where that were long."""
        chosen = np.arange(self.bias.type.shape[1])[:, None] == places
        return self.rewriter.op(MatMul, self.bias, self.rewriter.constant(chosen.astype(np.float32)))

    def _moved_rows(self, places: Array) -> Value:
        """[1, heads, T, S] of one row of all T + S - 1 distances, repeated for each query."""
        emit, (queries, keys) = self.rewriter.op, (self.queries, self.keys)
        along = np.concatenate([places[:1, :1][0], places[::-1, 0], places[0, 1:]])  # one distance more than there are
        row = emit(Reshape, self._chosen(along), axes=[("unit", n) for n in (1, self.every, 1, queries + keys)])
        zeros = self.rewriter.constant(np.zeros((1, 1, queries, 1), np.float32), ["unit"] * 4)
        return self.shifted(emit(Add, row, zeros), ("unit", "unit"))

    def _by_place(self) -> Value:
        """[1, heads, T, S] of blocks one under the other, each moved to the keys that it sees."""
        emit, (_, within, seen) = self.rewriter.op, self.bias.type.shape
        block = emit(Reshape, self.bias, axes=[("unit", n) for n in (1, self.every, within, seen)])
        rows = []
        for begin in range(0, self.queries, within):
            first = begin - self.by_content.before + self.by_content.first_key  # of the keys, its first
            cut = emit(Slice, block, axis=3, begin=max(0, -first), end=min(seen, self.keys - first))
            cut = emit(Slice, cut, axis=2, begin=0, end=min(within, self.queries - begin))
            before = max(0, first)
            rows.append(emit(Pad, cut, axis=3, before=before, after=self.keys - before - cut.type.shape[3]))
        return rows[0] if len(rows) == 1 else emit(Concat, *rows, axis=2)


class RelativeProducts(Products):
    """Scores by content and by distance; the products with the distances' sinusoids depend on parameters alone."""

    def __init__(self, op: RelativeAttention, rewriter: Rewriter) -> None:
        super().__init__(op, rewriter)
        self.relative = op

    def scores(self) -> Value:
        """[b, heads, T, S]."""
        emit = self.rewriter.op
        k = self._by_head(self.k, self.heads, "unit")
        by_content = emit(MatMul, self._biased(self.relative.content_bias), k, transpose_left=True)
        by_distance = emit(MatMul, self._biased(self.relative.position_bias), self._distances(), transpose_left=True)
        return emit(Add, by_content, self.shifted(by_distance))

    def _biased(self, bias: Value) -> Value:
        """scale (q + bias), [b, heads, W, T]."""
        emit, factor = self.rewriter.op, self.op.factor
        row = emit(Scale, self.rewriter[bias], factor=factor)
        q = emit(Scale, self.q, factor=factor)
        column = emit(Reshape, row, axes=[("unit", 1), ("channel", row.type.shape[0]), ("unit", 1), ("unit", 1)])
        return self._queries(emit(Add, q, column))

    def _distances(self) -> Value:
        """P r(d) for d = T + first, ..., first - S + 1, [1, heads, W, T + S]: one distance more than there are."""
        first = self.relative.first_key + self.queries
        distances = first - np.arange(self.queries + self.keys)
        position, table = self.rewriter[self.relative.position], self.rewriter.named(self.relative, "table")
        if table is None:
            rows = self.relative.sinusoids(distances).T
        else:
            position = self.rewriter.op(MatMul, position, table, transpose_right=True)
            chosen = np.arange(table.type.shape[0])[:, None] == self.relative.table_rows(distances)
            rows = chosen.astype(np.float32)
        projected = self.rewriter.op(MatMul, position, self.rewriter.constant(rows))
        axes = (1, self.heads, projected.type.shape[0] // self.heads, projected.type.shape[1])
        return self.rewriter.op(Reshape, projected, axes=[("plain", extent) for extent in axes])
