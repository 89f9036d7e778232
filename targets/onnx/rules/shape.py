"""Ops that move data."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.ir.dims import Extent
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.shape import (
    Concat,
    MergeChannels,
    Pad,
    Reshape,
    Reverse,
    Slice,
    Split,
    SplitChannels,
    Transpose,
    laid_out,
)
from mctc.ir.types import Role
from mctc.targets.onnx.graph import GraphEmitter, Result
from mctc.targets.onnx.rules.axes import arranged, order_to

RULES = Rules[GraphEmitter, Result]()

FIRST, LAST = -(1 << 63), (1 << 63) - 1  # what Slice takes for "to the very end", backwards and forwards


@RULES.of(Split)
def _split(op: Split, e: GraphEmitter) -> list[str]:
    axis, x, sizes = op.position, e.ref(op.x), op.sizes
    if sizes:
        return e.several("Split", [x, e.ints(sizes)], len(sizes), axis=axis)
    return e.several("Split", [x], len(op.results), axis=axis, num_outputs=len(op.results))


@RULES.of(Concat)
def _concat(op: Concat, e: GraphEmitter) -> str:
    return e.node("Concat", *map(e.ref, op.xs), axis=op.position)


@RULES.of(Slice)
def _slice(op: Slice, e: GraphEmitter) -> str:
    end = LAST if op.end is None else op.end
    bounds = ([op.begin], [end], [op.position], [op.stride])
    return e.node("Slice", e.ref(op.x), *map(e.ints, bounds))


@RULES.of(Pad)
def _pad(op: Pad, e: GraphEmitter) -> str:
    widths = e.ints([op.before, op.after])
    return e.node("Pad", e.ref(op.x), widths, e.number(op.value, op.result.type), e.ints([op.position]))


@RULES.of(Reshape)
def _reshape(op: Reshape, e: GraphEmitter) -> str:
    return e.reshaped(e.ref(op.x), op.x.type.extents, op.result.type.extents)


@RULES.of(Transpose)
def _transpose(op: Transpose, e: GraphEmitter) -> str:
    return e.transposed(e.ref(op.x), op.order)


@RULES.of(Reverse)
def _reverse(op: Reverse, e: GraphEmitter) -> str:
    return e.node("Slice", e.ref(op.x), *map(e.ints, ([-1], [FIRST], [op.position], [-1])))


@RULES.of(SplitChannels)
def _split_channels(op: SplitChannels, e: GraphEmitter) -> str:
    """Channels as (channel, feature) side by side; then the feature goes to the unit axis or before the channel."""
    x, at, groups = op.x.type, channel_axis(op.x.type), op.groups
    apart = [*x.extents[:at], Extent.of(groups), x.extents[at] / groups, *x.extents[at + 1 :]]
    if Role.UNIT not in x.roles:
        name = e.reshaped(e.ref(op.x), x.extents, apart)
        return e.transposed(name, order_to(x.rank + 1, [at + 1], [at]))
    unit = x.roles.index(Role.UNIT)
    del apart[unit + 1 if unit > at else unit]
    name = e.reshaped(e.ref(op.x), x.extents, apart)
    return e.transposed(name, order_to(x.rank, [at + 1 if unit > at else at], [unit]))


@RULES.of(MergeChannels)
def _merge_channels(op: MergeChannels, e: GraphEmitter) -> str:
    """Channel and feature side by side, as one axis; that goes to the channel's place, a unit to the feature's."""
    x, at, feature = op.x.type, channel_axis(op.x.type), op.x.type.find(Role.FEATURE)
    assert feature is not None
    order = order_to(x.rank, [at, feature], [-2, -1])
    name, moved = e.transposed(e.ref(op.x), order), arranged(x.extents, order)
    units = [Extent.of(1)] if laid_out(x) else []
    name = e.reshaped(name, moved, [*moved[:-2], x.extents[at] * x.extents[feature], *units])
    if units:
        return e.transposed(name, order_to(x.rank, [-2, -1], [at, feature]))
    return e.transposed(name, order_to(x.rank - 1, [-1], [at - 1 if feature < at else at]))
