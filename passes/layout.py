"""The channels-first layout: which axis of a type goes where."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from mctc.ir.dims import Extent
from mctc.ir.op import InferenceError
from mctc.ir.program import Function
from mctc.ir.types import Axis, Role, TensorType
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
