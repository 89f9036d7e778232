"""Ops that move data. No text holds an extent of a batch, time or label axis: a step runs at any chunk length."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.emit.rules import Rules
from mctc.emit.unsupported import UnsupportedError
from mctc.ir.dims import Extent
from mctc.ir.ops.shape import (
    ONE,
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
    stated_axes,
)
from mctc.ir.types import Axis, Role
from mctc.targets.torch.expressions.application import STREAMED, Application
from mctc.targets.torch.expressions.text import Expression, call, named

RULES, MASKING = Rules[Application, Expression](), Rules[Application, Expression]()

ALONG = (Role.TIME, Role.LABEL)


@RULES.of(Split)
def _split(op: Split, use: Application) -> Expression:
    x, axis, sizes = use["x"], op.position, op.sizes
    if len(op.results) == 1:
        return x
    if sizes:
        return x.method("split", list(sizes), dim=axis)
    return x.method("chunk", op.parts, dim=axis)


@RULES.of(Concat)
def _concat(op: Concat, use: Application) -> Expression:
    first, *others = (operand for operand in use.operands if operand is not None)
    return first.joined(others, op.position) if others else first


@RULES.of(Slice)
def _slice(op: Slice, use: Application) -> Expression:
    """Along time and labels counted from the end, as far as the end moves with the length of a chunk.

    A slice to the end keeps the last frames (a state's update); one that begins later and ends somewhere skips frames
    at the beginning and drops some at the end, as the derivation of steps does (mctc.streaming.context).
    """
    type_, axis = use.type("x"), op.position
    begin, end, stride = op.begin, op.end, op.stride
    extent = type_.extents[axis]
    if extent.is_static and end == extent.value and begin == 0:
        end = None
    if extent.is_static and type_.roles[axis] in ALONG:
        begin = begin - extent.value if begin and end is None else begin
        end = end - extent.value or None if end is not None else None
    if not begin and end is None and stride == 1:
        return use["x"]
    bounds = f"{begin or ''}:{'' if end is None else end}" + (f":{stride}" if stride > 1 else "")
    return use["x"].indexed(axis, type_.rank, bounds)


@RULES.of(Pad)
def _pad(op: Pad, use: Application) -> Expression:
    if not op.before and not op.after:
        return use["x"]
    return use["x"].padded(op.position, use.type("x").rank, (op.before, op.after), op.value)


@RULES.of(Reshape)
def _reshape(op: Reshape, use: Application) -> Expression:
    """Without the extents of batch, time and labels: axes of 1 come and go, or some axes in the middle regroup."""
    x, have, want = use["x"], use.type("x").axes, stated_axes(op.axes)
    if not any(axis.role in STREAMED for axis in (*have, *want)):
        return x.method("reshape", *(axis.extent.value for axis in want))
    same = 0
    while same < min(len(have), len(want)) and _same(have[same], want[same]):
        same += 1
    after = 0
    while after < min(len(have), len(want)) - same and _same(have[-1 - after], want[-1 - after]):
        after += 1
    old, new = have[same : len(have) - after], want[same : len(want) - after]
    return _of_units(x, old, new, same) or _regrouped(x, old, new, same)


def _same(old: Axis, new: Axis) -> bool:
    """Extents that meet by chance are not the same: a chunk of another length would tell them apart."""
    return old.extent == new.extent and (old.role is new.role or not {old.role, new.role} & set(STREAMED))


def _of_units(x: Expression, old: Sequence[Axis], new: Sequence[Axis], place: int) -> Expression | None:
    """x where nothing but axes of extent 1 goes or comes; None where more does.

    A streamed axis that has another extent after than before is more: its one frame is the chunk's length by chance.
    """
    if any(_extents(old, role) and _extents(new, role) not in ([], _extents(old, role)) for role in STREAMED):
        return None
    old, new = list(old), list(new)
    while old or new:
        if old and new and _same(old[0], new[0]):
            old, new, place = old[1:], new[1:], place + 1
        elif old and old[0].extent == ONE:
            x, old = x.method("squeeze", place), old[1:]
        elif new and new[0].extent == ONE:
            x, new, place = x.method("unsqueeze", place), new[1:], place + 1
        else:
            return None
    return x


def _extents(axes: Sequence[Axis], role: Role) -> list[Extent]:
    return [axis.extent for axis in axes if axis.role is role]


def _regrouped(x: Expression, old: Sequence[Axis], new: Sequence[Axis], place: int) -> Expression:
    """x with the axes `old`, which begin at `place`, as the axes `new`; one of these may have any extent."""
    sizes = tuple(axis.extent.value if axis.extent.is_static and axis.role not in STREAMED else -1 for axis in new)
    if sizes.count(-1) > 1 or not old or not new:
        raise UnsupportedError(
            f"reshape of axes {[str(axis) for axis in old]} to {[str(axis) for axis in new]} has more than one extent "
            "that differs from batch to batch; reshape in two steps, each of which changes one of them"
        )
    if len(old) > 1:
        x = x.method("flatten", place, place + len(old) - 1)
    return x.method("unflatten", place, sizes) if len(new) > 1 else x


@RULES.of(Transpose)
def _transpose(op: Transpose, use: Application) -> Expression:
    order = op.order
    moved = [i for i, axis in enumerate(order) if i != axis]
    if not moved:
        return use["x"]
    if len(moved) == 2:
        return use["x"].method("transpose", *moved)
    return use["x"].method("permute", *order)


@RULES.of(SplitChannels)
def _split_channels(op: SplitChannels, use: Application) -> Expression:
    """Channel g * F + f to channel g, feature f. In a laid-out type the feature takes the place of a unit axis."""
    x, type_, at, groups = use["x"], use.type("x"), use.channel(), op.groups
    features = type_.extents[at].value // groups
    unit = type_.roles.index(Role.UNIT) if Role.UNIT in type_.roles else None
    if unit == at + 1 and groups == 1:
        return x.method("transpose", at, unit)
    parts = x.method("unflatten", at, (groups, features))
    if unit is None:
        return parts.method("transpose", at, at + 1)
    if unit == at + 1:
        return parts.method("squeeze", at + 2)
    if unit < at:
        return parts.method("squeeze", unit).method("movedim", at, unit)
    return parts.method("squeeze", unit + 1).method("movedim", at + 1, unit)


@RULES.of(MergeChannels)
def _merge_channels(op: MergeChannels, use: Application) -> Expression:
    x, type_, at = use["x"], use.type("x"), use.channel()
    feature = type_.find(Role.FEATURE)
    assert feature is not None, "inference gives merge_channels a feature axis"
    keeps = laid_out(type_)
    if type_.extents[at].value == 1 and keeps:
        return x.method("transpose", at, feature)
    if feature == at + 1:
        merged = x.method("flatten", at, feature)
        return merged.method("unsqueeze", feature) if keeps else merged
    if feature == at - 1 and not keeps:
        return x.method("transpose", feature, at).method("flatten", feature, at)
    first, second = (at - (feature < at), at + 1 - (feature < at))
    merged = x.method("movedim", feature, second).method("flatten", first, second)
    return merged.method("unsqueeze", feature) if keeps else merged


@MASKING.of(Reverse)
def _reverse(op: Reverse, use: Application) -> Expression:
    axis = op.position
    if use.valid is None:
        return use["x"].method("flip", axis)
    return call(named("reverse"), use["x"], use.valid, **_unless(axis, use.type("x").rank - 1))


def _unless(axis: int, usual: int) -> dict[str, int]:
    return {} if axis == usual else {"axis": axis}
