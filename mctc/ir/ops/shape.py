"""Ops that move data: split, concat, slice, pad, reshape, transpose, channel regrouping, reverse."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction

import numpy as np

from mctc.ir.dims import Extent, ExtentError, ExtentLike
from mctc.ir.example import FEATURES, Example, X
from mctc.ir.fields import REQUIRED, Attribute, axis_name, limit, number, operand, variadic_operand, whole, wholes
from mctc.ir.op import Array, InferenceError, Op, axis_position, declare, role_named
from mctc.ir.ops.axis import AxisOp
from mctc.ir.ops.linear import channel_axis
from mctc.ir.sign import weakest
from mctc.ir.time import POINTWISE, Spread, TimeBehaviour, Whole, Window
from mctc.ir.types import Axis, Role, TensorType
from mctc.ir.value import Value

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
    sign = weakest
    example = Example({"x": X}, ("%0, %1 = split(%x, parts = 2)", "%0, %1 = split(%x, sizes = [2, 6])"))
    keeps = "marks"
    x = operand()
    parts = whole(0)
    sizes = wholes(())
    axis = axis_name("channel")

    def extents(self) -> tuple[Extent, ...]:
        """Of the parts along the axis."""
        extent, parts, sizes = self.x.type.extents[self.position], self.parts, self.sizes
        if bool(parts) == bool(sizes) or parts < 0 or any(size < 1 for size in sizes):
            raise InferenceError("split needs either a number of equal parts or a list of sizes, each at least 1")
        if sizes:
            if Extent.of(sum(sizes)) != extent:
                raise InferenceError(f"the sizes {list(sizes)} add up to {sum(sizes)}, but the axis has {extent}", "x")
            return tuple(map(Extent.of, sizes))
        if extent.is_static and extent.value % parts:
            raise InferenceError(f"{extent} does not divide into {parts} equal parts", "x")
        return (extent / parts,) * parts

    def infer(self) -> Sequence[TensorType]:
        return [self.x.type.with_extent(self.position, size) for size in self.extents()]

    def reference(self, x: Array) -> Sequence[Array]:
        axis = self.position
        if self.parts:
            return np.split(x, self.parts, axis)
        return np.split(x, np.cumsum(self.sizes)[:-1], axis)

    def on_axis(self) -> TimeBehaviour:
        return Whole("it cuts the utterance into parts")


@declare
class Concat(AxisOp):
    """Operands joined along `axis`; the other axes must be equal."""

    name = "concat"
    sign = weakest
    example = Example({"x": X}, ("concat(%x, %x)", "concat(%x, %x, axis = time)"))
    keeps = "marks"
    xs = variadic_operand()
    axis = axis_name("channel")

    @property
    def position(self) -> int:
        if not self.xs:
            raise InferenceError("concat needs at least one tensor")
        return axis_position(self.xs[0].type, self.axis, "xs")

    def infer(self) -> Sequence[TensorType]:
        axis, types, total = self.position, [value.type for value in self.xs], Extent.of(0)
        first = types[0]
        axes = list(first.axes)
        for other in types:
            if other.rank != first.rank or other.dtype is not first.dtype:
                raise InferenceError(f"cannot join {first} and {other}", "xs")
            for i, (a, b) in enumerate(zip(axes, other.axes)):
                if i != axis and (a.extent != b.extent or (a.role is not b.role and Role.UNIT not in (a.role, b.role))):
                    raise InferenceError(f"cannot join {first} and {other}: axis {i} differs", "xs")
                axes[i] = b if a.role is Role.UNIT else a
            total = total + other.extents[axis]
        return (first.with_axes([*axes[:axis], Axis(axes[axis].role, total), *axes[axis + 1 :]]),)

    def reference(self, xs: Sequence[Array]) -> Sequence[Array]:
        return (np.concatenate(xs, self.position),)

    def runs_along(self) -> Axis:
        return self.xs[0].type.axes[self.position]

    def padded(self, read: Collection[int] | None = None, *, whole: bool = True) -> Value | None:
        """Nothing where frames of a known number come in front of an utterance: its padding stays behind it."""
        unknown = (value for value in self.xs[:-1] if not value.type.extents[self.position].is_static)
        return next(unknown, None) if isinstance(self.time, Whole) else None

    def on_axis(self) -> TimeBehaviour:
        if len(self.xs) == 1:
            return POINTWISE
        instead = "`delay(x, n)`, which makes room in front of a stream, or join along the channels"
        return Whole("it joins sequences end to end", instead=instead)


@declare
class Slice(AxisOp):
    """Entries begin, begin + stride, ... before end along `axis`. end None means to the end."""

    name = "slice"
    sign = weakest
    example = Example({"x": X}, ("slice(%x, axis = channel, begin = 2, end = 4)", "slice(%x, axis = time, stride = 2)"))
    keeps = "marks"
    x = operand()
    axis = axis_name()
    begin = whole(0)
    end = limit()
    stride = whole(1)

    def infer(self) -> Sequence[TensorType]:
        x, axis = self.x.type, self.position
        begin, end, stride, extent = self.begin, self.end, self.stride, self.x.type.extents[self.position]
        if stride < 1 or begin < 0 or (end is not None and end <= begin):
            raise InferenceError(f"the slice {begin}:{end}:{stride} is empty or runs backwards")
        if end is None and begin == 0:
            rest = Extent.of(-(-extent.value // stride)) if extent.is_static else extent / stride
            return (x.with_extent(axis, rest),)
        if not extent.is_static:
            return (x.with_extent(axis, self._of_unknown(extent)),)
        have = extent.value
        if begin >= have or (end or 0) > have:
            raise InferenceError(f"the slice {begin}:{end} is outside of an axis of {have}", "x")
        return (x.with_extent(axis, -(-((have if end is None else end) - begin) // stride)),)

    def _of_unknown(self, extent: Extent) -> Extent:
        """Entries of a part of an axis whose extent calls decide: it has one entry at least for what they decide."""
        begin, end = self.begin, self.end
        if end is None and self.stride == 1:
            return extent - begin
        least = sum((factor if not monomial else 1 for monomial, factor in extent.terms if factor > 0), Fraction(0))
        if end is not None and end <= least:
            return Extent.of(-(-(end - begin) // self.stride))
        told = f"cannot slice {begin}:{'' if end is None else end}:{self.stride} of an axis whose extent is {extent}"
        hint = "cut to the end, of stride 1, or no more than there are in any call: its first entry"
        raise InferenceError(told, "x", hint)

    def reference(self, x: Array) -> Sequence[Array]:
        index: list[slice] = [slice(None)] * x.ndim
        index[self.position] = slice(self.begin, self.end, self.stride)
        return (x[tuple(index)],)

    def padded(self, read: Collection[int] | None = None, *, whole: bool = True) -> Value | None:
        """Nothing where it takes the first frame, which every utterance has, or all behind some: padding stays last."""
        return None if self.end in (None, 1) else super().padded(read, whole=whole)

    def on_axis(self) -> TimeBehaviour:
        if self.begin == 0 and self.end is None:
            return POINTWISE if self.stride == 1 else Window(0, 0, self.stride, ("x",), ())
        instead = "`delay(x, n)`, which puts frames later, or a convolution with a `look_ahead`"
        return Whole("it cuts out a part of the utterance", instead=instead)


@declare
class Pad(AxisOp):
    """`before` and `after` entries of `value` added along `axis`."""

    name = "pad"
    example = Example({"x": X}, ("pad(%x, axis = channel, after = 8)", "pad(%x, axis = time, before = 1)"))
    keeps = "marks"
    x = operand()
    axis = axis_name()
    before = whole(0)
    after = whole(0)
    value = number(0.0)
    numbers = ("value",)

    def infer(self) -> Sequence[TensorType]:
        if min(self.before, self.after) < 0:
            raise InferenceError("padding cannot be negative")
        axis = self.position
        return (self.x.type.with_extent(axis, self.x.type.extents[axis] + self.before + self.after),)

    def reference(self, x: Array) -> Sequence[Array]:
        widths = [(0, 0)] * x.ndim
        widths[self.position] = (self.before, self.after)
        return (np.pad(x, widths, constant_values=self.value),)

    def on_axis(self) -> TimeBehaviour:
        instead = "`delay(x, n)`, which begins with n frames of zeros"
        return Whole("it pads the utterance", instead=instead)


StatedAxes = tuple[tuple[str, ExtentLike], ...]


def stated(name: str, value: object) -> StatedAxes:
    if not isinstance(value, tuple):
        raise InferenceError(f"axes must be a list of (role, extent), not {value!r}")
    for entry in value:
        if not isinstance(entry, tuple) or len(entry) != 2 or not isinstance(entry[1], (int, str, Extent)):
            raise InferenceError(f"an axis must be (role, extent), not {entry!r}")
    return value


def stated_axes(stated: StatedAxes) -> tuple[Axis, ...]:
    """Axes from pairs of role and extent. Raises InferenceError for a role that there is not."""
    return tuple(Axis(role_named(role), Extent.of(extent)) for role, extent in stated)


class Regrouping(Op):
    """Base: the same entries under other axes."""

    sign = weakest
    x = operand()


@declare
class Reshape(Regrouping):
    """The same entries in row-major order under other axes: `axes` is a tuple of (role, extent)."""

    name = "reshape"
    example = Example(
        {"x": X},
        (
            "reshape(%x, axes = [batch B, time T, feature 2, channel 4])",
            "reshape(%x, axes = [batch B, time T/2, channel 16])",
            "reshape(%x, axes = [batch B, time 2*T, channel 4])",
        ),
    )
    keeps = "marks"
    axes = Attribute(stated, REQUIRED)

    def infer(self) -> Sequence[TensorType]:
        axes = stated_axes(self.axes)
        have, want = product(self.x.type.extents), product(axis.extent for axis in axes)
        if have != want:
            raise InferenceError(f"{self.x.type} has {have} entries, the new shape {want}", "x")
        return (self.x.type.with_axes(axes),)

    def reference(self, x: Array) -> Sequence[Array]:
        axes = [Extent.of(extent) for _, extent in self.axes]
        bound = {
            e.terms[0][0][0]: int(n / e.terms[0][1])
            for e, n in zip(self.x.type.extents, x.shape)
            if not e.is_static and len(e.terms) == 1 and len(e.terms[0][0]) == 1
        }
        return (x.reshape([extent.substitute(bound).value for extent in axes]),)

    def behaviour(self) -> TimeBehaviour:
        return self.behaviour_along(self.x.type.sequence_role or Role.TIME)

    def behaviour_along(self, role: Role) -> TimeBehaviour:
        """Frames stay frames, `factor` consecutive ones are stacked into one (a window that starts at its frame), or
        each becomes several."""
        x, y = self.x.type, self.infer()[0]
        before, after = x.find(role), y.find(role)
        if before is None or (x.extents[before] == ONE and after is None):
            return POINTWISE
        if after is None or product(x.extents[:before]) != product(y.extents[:after]):
            return Whole("it mixes frames with other axes")
        factor = _factor(x.extents[before], y.extents[after])
        if factor is None:
            parts = _factor(y.extents[after], x.extents[before])
            return Whole("it cuts frames into parts") if parts is None else Spread(parts)
        return POINTWISE if factor == 1 else Window(0, factor - 1, factor, ("x",), ())


@declare
class Transpose(Op):
    """Axes in another order."""

    name = "transpose"
    sign = weakest
    example = Example({"x": X}, ("transpose(%x, order = [0, 2, 1])",))
    keeps = "marks"
    x = operand()
    order = wholes()

    def infer(self) -> Sequence[TensorType]:
        order = self.order
        if sorted(order) != list(range(self.x.type.rank)):
            raise InferenceError(f"{list(order)} is not an order of the {self.x.type.rank} axes of {self.x.type}", "x")
        return (self.x.type.with_axes(self.x.type.axes[i] for i in order),)

    def reference(self, x: Array) -> Sequence[Array]:
        return (x.transpose(self.order),)


@declare
class SplitChannels(Regrouping):
    """Channel g*F + f becomes channel g, feature f: `groups` channels of F = channels / groups features.

    A unit axis takes the feature if there is one (laid-out types); else the feature stands before the channel.
    """

    name = "split_channels"
    example = Example({"x": X}, ("split_channels(%x, groups = 2)",))
    keeps = "marks"
    groups = whole(1)

    def infer(self) -> Sequence[TensorType]:
        x, groups, at = self.x.type, self.groups, channel_axis(self.x.type)
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

    def reference(self, x: Array) -> Sequence[Array]:
        at, groups = channel_axis(self.x.type), self.groups
        parts = x.reshape(*x.shape[:at], groups, x.shape[at] // groups, *x.shape[at + 1 :])  # channel at, feature at+1
        if Role.UNIT in self.x.type.roles:
            unit = self.x.type.roles.index(Role.UNIT)
            parts = np.take(parts, 0, axis=unit + 1 if unit > at else unit)
            return (np.moveaxis(parts, at + 1 if unit > at else at, unit),)
        return (np.swapaxes(parts, at, at + 1),)


@declare
class MergeChannels(Regrouping):
    """The inverse of split_channels: channel g, feature f becomes channel g*F + f."""

    name = "merge_channels"
    example = Example({"x": FEATURES}, ("merge_channels(%x)",))
    keeps = "marks"

    def infer(self) -> Sequence[TensorType]:
        x, at, feature = self.x.type, channel_axis(self.x.type), self.x.type.find(Role.FEATURE)
        if feature is None:
            raise InferenceError(f"{x} has no feature axis to merge into the channels", "x")
        y = x.with_extent(at, x.extents[at] * x.extents[feature])
        if laid_out(x):
            return (y.with_axis(feature, Axis(Role.UNIT, Extent.of(1))),)
        return (y.with_axes(axis for i, axis in enumerate(y.axes) if i != feature),)

    def reference(self, x: Array) -> Sequence[Array]:
        at, feature = channel_axis(self.x.type), self.x.type.find(Role.FEATURE)
        assert feature is not None
        moved = np.moveaxis(x, (at, feature), (-2, -1))
        merged = moved.reshape(*moved.shape[:-2], -1)
        if laid_out(self.x.type):
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
    sign = weakest
    example = Example({"x": X}, ("reverse(%x)",))
    keeps = "marks"
    x = operand()
    axis = axis_name("time")

    def infer(self) -> Sequence[TensorType]:
        return (self.x.type.with_extent(self.position, self.x.type.extents[self.position]),)

    def reference(self, x: Array) -> Sequence[Array]:
        return (np.flip(x, self.position),)

    def on_axis(self) -> TimeBehaviour:
        return Whole("it starts from the last frame")
