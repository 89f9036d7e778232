"""Layouts: which axis of a type goes where, and what brings operands there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from mctc.ir.dims import Extent
from mctc.ir.op import InferenceError
from mctc.ir.ops.shape import Transpose
from mctc.ir.program import Function, Value
from mctc.ir.types import Axis, Role, TensorType
from mctc.records import dataclass
from mctc.rewrite.rewriter import Rewriter
from mctc.streaming.sizes import streaming_role

UNIT = Axis(Role.UNIT, Extent.of(1))
ONE = Axis(Role.BATCH, Extent.of(1))


@dataclass(frozen=True)
class Layout:
    """(batch, channel, middle, time): unit axes fill what a type lacks; middle is feature or label.

    A type with feature and label has rank 5, (batch, channel, feature, label, time). In a function whose results grow
    along labels (`over_labels`) the label axis stands last, in the place of time; a function without a batch axis
    (`single`) has a batch of one.
    """

    over_labels: bool
    single: bool = False

    @staticmethod
    def of_function(function: Function) -> Layout:
        values = [*function.inputs, *(result for op in function.ops for result in op.results)]
        roles = {role for value in values for role in value.type.roles}
        return Layout(streaming_role(function) is Role.LABEL, Role.BATCH not in roles)

    def __call__(self, type_: TensorType, rank: int = 0) -> TensorType:
        """The laid-out type: of `rank` 5 if that is asked for. Types without roles stay as they are.

        Raises InferenceError for a type in which a role occurs twice or is mixed with plain axes.
        """
        by_role = self._by_role(type_)
        if not by_role:
            return type_
        last = Role.LABEL if self.over_labels and Role.LABEL in by_role else Role.TIME
        sequences = (Role.FEATURE, Role.TIME if last is Role.LABEL else Role.LABEL)
        middle = [by_role[role] for role in sequences if role in by_role]
        if rank == 5:
            middle = [by_role.get(Role.FEATURE, UNIT), by_role.get(Role.LABEL, UNIT)]
        channel = by_role.get(Role.CHANNEL, by_role.get(Role.VOCABULARY, UNIT))
        batch = by_role.get(Role.BATCH, ONE if self.single else UNIT)
        return type_.with_axes([batch, channel, *(middle or [UNIT]), by_role.get(last, UNIT)])

    def sequence_last(self, type_: TensorType) -> TensorType:
        """The laid-out type for an op that runs along the sequence: labels without time stand last for it."""
        return replace(self, over_labels=self.over_labels or type_.find(Role.TIME) is None)(type_)

    def meeting(self, type_: TensorType, result: TensorType, rank: int) -> TensorType:
        """The laid-out type of an operand of a broadcast to `result`, of `rank`: frames without labels stand beside the
        labels that they meet."""
        laid = self(type_, rank)
        if self.over_labels and result.find(Role.LABEL) is not None and laid.roles[-2:] == (Role.UNIT, Role.TIME):
            return laid.with_axes((*laid.axes[:-2], laid.axes[-1], UNIT))
        return laid

    def _by_role(self, type_: TensorType) -> dict[Role, Axis]:
        axes = [axis for axis in type_.axes if axis.role is not Role.UNIT]
        if not has_roles(type_):
            return {}
        count = Counter(Role.CHANNEL if axis.role.is_channel else axis.role for axis in axes)
        twice = next((role for role, times in count.items() if times > 1), None)
        if twice is not None:
            raise InferenceError(f"{type_} has two {twice.value} axes: the layout cannot tell them apart")
        if Role.PLAIN in count:
            raise InferenceError(f"{type_} mixes axes with roles and axes without: give each axis a role")
        return {axis.role: axis for axis in axes}


def has_roles(type_: TensorType) -> bool:
    """Whether the layout concerns a type. Scalars and parameters have no roles, but that of output classes."""
    return any(role not in (Role.PLAIN, Role.UNIT, Role.VOCABULARY) for role in type_.roles)


def substance(type_: TensorType) -> list[Axis]:
    """The axes that decide in which order entries lie in memory: those whose extent is not 1."""
    return [axis for axis in type_.axes if axis.extent != UNIT.extent]


def plain_axes(*extents: Extent | int) -> list[Axis]:
    """Axes without roles."""
    return [Axis(Role.PLAIN, Extent.of(extent)) for extent in extents]


def moved_axis(type_: TensorType, axis: int, layout: Callable[[TensorType], TensorType]) -> int | str:
    """An axis given by position, by its role where a layout moves it. Raises InferenceError for a unit axis."""
    if not has_roles(type_) or layout(type_) == type_:
        return axis
    role = type_.axes[axis].role
    if role is Role.UNIT:
        raise InferenceError(f"axis {axis} of {type_} has no role to find it by after the layout changed")
    return str(role.value)


def aligned(rewriter: Rewriter, value: Value, old: TensorType, new: TensorType) -> Value:
    """A plain tensor that met the last axes of `old`, reshaped (or transposed) to meet the same axes of `new`."""
    if old == new:
        return value
    if value.type.rank > old.rank:
        raise InferenceError(f"{value.type} has more axes than {old}", "right")
    met = old.axes[old.rank - value.type.rank :]
    kept = [i for i, axis in enumerate(value.type.axes) if axis.extent != Extent.of(1)]
    target = {i: new.roles.index(met[i].role) for i in kept}
    order = sorted(kept, key=target.__getitem__)
    if order != kept:
        full = [*(i for i in range(value.type.rank) if i not in kept), *order]
        value, target = rewriter.op(Transpose, value, order=tuple(full)), {full.index(i): target[i] for i in kept}
    first = min(target.values(), default=new.rank - 1)
    extents = {position: value.type.extents[i] for i, position in target.items()}
    aligned = [extents.get(position, Extent.of(1)) for position in range(first, new.rank)]
    return rewriter.reshaped(value, value.type.with_axes(plain_axes(*aligned)))
