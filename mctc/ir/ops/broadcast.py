"""Broadcasting by role: axes meet by what they mean; unit axes and plain ones meet by position."""

from __future__ import annotations

from mctc.ir.dims import Extent
from mctc.ir.op import Array, InferenceError
from mctc.ir.types import Axis, Role, TensorType

ONE = Extent.of(1)
ORDER = (Role.BATCH, Role.TIME, Role.LABEL, Role.FEATURE, Role.CHANNEL, Role.VOCABULARY)


def _meaning(role: Role) -> int:
    return 0 if role is Role.PLAIN else 1 if role is Role.UNIT else 2


def _meet(left: Axis, right: Axis) -> Axis | None:
    """The axis that two axes at one position broadcast to, or None."""
    one, two = _meaning(left.role), _meaning(right.role)
    if left.role is not right.role and one == two:
        return None
    if left.extent != right.extent and ONE not in (left.extent, right.extent):
        return None
    extent = right.extent if left.extent == ONE else left.extent
    role = right.role if two > one else left.role
    return Axis(Role.PLAIN if role is Role.UNIT and extent != ONE else role, extent)


def broadcast_axes(left: TensorType, right: TensorType) -> tuple[Axis, ...]:
    """Axes of an elementwise result. Raises InferenceError when the two do not fit."""
    if left.rank == 0 or right.rank == 0:
        return left.axes or right.axes
    wide, narrow = (left, right) if left.rank >= right.rank else (right, left)
    if Role.PLAIN in narrow.roles or left.rank == right.rank:
        padded = (None,) * (wide.rank - narrow.rank) + narrow.axes
        met = [a if b is None else _meet(a, b) for a, b in zip(wide.axes, padded)]
        if all(met):
            return tuple(axis for axis in met if axis is not None)
    return _by_role(left, right)


def _by_role(left: TensorType, right: TensorType) -> tuple[Axis, ...]:
    by_role: dict[Role, Axis] = {axis.role: axis for axis in left.axes}
    if Role.PLAIN in left.roles + right.roles or len(by_role) < left.rank or len(set(right.roles)) < right.rank:
        raise InferenceError(f"{left} and {right} do not fit together", "right")
    for axis in right.axes:
        met = _meet(by_role.get(axis.role, axis), axis)
        if met is None:
            raise InferenceError(
                f"the {axis.role.value} axes differ: {by_role[axis.role].extent} and {axis.extent}", "right"
            )
        by_role[axis.role] = met
    wide = left if left.rank >= right.rank else right
    if set(wide.roles) == set(by_role):
        return tuple(by_role[role] for role in wide.roles)
    if Role.UNIT in by_role:
        raise InferenceError(f"{left} and {right} do not fit together", "right")
    return tuple(by_role[role] for role in ORDER if role in by_role)


def spread(array: Array, type_: TensorType, axes: tuple[Axis, ...]) -> Array:
    """`array` of `type_` reshaped (and, if need be, transposed) so that numpy broadcasts it against `axes`."""
    if (type_.rank == len(axes) and all(_meet(a, b) for a, b in zip(type_.axes, axes))) or Role.PLAIN in type_.roles:
        return array
    wanted = [axis.role for axis in axes]
    order = sorted(range(type_.rank), key=lambda i: wanted.index(type_.axes[i].role))
    shape = [1] * len(axes)
    for i in order:
        shape[wanted.index(type_.axes[i].role)] = array.shape[i]
    spread_out: Array = array.transpose(order).reshape(shape)
    return spread_out
