"""Attention with relative positions: scores by distance move row by row, by two reshapes, to where their keys are."""

from __future__ import annotations

import numpy as np

from mctc.emit.rules import Rules
from mctc.ir.dims import Extent
from mctc.ir.ops.relative_attention import RelativeAttention, frequencies
from mctc.ir.program import Value
from mctc.targets.onnx.graph import GraphEmitter, Result
from mctc.targets.onnx.rules.attention import by_head, joined, masked, order_of
from mctc.targets.onnx.rules.axes import arranged, order_to

RULES = Rules[GraphEmitter, Result]()

LAST = np.iinfo(np.int64).max


@RULES.of(RelativeAttention)
def _relative_attention(op: RelativeAttention, e: GraphEmitter) -> str:
    heads, rank = op.heads, op.q.type.rank + 2
    q, k, v = (by_head(value, heads, 1, e) for value in (op.q, op.k, op.v))
    by_content = e.node(
        "MatMul", _biased(op.content_bias, heads, q, e), e.transposed(k, order_to(rank, [-2, -1], [-1, -2]))
    )
    by_distance = e.node("MatMul", _biased(op.position_bias, heads, q, e), _distances(op, e))
    scores = e.node("Add", by_content, _shifted(op, by_distance, e))
    scores = masked(op, e, e.node("Mul", scores, e.number(op.factor, op.q.type)))
    return joined(op, e.node("MatMul", e.node("Softmax", scores, axis=-1), v), heads, e)


def _biased(bias: Value, heads: int, q: str, e: GraphEmitter) -> str:
    rows = e.node("Reshape", e.ref(bias), e.ints([heads, 1, 1, -1]))
    return e.node("Add", q, rows)


def _distances(op: RelativeAttention, e: GraphEmitter) -> str:
    """The projected sinusoids of the distances first + T, ..., first - S + 1, [heads, 1, W, T + S]."""
    out, width = (extent.value for extent in op.position.type.extents)
    first, step = (e.constant(np.asarray(number, np.int64)) for number in (op.first_key, -1))
    queries, keys = (e.node("Squeeze", e.sizes.size(extent)) for extent in _frames(op))
    steps = e.node("Range", e.node("Add", first, queries), e.node("Sub", first, keys), step)
    if op.table is not None:
        count = op.table.type.shape[0]
        least, most = (e.constant(np.asarray(number, np.int64)) for number in (0, count - 1))
        offset = e.node("Sub", e.node("Neg", steps), e.ints([op.first_distance(count)]))
        known = e.node("MatMul", e.ref(op.position), e.transposed(e.ref(op.table), [1, 0]))
        chosen = e.node("Gather", known, e.node("Clip", offset, least, most), axis=1)
        return e.node("Reshape", chosen, e.ints([op.heads, 1, out // op.heads, -1]))
    steps = e.cast(steps, "float32")
    steps = e.node("Abs", steps) if op.symmetric else steps
    angles = e.node("Mul", e.node("Unsqueeze", steps, e.ints([0])), e.constant(frequencies(width)[:, None]))
    rows = e.node("Concat", e.node("Sin", angles), e.node("Cos", angles), axis=0)  # [E, T + S], all sines first
    pairs = e.node("Reshape", e.ref(op.position), e.ints([out, -1, 2]))
    weight = e.node("Reshape", e.transposed(pairs, [0, 2, 1]), e.ints([out, width]))
    return e.node("Reshape", e.node("MatMul", weight, rows), e.ints([op.heads, 1, out // op.heads, -1]))


def _frames(op: RelativeAttention) -> list[Extent]:
    """How many queries and keys there are."""
    return [value.type.extents[value.type.sequence or 0] for value in (op.q, op.k)]


def _shifted(op: RelativeAttention, x: str, e: GraphEmitter) -> str:
    """[.., T, T + S], the first distance of which nobody asks for, as [.., T, S]: row t moves t places to the left."""
    q, (queries, keys) = op.q.type, _frames(op)
    leading = [*arranged(q.extents, order_of(q))[:-2], Extent.of(op.heads), Extent.of(1)]
    first, last = e.ints([1]), e.ints([LAST])
    x = e.reshaped(x, [*leading, queries, queries + keys], [*leading, queries + keys, queries])
    x = e.node("Slice", x, first, last, e.ints([-2]))
    x = e.reshaped(x, [*leading, queries + keys - 1, queries], [*leading, queries, queries + keys - 1])
    return e.node("Slice", x, e.ints([0]), e.sizes.size(keys), e.ints([-1]))
