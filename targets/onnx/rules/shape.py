"""Ops that move data."""

from __future__ import annotations

from mctc.ir.dims import Extent
from mctc.ir.op import axis_position
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.shape import laid_out
from mctc.ir.program import Op, Value
from mctc.ir.types import Role
from mctc.targets.onnx.graph import GraphEmitter, Rule
from mctc.targets.onnx.rules.axes import arranged, order_to

FIRST, LAST = -(1 << 63), (1 << 63) - 1  # what Slice takes for "to the very end", backwards and forwards


def _x(op: Op) -> Value:
    value = op.operands[0]
    assert value is not None
    return value


def _split(op: Op, e: GraphEmitter) -> list[str]:
    axis, x, sizes = op.signature.axis("x"), e.ref(_x(op)), op.signature.ints("sizes")
    if sizes:
        return e.several("Split", [x, e.ints(sizes)], len(sizes), axis=axis)
    return e.several("Split", [x], len(op.results), axis=axis, num_outputs=len(op.results))


def _concat(op: Op, e: GraphEmitter) -> str:
    parts = [value for value in op.operands if value is not None]
    return e.node("Concat", *map(e.ref, parts), axis=axis_position(parts[0].type, op.attributes["axis"], "xs"))


def _slice(op: Op, e: GraphEmitter) -> str:
    s = op.signature
    end = LAST if s.attribute("end") is None else s.int("end")
    bounds = ([s.int("begin")], [end], [s.axis("x")], [s.int("stride")])
    return e.node("Slice", e.ref(_x(op)), *map(e.ints, bounds))


def _pad(op: Op, e: GraphEmitter) -> str:
    s = op.signature
    widths = e.ints([s.int("before"), s.int("after")])
    return e.node("Pad", e.ref(_x(op)), widths, e.number(s.float("value"), op.result.type), e.ints([s.axis("x")]))


def _reshape(op: Op, e: GraphEmitter) -> str:
    return e.reshaped(e.ref(_x(op)), _x(op).type.extents, op.result.type.extents)


def _transpose(op: Op, e: GraphEmitter) -> str:
    return e.transposed(e.ref(_x(op)), op.signature.ints("order"))


def _reverse(op: Op, e: GraphEmitter) -> str:
    return e.node("Slice", e.ref(_x(op)), *map(e.ints, ([-1], [FIRST], [op.signature.axis("x")], [-1])))


def _split_channels(op: Op, e: GraphEmitter) -> str:
    """Channels as (channel, feature) side by side; then the feature goes to the unit axis or before the channel."""
    x, at, groups = _x(op).type, channel_axis(op.signature, "x"), op.signature.int("groups")
    apart = [*x.extents[:at], Extent.of(groups), x.extents[at] / groups, *x.extents[at + 1 :]]
    if Role.UNIT not in x.roles:
        name = e.reshaped(e.ref(_x(op)), x.extents, apart)
        return e.transposed(name, order_to(x.rank + 1, [at + 1], [at]))
    unit = x.roles.index(Role.UNIT)
    del apart[unit + 1 if unit > at else unit]
    name = e.reshaped(e.ref(_x(op)), x.extents, apart)
    return e.transposed(name, order_to(x.rank, [at + 1 if unit > at else at], [unit]))


def _merge_channels(op: Op, e: GraphEmitter) -> str:
    """Channel and feature side by side, as one axis; that goes to the channel's place, a unit to the feature's."""
    x, at, feature = _x(op).type, channel_axis(op.signature, "x"), _x(op).type.find(Role.FEATURE)
    assert feature is not None
    order = order_to(x.rank, [at, feature], [-2, -1])
    name, moved = e.transposed(e.ref(_x(op)), order), arranged(x.extents, order)
    units = [Extent.of(1)] if laid_out(x) else []
    name = e.reshaped(name, moved, [*moved[:-2], x.extents[at] * x.extents[feature], *units])
    if units:
        return e.transposed(name, order_to(x.rank, [-2, -1], [at, feature]))
    return e.transposed(name, order_to(x.rank - 1, [-1], [at - 1 if feature < at else at]))


RULES: dict[str, Rule] = {
    "split": _split,
    "concat": _concat,
    "slice": _slice,
    "pad": _pad,
    "reshape": _reshape,
    "transpose": _transpose,
    "reverse": _reverse,
    "split_channels": _split_channels,
    "merge_channels": _merge_channels,
}
