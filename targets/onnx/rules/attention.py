"""Attention: two matrix products with a softmax between them; query heads that share keys are an axis of their own."""

from __future__ import annotations

from functools import reduce

import numpy as np

from mctc.emit.rules import Rules
from mctc.ir.dims import Extent
from mctc.ir.ops.attention import MASKED, Attention, OverKeys
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.mask import ONE
from mctc.ir.program import Value
from mctc.ir.types import TensorType
from mctc.targets.onnx.graph import GraphEmitter, Result
from mctc.targets.onnx.rules.axes import arranged, inverse, order_to
from mctc.targets.onnx.rules.mask import marks_along

RULES = Rules[GraphEmitter, Result]()


@RULES.of(Attention)
def _attention(op: Attention, e: GraphEmitter) -> str:
    kv = op.key_heads
    q, k, v = (by_head(value, kv, shared, e) for value, shared in ((op.q, op.heads // kv), (op.k, 1), (op.v, 1)))
    rank = op.k.type.rank + 2
    scores = e.node("MatMul", q, e.transposed(k, order_to(rank, [-2, -1], [-1, -2])))
    scores = e.node("Mul", scores, e.number(op.factor, op.q.type))
    scores = scores if op.bias is None else e.node("Add", scores, _by_distance(op, op.bias, e))
    return joined(op, e.node("MatMul", e.node("Softmax", masked(op, e, scores), axis=-1), v), kv, e)


def _by_distance(op: Attention, bias: Value, e: GraphEmitter) -> str:
    """The bias of each query and key, by distance or by place: [key head, query head of it, query, key]."""
    queries, keys = e.node("Unsqueeze", positions(op.q, e), e.ints([1])), positions(op.k, e)
    keys = e.node("Sub", keys, e.ints([op.first_key])) if op.first_key else keys
    heads, extent = bias.type.shape[0], bias.type.shape[-1]
    least, most = (e.constant(np.asarray(number, np.int64)) for number in (0, extent - 1))
    if bias.type.rank == 2 or op.within is None:
        offset = e.node("Sub", e.node("Sub", keys, queries), e.ints([op.first_distance(extent)]))
        rows, places = e.ref(bias), e.node("Clip", offset, least, most)
    else:
        block = e.node("Mul", e.node("Div", queries, e.ints([op.within])), e.ints([op.within]))
        key = e.node("Clip", e.node("Add", e.node("Sub", keys, block), e.ints([op.before])), least, most)
        places = e.node("Add", e.node("Mul", e.node("Sub", queries, block), e.ints([extent])), key)
        rows = e.node("Reshape", e.ref(bias), e.ints([heads, -1]))
    found = e.node("Gather", rows, places, axis=1)
    frames = [value.type.extents[value.type.sequence or 0] for value in (op.q, op.k)]
    parts = [op.key_heads, op.heads // op.key_heads] if heads > 1 else [1, 1]
    return e.reshaped(found, [Extent.of(heads), *frames], [*map(Extent.of, parts), *frames])


def by_head(value: Value, kv: int, shared: int, e: GraphEmitter) -> str:
    """[.., key head, query head of it, frame, width]."""
    order = order_of(value.type)
    moved = arranged(value.type.extents, order)
    parts = [Extent.of(kv), Extent.of(shared), moved[-1] / (kv * shared)]
    name = e.reshaped(e.transposed(e.ref(value), order), moved, [*moved[:-1], *parts])
    return e.transposed(name, order_to(value.type.rank + 2, [-4], [-2]))


def joined(op: OverKeys, name: str, kv: int, e: GraphEmitter) -> str:
    """The heads side by side in the channels again, each axis where q has it."""
    rank, order = op.result.type.rank, order_of(op.q.type)
    moved = arranged(op.result.type.extents, order)
    parts = [Extent.of(kv), Extent.of(op.heads // kv), moved[-1] / op.heads]
    name = e.transposed(name, order_to(rank + 2, [-2], [-4]))
    return e.transposed(e.reshaped(name, [*moved[:-1], *parts], moved), inverse(order))


def order_of(type_: TensorType) -> list[int]:
    """The order of axes in which frames and channels are last."""
    assert type_.sequence is not None
    return order_to(type_.rank, [type_.sequence, channel_axis(type_)], [-2, -1])


def masked(op: OverKeys, e: GraphEmitter, scores: str) -> str:
    """Keys that do not exist, and below those the ones outside of the band, are lowered to a finite depth."""
    type_, mask = op.q.type, op.operand("key_mask")
    if mask is not None:
        marks, none = _marks(mask, op.k, e), e.number(0, mask.type)
        depth = e.node("Where", e.node("Less", marks, none), e.number(1.5 * MASKED, type_), e.number(MASKED, type_))
        scores = e.node("Where", e.node("Greater", marks, none), scores, depth)
    band = _band(op, e)
    return e.node("Where", band, scores, e.number(2 * MASKED, type_)) if band else scores


def _marks(mask: Value, k: Value, e: GraphEmitter) -> str:
    """The mask of the keys as [.., key head, query head of it, query, key], 1 where it tells nothing apart."""
    name, extents = marks_along(mask, k, e)
    order = order_of(k.type)
    *others, keys, _ = arranged(extents, order)
    return e.reshaped(e.transposed(name, order), [*others, keys, ONE], [*others, ONE, ONE, ONE, keys])


def _band(op: OverKeys, e: GraphEmitter) -> str:
    """[queries, keys] of bool: which keys each query sees; '' where all see all."""
    left, right, within = op.left, op.right, op.within
    if left is None and right is None and within is None:
        return ""
    queries, keys = e.node("Unsqueeze", positions(op.q, e), e.ints([1])), positions(op.k, e)
    keys = e.node("Sub", keys, e.ints([op.first_key])) if op.first_key else keys
    offset = e.node("Sub", keys, queries)
    sides = [] if left is None else [e.node("GreaterOrEqual", offset, e.ints([-left]))]
    sides += [] if right is None else [e.node("LessOrEqual", offset, e.ints([right]))]
    if within is not None:
        begin = e.node("Mul", e.node("Div", queries, e.ints([within])), e.ints([within]))
        sides.append(e.node("GreaterOrEqual", keys, e.node("Sub", begin, e.ints([op.before]))))
        sides.append(e.node("Less", keys, e.node("Add", begin, e.ints([within]))))
    return reduce(lambda band, side: e.node("And", band, side), sides)


def positions(value: Value, e: GraphEmitter) -> str:
    """0, 1, ... for the frames of a value."""
    assert value.type.sequence is not None
    count = e.node("Squeeze", e.sizes.size(value.type.extents[value.type.sequence]))
    first, step = (e.constant(np.asarray(number, np.int64)) for number in (0, 1))
    return e.node("Range", first, count, step)
