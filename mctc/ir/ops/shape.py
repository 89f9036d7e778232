"""Ops that move data: split, concat, slice, pad, reshape, transpose, channel regrouping, reverse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mctc.ir.dims import Extent, ExtentError
from mctc.ir.op import REQUIRED, Array, InferenceError, OpDef, Signature, axis_position, declare, role_named
from mctc.ir.ops.axis import AxisOp
from mctc.ir.ops.linear import channel_axis
from mctc.ir.time import POINTWISE, TimeBehaviour, Whole, Window
from mctc.ir.types import Axis, Role, TensorType

ONE = Extent.of(1)


def product(extents: Iterable[Extent]) -> Extent:
    total = ONE
    for extent in extents:
        total = total * extent
    return total


def _factor(frames: Extent, fewer: Extent) -> int | None:
    """How many times more `frames` than `fewer` there are; None when that is no whole number."""
    try:
        return (frames / fewer).value
    except (ExtentError, ZeroDivisionError):
        return None


@declare
class Split(AxisOp):
    """Consecutive parts along `axis`: `parts` equal ones, or one per entry of `sizes`."""

    name = "split"
    operands = "x"
    attributes = {"parts": 0, "sizes": (), "axis": "channel"}

    @classmethod
    def sizes(cls, s: Signature) -> tuple[Extent, ...]:
        extent, parts, sizes = s["x"].extents[s.axis("x")], s.int("parts"), s.ints("sizes")
        if bool(parts) == bool(sizes) or parts < 0 or any(size < 1 for size in sizes):
            raise InferenceError("split needs either a number of equal parts or a list of sizes, each at least 1")
        if sizes:
            if Extent.of(sum(sizes)) != extent:
                raise InferenceError(f"the sizes {list(sizes)} add up to {sum(sizes)}, but the axis has {extent}", "x")
            return tuple(map(Extent.of, sizes))
        if extent.is_static and extent.value % parts:
            raise InferenceError(f"{extent} does not divide into {parts} equal parts", "x")
        return (extent / parts,) * parts

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        return [s["x"].with_extent(s.axis("x"), size) for size in cls.sizes(s)]

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        x, axis = operands[0], s.axis("x")
        if s.int("parts"):
            return np.split(x, s.int("parts"), axis)
        return np.split(x, np.cumsum(s.ints("sizes"))[:-1], axis)

    @classmethod
    def on_axis(cls, s: Signature) -> TimeBehaviour:
        return Whole("it cuts the utterance into parts")


@declare
class Concat(AxisOp):
    """Operands joined along `axis`; the other axes must be equal."""

    name = "concat"
    operands = "xs*"
    attributes = {"axis": "channel"}

    @classmethod
    def position(cls, s: Signature) -> int:
        return axis_position(s.variadic[0], s.attribute("axis"), "xs")

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        if not s.variadic:
            raise InferenceError("concat needs at least one tensor")
        first, axis, total = s.variadic[0], cls.position(s), Extent.of(0)
        axes = list(first.axes)
        for other in s.variadic:
            if other.rank != first.rank or other.dtype is not first.dtype:
                raise InferenceError(f"cannot join {first} and {other}", "xs")
            for i, (a, b) in enumerate(zip(axes, other.axes)):
                if i != axis and (a.extent != b.extent or (a.role is not b.role and Role.UNIT not in (a.role, b.role))):
                    raise InferenceError(f"cannot join {first} and {other}: axis {i} differs", "xs")
                axes[i] = b if a.role is Role.UNIT else a
            total = total + other.extents[axis]
        return (first.with_axes([*axes[:axis], Axis(axes[axis].role, total), *axes[axis + 1 :]]),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        return (np.concatenate(operands[0], cls.position(s)),)

    @classmethod
    def runs_along(cls, s: Signature) -> Axis:
        return s.variadic[0].axes[cls.position(s)]

    @classmethod
    def on_axis(cls, s: Signature) -> TimeBehaviour:
        return Whole("it joins sequences end to end") if len(s.variadic) > 1 else POINTWISE


@declare
class Slice(AxisOp):
    """Entries begin, begin + stride, ... before end along `axis`. end None means to the end."""

    name = "slice"
    operands = "x"
    attributes = {"axis": REQUIRED, "begin": 0, "end": None, "stride": 1}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        x, axis = s["x"], s.axis("x")
        begin, end, stride, extent = s.int("begin"), s.limit("end"), s.int("stride"), s["x"].extents[s.axis("x")]
        if stride < 1 or begin < 0 or (end is not None and end <= begin):
            raise InferenceError(f"the slice {begin}:{end}:{stride} is empty or runs backwards")
        if end is None and begin == 0:
            rest = Extent.of(-(-extent.value // stride)) if extent.is_static else extent / stride
            return (x.with_extent(axis, rest),)
        try:
            have = extent.value
        except ExtentError as error:
            raise InferenceError(f"cannot slice {begin}:{end} of an axis whose extent is {extent}", "x") from error
        if begin >= have or (end or 0) > have:
            raise InferenceError(f"the slice {begin}:{end} is outside of an axis of {have}", "x")
        return (x.with_extent(axis, -(-((have if end is None else end) - begin) // stride)),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        index: list[slice] = [slice(None)] * operands[0].ndim
        index[s.axis("x")] = slice(s.int("begin"), s.attribute("end"), s.int("stride"))
        return (operands[0][tuple(index)],)

    @classmethod
    def on_axis(cls, s: Signature) -> TimeBehaviour:
        if s.int("begin") == 0 and s.attribute("end") is None:
            return POINTWISE if s.int("stride") == 1 else Window(0, 0, s.int("stride"), ("x",), ())
        return Whole("it cuts out a part of the utterance")


@declare
class Pad(AxisOp):
    """`before` and `after` entries of `value` added along `axis`."""

    name = "pad"
    operands = "x"
    attributes = {"axis": REQUIRED, "before": 0, "after": 0, "value": 0.0}
    numbers = ("value",)

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        if min(s.int("before"), s.int("after")) < 0:
            raise InferenceError("padding cannot be negative")
        axis = s.axis("x")
        return (s["x"].with_extent(axis, s["x"].extents[axis] + s.int("before") + s.int("after")),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        widths = [(0, 0)] * operands[0].ndim
        widths[s.axis("x")] = (s.int("before"), s.int("after"))
        return (np.pad(operands[0], widths, constant_values=s.float("value")),)

    @classmethod
    def on_axis(cls, s: Signature) -> TimeBehaviour:
        return Whole("it pads the utterance")


def stated_axes(stated: object) -> tuple[Axis, ...]:
    """Axes from pairs of role and extent. Raises InferenceError for anything else."""
    if not isinstance(stated, tuple):
        raise InferenceError(f"axes must be a list of (role, extent), not {stated!r}")
    axes = []
    for entry in stated:
        if not isinstance(entry, tuple) or len(entry) != 2 or not isinstance(entry[1], (int, str, Extent)):
            raise InferenceError(f"an axis must be (role, extent), not {entry!r}")
        axes.append(Axis(role_named(entry[0]), Extent.of(entry[1])))
    return tuple(axes)


@declare
class Reshape(OpDef):
    """The same entries in row-major order under other axes: `axes` is a tuple of (role, extent)."""

    name = "reshape"
    operands = "x"
    attributes = {"axes": REQUIRED}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        axes = stated_axes(s.attribute("axes"))
        have, want = product(s["x"].extents), product(axis.extent for axis in axes)
        if have != want:
            raise InferenceError(f"{s['x']} has {have} entries, the new shape {want}", "x")
        return (s["x"].with_axes(axes),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        axes = [Extent.of(extent) for _, extent in s.attribute("axes")]
        bound = {
            e.terms[0][0][0]: int(n / e.terms[0][1])
            for e, n in zip(s["x"].extents, operands[0].shape)
            if not e.is_static and len(e.terms) == 1 and len(e.terms[0][0]) == 1
        }
        return (operands[0].reshape([extent.substitute(bound).value for extent in axes]),)

    @classmethod
    def time(cls, s: Signature) -> TimeBehaviour:
        return cls.along(s, s["x"].sequence_role or Role.TIME)

    @classmethod
    def along(cls, s: Signature, role: Role) -> TimeBehaviour:
        """Frames stay frames, or `factor` consecutive ones are stacked into one (a window that starts at its frame)."""
        x, y = s["x"], cls.infer(s)[0]
        before, after = x.find(role), y.find(role)
        if before is None or (x.extents[before] == ONE and after is None):
            return POINTWISE
        if after is None or product(x.extents[:before]) != product(y.extents[:after]):
            return Whole("it mixes frames with other axes")
        factor = _factor(x.extents[before], y.extents[after])
        if factor is None:
            return Whole("it cuts frames into parts")
        return POINTWISE if factor == 1 else Window(0, factor - 1, factor, ("x",), ())


@declare
class Transpose(OpDef):
    """Axes in another order."""

    name = "transpose"
    operands = "x"
    attributes = {"order": REQUIRED}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        order = s.ints("order")
        if sorted(order) != list(range(s["x"].rank)):
            raise InferenceError(f"{list(order)} is not an order of the {s['x'].rank} axes of {s['x']}", "x")
        return (s["x"].with_axes(s["x"].axes[i] for i in order),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        return (operands[0].transpose(s.ints("order")),)


@declare
class SplitChannels(OpDef):
    """Channel g*F + f becomes channel g, feature f: `groups` channels of F = channels / groups features.

    A unit axis takes the feature if there is one (laid-out types); else the feature stands before the channel.
    """

    name = "split_channels"
    operands = "x"
    attributes = {"groups": 1}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        x, groups, at = s["x"], s.int("groups"), channel_axis(s, "x")
        channels = x.extents[at].value
        if groups < 1 or channels % groups:
            raise InferenceError(f"{channels} channels do not divide into {groups} groups", "x")
        if x.find(Role.FEATURE) is not None:
            raise InferenceError(f"{x} has a feature axis already", "x")
        feature = Axis(Role.FEATURE, Extent.of(channels // groups))
        y = x.with_axis(at, Axis(Role.CHANNEL, Extent.of(groups)))
        if Role.UNIT in x.roles:
            return (y.with_axis(x.roles.index(Role.UNIT), feature),)
        return (y.with_axes((*y.axes[:at], feature, *y.axes[at:])),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        x, at, groups = operands[0], channel_axis(s, "x"), s.int("groups")
        parts = x.reshape(*x.shape[:at], groups, x.shape[at] // groups, *x.shape[at + 1 :])  # channel at, feature at+1
        if Role.UNIT in s["x"].roles:
            unit = s["x"].roles.index(Role.UNIT)
            parts = np.take(parts, 0, axis=unit + 1 if unit > at else unit)
            return (np.moveaxis(parts, at + 1 if unit > at else at, unit),)
        return (np.swapaxes(parts, at, at + 1),)


@declare
class MergeChannels(OpDef):
    """The inverse of split_channels: channel g, feature f becomes channel g*F + f."""

    name = "merge_channels"
    operands = "x"

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        x, at, feature = s["x"], channel_axis(s, "x"), s["x"].find(Role.FEATURE)
        if feature is None:
            raise InferenceError(f"{x} has no feature axis to merge into the channels", "x")
        y = x.with_extent(at, x.extents[at] * x.extents[feature])
        if laid_out(x):
            return (y.with_axis(feature, Axis(Role.UNIT, Extent.of(1))),)
        return (y.with_axes(axis for i, axis in enumerate(y.axes) if i != feature),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        x, at, feature = operands[0], channel_axis(s, "x"), s["x"].find(Role.FEATURE)
        moved = np.moveaxis(x, (at, feature), (-2, -1))  # type: ignore[arg-type]
        merged = moved.reshape(*moved.shape[:-2], -1)
        assert feature is not None
        if laid_out(s["x"]):
            merged = np.expand_dims(merged, -1)
            return (np.moveaxis(merged, (-2, -1), (at, feature)),)
        return (np.moveaxis(merged, -1, at - 1 if feature < at else at),)


def laid_out(type_: TensorType) -> bool:
    """Whether a type has the channels-first layout (batch, channel, ..., time), of rank 4 or more."""
    return type_.rank >= 4 and type_.roles[0] is Role.BATCH and type_.roles[1].is_channel


@declare
class Reverse(AxisOp):
    """Entries in reverse order along `axis`."""

    name = "reverse"
    operands = "x"
    attributes = {"axis": "time"}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        s.axis("x")
        return (s["x"],)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        return (np.flip(operands[0], s.axis("x")),)

    @classmethod
    def on_axis(cls, s: Signature) -> TimeBehaviour:
        return Whole("it starts from the last frame")
