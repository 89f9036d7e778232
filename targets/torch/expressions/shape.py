"""Ops that move data. No text holds an extent of a batch, time or label axis: a step runs at any chunk length."""

from __future__ import annotations

from mctc.ir.op import axis_position
from mctc.ir.ops.shape import laid_out, stated_axes
from mctc.ir.types import Axis, Role
from mctc.targets.torch.expressions.application import STREAMED, Application, Rule, UnsupportedError
from mctc.targets.torch.expressions.text import Expression, as_expression, call, named, number

ALONG = (Role.TIME, Role.LABEL)


def _split(use: Application) -> Expression:
    x, axis, sizes = use["x"], use.axis(), use.attribute("sizes")
    if len(use.op.results) == 1:
        return x
    if sizes:
        return x.method("split", list(sizes), dim=axis)
    return x.method("chunk", use.attribute("parts"), dim=axis)


def _concat(use: Application) -> Expression:
    parts = [operand for operand in use.operands if operand is not None]
    axis = axis_position(use.signature.variadic[0], use.attribute("axis"), "xs")
    return parts[0] if len(parts) == 1 else call(named("torch.cat"), parts, dim=axis)


def _slice(use: Application) -> Expression:
    """Along time and labels counted from the end, as far as the end moves with the length of a chunk.

    A slice to the end keeps the last frames (a state's update); one that begins later and ends somewhere skips frames
    at the beginning and drops some at the end, as the derivation of steps does (mctc.streaming.context).
    """
    type_, axis = use.type("x"), use.axis()
    begin, end, stride = use.attribute("begin"), use.attribute("end"), use.attribute("stride")
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


def _pad(use: Application) -> Expression:
    axis, rank = use.axis(), use.type("x").rank
    before, after, value = use.attribute("before"), use.attribute("after"), use.attribute("value")
    if not before and not after:
        return use["x"]
    widths = (0, 0) * (rank - 1 - axis) + (before, after)
    return call(named("F.pad"), use["x"], widths, **({"value": number(value)} if value else {}))


def _reshape(use: Application) -> Expression:
    have, want = use.type("x").axes, stated_axes(use.attribute("axes"))
    if have == want:
        return use["x"]
    sizes = [_extent(use["x"], axis, have) for axis in want]
    if sizes.count("-1") > 1:
        raise UnsupportedError(
            f"reshape of {use.type('x')} to {[str(axis) for axis in want]} leaves more than one extent to find out; "
            "reshape in two steps, each of which changes one of batch, time and label"
        )
    if sum(axis.role in STREAMED and size != "1" for axis, size in zip(want, sizes)) == 1:
        sizes = ["-1" if axis.role in STREAMED and size != "1" else size for axis, size in zip(want, sizes)]
    return use["x"].method("reshape", *map(as_expression, sizes))


def _extent(x: Expression, axis: Axis, have: tuple[Axis, ...]) -> str:
    """The extent as text: a number for channels, that of x's axis of the same role for time, -1 if it has no such."""
    if axis.role not in STREAMED:
        return str(axis.extent.value)
    for i, old in enumerate(have):
        if old.role is axis.role:
            return f"{x.atom}.shape[{i}]" if old.extent == axis.extent else "-1"
    return "1" if axis.extent.is_static and axis.extent.value == 1 else "-1"


def _transpose(use: Application) -> Expression:
    order = [int(i) for i in use.attribute("order")]
    moved = [i for i, axis in enumerate(order) if i != axis]
    if not moved:
        return use["x"]
    if len(moved) == 2:
        return use["x"].method("transpose", *moved)
    return use["x"].method("permute", *order)


def _split_channels(use: Application) -> Expression:
    """Channel g * F + f to channel g, feature f. In a laid-out type the feature takes the place of a unit axis."""
    x, type_, at, groups = use["x"], use.type("x"), use.channel(), use.attribute("groups")
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


def _merge_channels(use: Application) -> Expression:
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


def _reverse(use: Application) -> Expression:
    axis = use.axis()
    if use.valid is None:
        return use["x"].method("flip", axis)
    return call(named("reverse"), use["x"], use.valid, **_unless(axis, use.type("x").rank - 1))


def _unless(axis: int, usual: int) -> dict[str, int]:
    return {} if axis == usual else {"axis": axis}


SHAPE: dict[str, Rule] = {
    "split": _split,
    "concat": _concat,
    "slice": _slice,
    "pad": _pad,
    "reshape": _reshape,
    "transpose": _transpose,
    "split_channels": _split_channels,
    "merge_channels": _merge_channels,
    "reverse": _reverse,
}
